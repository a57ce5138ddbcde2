#![doc = include_str!("../README.md")]

mod breaker;
mod capture;
mod chosen_name;
mod command;
mod compose;
pub mod credential;
mod deliver;
mod dkim;
pub mod dns;
mod draft;
mod error;
pub mod history;
mod intake;
mod limit;
mod mailer;
mod message;
mod metric;
mod module;
mod outcome;
mod prune;
mod raw;
mod relay;
mod reply;
mod request;
mod route;
pub mod sender;
mod settings;
mod store;
mod submission;
pub mod suppression;
mod tag;
mod template;
mod transport;
mod unsubscribe;
mod webhook;

use rowhouse_db::migrate::Statement;
use rowhouse_module::BuiltInSchedule;

pub use capture::{Capture, capture_router};
pub use chosen_name::plain_name;
pub use deliver::Delivery;
pub use draft::Drafts;
pub use error::MailError;
pub use intake::{Intake, Waker};
pub use limit::MailLimits;
pub use mailer::Mailer;
pub use message::{Address, Attachment, Mailbox, NewMail, RawMail, read_mailbox};
pub use module::MailModule;
pub use route::{MailApi, router};
pub use settings::{MailSettings, MailTransport, RelayTls};
pub use store::Accepted;
pub use submission::{KeyCheck, KeyChecked, Submission, SubmissionParts};
pub use template::{Letter, Mistakes, Rendered, TemplateError, Templates, Variables};
pub use unsubscribe::Lists;
pub use webhook::Webhook;

macro_rules! migrations {
    ($($name:literal),* $(,)?) => { &[$(($name, include_str!(concat!("../migrations/", $name)))),*] };
}

/// Platform migrations of this crate.
pub const MIGRATIONS: &[Statement] = migrations![
    "20261121000700_mail_core.sql",
    "20261121000710_mail_deliver.sql",
    "20261121000720_mail_webhooks.sql",
    "20261121000730_mail_send.sql",
    "20261121000740_mail_credentials.sql",
    "20261127000750_mail_tenants.sql",
    "20261127000800_mail_sender_checks.sql",
    "20261127000810_mail_captured_tags.sql",
    "20261127120003_mail_comments.sql"
];

/// Delivers one recipient's copy; payload `{"recipient": id}`.
pub const SEND: &str = "mail.send";
/// Deletes mails older than `mail.retention`; no payload.
pub const PRUNE: &str = "mail.prune";
/// Marks recipients whose jobs are dead as failed; no payload.
pub const SWEEP: &str = "mail.sweep";
/// Looks up again the records that prove tenants' domains; no payload.
pub const CHECK_SENDERS: &str = "mail.check_senders";
/// Posts an event to the customer's webhook; payload `{"event": id}`.
pub const WEBHOOK: &str = "mail.webhook";
/// Composes a mail that was requested from SQL; payload `{"draft": id}`.
pub const WRITE: &str = "mail.write";
/// The queue of mails.
pub const QUEUE: &str = "mail";

/// Schedules of this crate's own jobs.
pub const SCHEDULES: &[BuiltInSchedule] = &[
    BuiltInSchedule { name: "mail.prune", cron: "47 * * * *", kind: PRUNE },
    BuiltInSchedule { name: "mail.sweep", cron: "*/5 * * * *", kind: SWEEP },
    BuiltInSchedule { name: "mail.check_senders", cron: "23 */6 * * *", kind: CHECK_SENDERS },
];
