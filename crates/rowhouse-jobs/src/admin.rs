//! Looking at jobs and steering them, for the command line and the admin API alike. Jobs are described as JSON objects,
//! written by the database, so that both say the same.

use rowhouse_db::DbError;
use rowhouse_kernel::TenantId;
use serde_json::Value;
use time::OffsetDateTime;
use tokio_postgres::Client;

use crate::Job;

const LIST: &str = include_str!("../sql/list.sql");
const STATS: &str = include_str!("../sql/stats.sql");

/// Jobs of one state and partition are counted up to here.
pub const MOST_COUNTED: i64 = 100_000;
/// Longest page.
pub const MOST_LISTED: i64 = 1_000;

/// Dead jobs that are run again by one statement.
const MOST_REDRIVEN: i32 = 1_000;

/// The states a job can be in.
pub const STATES: &[&str] = &["ready", "scheduled", "waiting", "running", "done", "dead", "cancelled"];

/// Which jobs to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// One of [`STATES`].
    pub state: Option<String>,
    /// A queue's name.
    pub queue: Option<String>,
    /// A kind's name.
    pub kind: Option<String>,
    /// For whom.
    pub tenant: Option<TenantId>,
    /// Jobs with lower numbers than this: the last of the page before.
    pub after: Option<i64>,
}

/// A page of at most `limit` jobs, highest number first: `id, state, queue, kind, tenant, priority, enqueued_at, attempts,
/// at, error`. `at` is when it runs, began or ended. Done jobs are found among the latest only.
///
/// # Errors
/// The database's.
pub async fn list(client: &Client, filter: &Filter, limit: i64) -> Result<Vec<Value>, DbError> {
    let tenant = filter.tenant.map(|tenant| tenant.0);
    let (after, limit) = (filter.after.unwrap_or(i64::MAX), limit.clamp(1, MOST_LISTED));
    let rows =
        client.query(LIST, &[&filter.state, &filter.queue, &filter.kind, &tenant, &after, &limit]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// All that is known of one job: as [`list`], and `payload, log, progress, result, waiting_for, parent, request_id` and
/// more. `None` if there is none of this number, or no longer.
///
/// # Errors
/// The database's.
pub async fn find(client: &Client, id: i64) -> Result<Option<Value>, DbError> {
    Ok(client.query_opt("select jobs.find($1)", &[&id]).await?.and_then(|row| row.get(0)))
}

/// Stops a job; what became of it: `cancelled`, `cancelling` (it runs; its worker is told), `finished`, `dead`, or `None`
/// if there is none of this number.
///
/// # Errors
/// The database's.
pub async fn cancel(client: &Client, id: i64) -> Result<Option<String>, DbError> {
    Ok(client.query_one("select jobs.cancel($1)", &[&id]).await?.get(0))
}

/// Runs a dead, cancelled, failed or scheduled job now. False if it is none of these.
///
/// # Errors
/// The database's.
pub async fn retry(client: &Client, id: i64) -> Result<bool, DbError> {
    Ok(client.query_one("select jobs.retry($1)", &[&id]).await?.get::<_, i32>(0) > 0)
}

/// Runs all jobs again that are dead now, of a queue and of a kind where they are given, some thousand at a time; how many.
///
/// # Errors
/// An unknown queue (22023), or the database's.
pub async fn retry_all(client: &Client, queue: Option<&str>, kind: Option<&str>) -> Result<i64, DbError> {
    let until: OffsetDateTime = client.query_one("select clock_timestamp()", &[]).await?.get(0);
    let sql = "select moved, last_id from jobs.redrive_some($1, $2, $3, $4, $5)";
    let (mut after, mut all) = (0_i64, 0);
    while let Some(row) = client.query_opt(sql, &[&queue, &kind, &after, &until, &MOST_REDRIVEN]).await? {
        all += i64::from(row.get::<_, i32>(0));
        after = row.get(1);
    }
    Ok(all)
}

/// Refuses a queue that nobody has declared.
///
/// # Errors
/// An unknown queue (22023), or the database's.
pub async fn require_queue(client: &Client, queue: &str) -> Result<(), DbError> {
    client.execute("select jobs.require_queue($1)", &[&queue]).await?;
    Ok(())
}

/// Per queue and kind: `ready, oldest_ready_seconds` (null where nothing is ready)`, scheduled, retrying, waiting,
/// running, dead, done_per_minute, paused`. Counts end at [`MOST_COUNTED`] a partition.
///
/// # Errors
/// The database's.
pub async fn stats(client: &Client) -> Result<Vec<Value>, DbError> {
    let rows = client.query(STATS, &[&MOST_COUNTED]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Lets a queue, or every queue, rest or go on; for one tenant or for all. Returns what was meant. Workers follow within a
/// second; what runs goes on.
///
/// # Errors
/// An unknown queue or tenant (22023), or the database's.
pub async fn pause(
    client: &Client,
    queue: Option<&str>,
    tenant: Option<TenantId>,
    rests: bool,
) -> Result<Vec<String>, DbError> {
    let tenant = tenant.map(|tenant| tenant.0);
    let rows = client.query("select jobs.pause($1, $2, $3)", &[&queue, &tenant, &rests]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Notes how far a job has come; `percent` from 0 to 100, the note up to 1000 characters. More than ten a second are
/// left out.
///
/// # Errors
/// The database's.
pub async fn progress(client: &Client, job_id: i64, percent: f32, note: Option<&str>) -> Result<(), DbError> {
    client.execute("select jobs.set_progress($1, $2, $3)", &[&job_id, &percent, &note]).await?;
    Ok(())
}

/// Adds a line of up to 10,000 characters to a job's log, which keeps the first 1,000.
///
/// # Errors
/// The database's.
pub async fn log(client: &Client, job: &Job, line: &str) -> Result<(), DbError> {
    let attempt = i32::from(job.attempt);
    client.execute("select jobs.write_log($1, $2, $3)", &[&job.id, &line, &attempt]).await?;
    Ok(())
}
