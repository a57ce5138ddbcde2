#![doc = include_str!("../README.md")]

mod compose;
mod error;
mod mailer;
mod message;
mod raw;
mod store;

use rowhouse_db::migrate::Statement;

pub use error::MailError;
pub use mailer::Mailer;
pub use message::{Address, Attachment, Mailbox, NewMail, RawMail, read_mailbox};
pub use store::Accepted;

macro_rules! migrations {
    ($($name:literal),* $(,)?) => { &[$(($name, include_str!(concat!("../migrations/", $name)))),*] };
}

/// Platform migrations of this crate.
pub const MIGRATIONS: &[Statement] = migrations!["20261121000700_mail_core.sql"];

/// Delivers one recipient's copy; payload `{"recipient": id}`.
pub const SEND: &str = "mail.send";
/// Tells one URL of one event.
pub const WEBHOOK: &str = "mail.webhook";
/// The queue of both.
pub const QUEUE: &str = "mail";
