//! SMTP submission (RFC 6409) for customers' software: who may send hands a message in, and a positive answer means that
//! it is in the database. Leaves delivering to the mailer's jobs.

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
