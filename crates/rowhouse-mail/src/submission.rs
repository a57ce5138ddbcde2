//! SMTP submission (RFC 6409) for customers' software: a positive reply means that the message is committed to the
//! database. Leaves delivery to the mailer's jobs.

mod backend;
mod body;
mod codec;
mod database;
mod listener;
mod memory;
mod reply;
mod sasl;
mod session;
mod tls;

pub use listener::{KeyCheck, KeyChecked, Submission, SubmissionParts};
pub(crate) use tls::acceptor;
