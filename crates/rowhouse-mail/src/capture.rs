//! What has been captured, over HTTP as Mailpit tells it: development's mailbox. Meant for loopback; there is no sign-in.
//! Leaves capturing to the mailer.

mod document;
mod mailbox;
mod query;
mod route;

pub use route::router as capture_router;
