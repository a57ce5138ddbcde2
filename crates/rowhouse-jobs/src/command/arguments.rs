//! `jobs …`: the arguments.

use std::time::Duration;

use clap::{Args, Subcommand};
use rowhouse_kernel::TenantId;
use rowhouse_kernel::settings::Setting;
use serde_json::Value;
use time::OffsetDateTime;

use crate::admin::STATES;

/// `jobs …`.
#[derive(Debug, Subcommand)]
pub(super) enum JobsCommand {
    /// List jobs, newest first
    #[command(after_help = "Example:\n  rowhouse jobs list --state dead --queue mail")]
    List(ListArgs),
    /// Show one job in full
    #[command(after_help = "Example:\n  rowhouse jobs show 4711")]
    Show {
        /// The job's id
        id: i64,
    },
    /// Run a dead, cancelled, failed or scheduled job now, or retry all dead ones
    #[command(
        after_help = "Example:\n  rowhouse jobs retry 4711\n  rowhouse jobs retry --all --kind invoice.send"
    )]
    Retry(RetryArgs),
    /// Cancel a job, also while it runs
    #[command(after_help = "Example:\n  rowhouse jobs cancel 4711")]
    Cancel {
        /// The job's id
        id: i64,
    },
    /// Count jobs by state, per queue and kind
    #[command(after_help = "Example:\n  rowhouse jobs stats")]
    Stats,
    /// Pause a queue, a tenant's jobs or everything; running jobs continue
    #[command(after_help = "Example:\n  rowhouse jobs pause --queue mail")]
    Pause(ScopeArgs),
    /// Resume what is paused
    #[command(after_help = "Example:\n  rowhouse jobs resume --queue mail")]
    Resume(ScopeArgs),
    /// Wait until no job is ready, running or waiting for a retry
    #[command(after_help = "Example:\n  rowhouse jobs drain --queue mail --timeout 5m")]
    Drain {
        /// Of this queue only
        #[arg(long)]
        queue: Option<String>,
        /// Give up after this long, with exit code 1
        #[arg(long, value_name = "DURATION", value_parser = duration)]
        timeout: Option<Duration>,
    },
    /// Enqueue a job
    #[command(after_help = "Example:\n  rowhouse jobs enqueue jobs.noop --delay 10s")]
    Enqueue(EnqueueArgs),
}

/// `jobs list`.
#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// ready, scheduled, waiting, running, done, dead or cancelled
    #[arg(long, value_parser = clap::builder::PossibleValuesParser::new(STATES))]
    pub(super) state: Option<String>,
    /// Of this queue
    #[arg(long)]
    pub(super) queue: Option<String>,
    /// Of this kind
    #[arg(long)]
    pub(super) kind: Option<String>,
    /// Of this tenant
    #[arg(long)]
    pub(super) tenant: Option<TenantId>,
    /// Most jobs to list
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=1000))]
    pub(super) limit: i64,
    /// Only ids below this: the last of the previous page
    #[arg(long, value_name = "ID")]
    pub(super) after: Option<i64>,
}

/// `jobs retry`.
#[derive(Debug, Args)]
pub(super) struct RetryArgs {
    /// The job's id
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    pub(super) id: Option<i64>,
    /// All dead jobs
    #[arg(long)]
    pub(super) all: bool,
    /// Of this queue
    #[arg(long, requires = "all")]
    pub(super) queue: Option<String>,
    /// Of this kind
    #[arg(long, requires = "all")]
    pub(super) kind: Option<String>,
}

/// `jobs pause` and `jobs resume`.
#[derive(Debug, Args)]
pub(super) struct ScopeArgs {
    /// Of this queue only
    #[arg(long)]
    pub(super) queue: Option<String>,
    /// Of this tenant only
    #[arg(long)]
    pub(super) tenant: Option<TenantId>,
}

/// `jobs enqueue`.
#[derive(Debug, Args)]
pub(super) struct EnqueueArgs {
    /// The kind
    pub(super) kind: String,
    /// The payload, a JSON object
    #[arg(long, value_name = "JSON", default_value = "{}", value_parser = json)]
    pub(super) payload: Value,
    /// The queue
    #[arg(long, default_value = "default")]
    pub(super) queue: String,
    /// Not before this time, as 2026-11-21T09:30:00Z
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(super) run_at: Option<OffsetDateTime>,
    /// Not before this long has passed
    #[arg(long, value_name = "DURATION", value_parser = duration, conflicts_with = "run_at")]
    pub(super) delay: Option<Duration>,
    /// 0 first, 9 last
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(0..=9))]
    pub(super) priority: u8,
    /// The tenant
    #[arg(long)]
    pub(super) tenant: Option<TenantId>,
    /// At most one unfinished job per value
    #[arg(long)]
    pub(super) unique_key: Option<String>,
    /// Jobs with the same value run one at a time
    #[arg(long)]
    pub(super) key: Option<String>,
}

fn duration(text: &str) -> Result<Duration, String> {
    <Duration as Setting>::from_text(text)
}

fn json(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

fn time(text: &str) -> Result<OffsetDateTime, String> {
    rowhouse_kernel::parse_instant(text)
        .ok_or_else(|| "expected a time as in 2027-01-31T12:00:00Z".to_owned())
}
