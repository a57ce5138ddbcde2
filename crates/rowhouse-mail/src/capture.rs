//! What has been captured, over HTTP as Mailpit tells it, and a page to read it on: development's mailbox. Meant for loopback;
//! there is no sign-in. Leaves capturing to the mailer.

mod document;
mod mailbox;
mod part;
mod plain;
mod query;
mod route;

pub use route::{Capture, router as capture_router};
