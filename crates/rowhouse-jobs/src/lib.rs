#![doc = include_str!("../README.md")]

pub mod admin;
pub mod builtin;
mod command;
pub mod config;
mod cron;
pub mod declared_kind;
mod enqueue;
pub mod gauge;
pub mod http_handler;
mod module;
pub mod outbound;
mod raw_json;
mod route;
pub mod schedule;
mod settings;
pub mod sql_handler;
mod store;
mod worker;

use rowhouse_db::migrate::Statement;

pub use admin::{log, progress};
pub use cron::{Cron, CronError};
pub use enqueue::{NewJob, enqueue, enqueue_many};
pub use module::{AuditModule, EventModule, JobsModule};
pub use rowhouse_module::job::{
    AdmitFuture, Handler, HandlerFuture, Job, JobError, JobResult, Lease, Permit,
};
pub use rowhouse_module::{BuiltInSchedule, JobKind, JsonText, Registry};
pub use settings::{JobsSettings, KindHandler, KindSettings, Missed, QueueSettings, ScheduleSettings};
pub use store::complete;
pub use worker::{Pulse, Wake, Worker, WorkerParts};

macro_rules! migrations {
    ($($name:literal),* $(,)?) => { &[$(($name, include_str!(concat!("../migrations/", $name)))),*] };
}

/// Platform migrations of this crate.
pub const MIGRATIONS: &[Statement] = migrations![
    "20261121000600_jobs_core.sql",
    "20261121000610_jobs_enqueue.sql",
    "20261121000620_jobs_work.sql",
    "20261121000622_jobs_finish.sql",
    "20261121000624_jobs_cancel.sql",
    "20261121000625_jobs_claim.sql",
    "20261121000640_jobs_admin.sql",
    "20261121000650_jobs_schedules.sql",
    "20261121000655_jobs_functions.sql",
    "20261127120002_jobs_comments.sql"
];
