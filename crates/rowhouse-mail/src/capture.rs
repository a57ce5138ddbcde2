//! The mailbox of captured mails in development: Mailpit's HTTP API and a page. Meant for loopback; there is no
//! sign-in. Leaves capturing to the mailer.

mod document;
mod mailbox;
mod part;
mod plain;
mod query;
mod route;

pub use route::{Capture, router as capture_router};
