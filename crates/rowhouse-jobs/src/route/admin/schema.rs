//! The bodies of the jobs' admin API. Types with unread fields only describe JSON that the database writes.

use std::time::Duration;

use rowhouse_http::api::{Cursor, Problem, Raw};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::JsonText;

/// States of a job.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum JobState {
    Ready,
    Scheduled,
    Waiting,
    Running,
    Done,
    Dead,
    Cancelled,
}

impl JobState {
    /// As stored.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Scheduled => "scheduled",
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Done => "done",
            Self::Dead => "dead",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A job in a list.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only described; the database writes it")]
pub(super) struct ListedJob {
    id: i64,
    state: JobState,
    queue: String,
    kind: String,
    tenant: Option<Uuid>,
    #[schemars(range(max = 9))]
    priority: u8,
    #[schemars(extend("format" = "date-time"))]
    enqueued_at: Option<String>,
    attempts: Option<u32>,
    /// When it runs, began or ended.
    #[schemars(extend("format" = "date-time"))]
    at: Option<String>,
    error: Option<String>,
}

/// A job in full.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only described; the database writes it")]
pub(super) struct Job {
    id: i64,
    state: JobState,
    queue: String,
    kind: String,
    tenant: Option<Uuid>,
    #[schemars(range(max = 9))]
    priority: Option<u8>,
    #[schemars(extend("format" = "date-time"))]
    enqueued_at: Option<String>,
    attempts: Option<u32>,
    /// When it runs, began or ended.
    #[schemars(extend("format" = "date-time"))]
    at: Option<String>,
    error: Option<String>,
    max_attempts: Option<u32>,
    payload: Option<Map<String, Value>>,
    key: Option<String>,
    unique_key: Option<String>,
    parent: Option<i64>,
    request_id: Option<String>,
    /// Children that have not ended.
    waiting_for: Option<u32>,
    worker: Option<Uuid>,
    /// Its result.
    result: Value,
    progress: Option<Progress>,
    log: Vec<LogLine>,
}

/// A job's progress.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only described; the database writes it")]
struct Progress {
    percent: Option<f64>,
    note: Option<String>,
    #[schemars(extend("format" = "date-time"))]
    at: String,
}

/// A line of a job's log.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only described; the database writes it")]
struct LogLine {
    #[schemars(extend("format" = "date-time"))]
    at: String,
    attempt: u32,
    line: String,
}

/// The id of a new job.
#[derive(Serialize, JsonSchema)]
pub(super) struct Id {
    pub(super) id: i64,
}

/// The result of cancelling a job.
#[derive(Serialize, JsonSchema)]
pub(super) struct Cancelled {
    pub(super) id: i64,
    /// `cancelled`, or `cancelling` while it still runs.
    pub(super) state: String,
}

/// What was paused or resumed.
#[derive(Serialize, JsonSchema)]
pub(super) struct Paused {
    pub(super) queues: Vec<String>,
    pub(super) tenant: Option<Uuid>,
    pub(super) paused: bool,
}

/// Counts per queue and kind.
#[derive(Serialize, JsonSchema)]
pub(super) struct Stats {
    pub(super) kinds: Vec<Raw<KindStats>>,
}

/// Counts of one kind in one queue.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only described; the database writes it")]
pub(super) struct KindStats {
    queue: String,
    kind: String,
    paused: bool,
    ready: u64,
    /// Null where nothing is ready.
    oldest_ready_seconds: Option<f64>,
    scheduled: u64,
    retrying: u64,
    waiting: u64,
    running: u64,
    dead: u64,
    done_per_minute: u64,
}

/// All schedules.
#[derive(Serialize, JsonSchema)]
pub(super) struct Schedules {
    pub(super) schedules: Vec<Raw<Schedule>>,
}

/// A schedule.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only described; the database writes it")]
pub(super) struct Schedule {
    name: String,
    cron: String,
    /// The time zone of the pattern.
    timezone: String,
    kind: String,
    queue: String,
    /// Policy for times that were missed while no worker ran.
    missed: Missed,
    paused: bool,
    /// Whether it is built in.
    built_in: bool,
    #[schemars(extend("format" = "date-time"))]
    next_at: Option<String>,
    #[schemars(extend("format" = "date-time"))]
    last_at: Option<String>,
    last_job: Option<i64>,
    /// The outcome of the last job; state `failed` if enqueueing failed.
    last_result: Option<LastResult>,
}

#[derive(JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(dead_code, reason = "only described; the database writes it")]
enum Missed {
    Skip,
    Once,
    All,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "only described; the database writes it")]
struct LastResult {
    state: String,
    #[schemars(extend("format" = "date-time"))]
    at: Option<String>,
    error: Option<String>,
    result: Option<Value>,
}

/// A job to be enqueued.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewJob")]
pub(super) struct NewJobBody {
    pub(super) kind: String,
    /// At most 256 KiB.
    #[serde(default)]
    payload: Map<String, Value>,
    pub(super) queue: Option<String>,
    /// RFC 3339.
    #[schemars(extend("format" = "date-time"))]
    run_at: Option<String>,
    #[schemars(range(max = 9))]
    pub(super) priority: Option<u8>,
    pub(super) tenant: Option<Uuid>,
    #[schemars(length(max = 500))]
    pub(super) unique_key: Option<String>,
    #[schemars(length(max = 500))]
    pub(super) key: Option<String>,
    #[schemars(range(min = 1, max = 1000))]
    pub(super) max_attempts: Option<u16>,
    #[schemars(range(min = 0.01, max = 86_400.0))]
    timeout_seconds: Option<f64>,
}

/// The part of [`NewJobBody`] that must stay as it was sent.
#[derive(Deserialize)]
struct SentPayload {
    payload: Option<Box<RawValue>>,
}

impl NewJobBody {
    /// As it was sent: numbers are not rounded.
    pub(super) fn payload(&self, text: &[u8]) -> JsonText {
        let sent = serde_json::from_slice::<SentPayload>(text).ok().and_then(|sent| sent.payload);
        sent.map_or_else(|| self.payload.clone().into(), JsonText::from)
    }

    pub(super) fn run_at(&self) -> Result<Option<OffsetDateTime>, Problem> {
        let read = |text: &String| {
            rowhouse_kernel::parse_instant(text)
                .ok_or_else(|| Problem::invalid("run_at: expected a time such as 2026-11-21T09:30:00Z"))
        };
        self.run_at.as_ref().map(read).transpose()
    }

    /// Requires a duration; the database checks its range.
    pub(super) fn timeout(&self) -> Result<Option<Duration>, Problem> {
        let read = |seconds: f64| {
            let fits = (0.01..=86_400.0).contains(&seconds);
            fits.then(|| Duration::from_secs_f64(seconds))
                .ok_or_else(|| Problem::invalid("timeout_seconds is 0.01 to 86400"))
        };
        self.timeout_seconds.map(read).transpose()
    }
}

/// A page of jobs.
#[derive(Serialize, JsonSchema)]
pub(super) struct JobPage {
    /// The jobs, highest number first.
    pub(super) jobs: Vec<Raw<ListedJob>>,
    /// The cursor of the next page; null on the last one.
    pub(super) next: Option<Cursor>,
}
