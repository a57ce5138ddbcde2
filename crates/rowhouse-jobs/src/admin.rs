//! Inspecting and controlling jobs, for the command line and the admin API. The database writes jobs as JSON objects,
//! so that both show the same.

use rowhouse_db::DbError;
use rowhouse_kernel::TenantId;
use serde_json::Value;
use time::OffsetDateTime;
use tokio_postgres::Client;

use crate::Job;

const LIST: &str = include_str!("../sql/list.sql");
const STATS: &str = include_str!("../sql/stats.sql");

/// Counts of one state and partition end here.
pub const MOST_COUNTED: i64 = 100_000;
/// Longest page.
pub const MOST_LISTED: i64 = 1_000;

/// Dead jobs that one statement retries.
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
    /// The tenant.
    pub tenant: Option<TenantId>,
    /// Jobs with lower ids than this: the last of the previous page.
    pub after: Option<i64>,
}

/// A page of at most `limit` jobs, highest number first: `id, state, queue, kind, tenant, priority, enqueued_at, attempts,
/// at, error`. `at` is when it runs, began or ended. Of done jobs only the latest are searched.
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

/// One job in full: as [`list`], and `payload, log, progress, result, waiting_for, parent, request_id` and
/// more. `None` if there is no job with this id, or it was pruned.
///
/// # Errors
/// The database's.
pub async fn find(client: &Client, id: i64) -> Result<Option<Value>, DbError> {
    Ok(client.query_opt("select jobs.find($1)", &[&id]).await?.and_then(|row| row.get(0)))
}

/// Cancels a job. Returns its state: `cancelled`, `cancelling` (it runs; its worker is notified), `finished`, `dead`,
/// or `None` if there is no job with this id.
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

/// Retries all jobs that are dead now, of a queue and of a kind if given, a thousand per statement; returns how many.
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

/// Refuses a queue that is not declared.
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

/// Pauses or resumes a queue, or every queue, for one tenant or for all. Returns what was affected. Workers follow
/// within a second; running jobs continue.
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

/// Stores a job's progress: `percent` from 0 to 100, the note up to 1000 characters. Beyond ten a second, calls are
/// ignored.
///
/// # Errors
/// The database's.
pub async fn progress(client: &Client, job_id: i64, percent: f32, note: Option<&str>) -> Result<(), DbError> {
    client.execute("select jobs.set_progress($1, $2, $3)", &[&job_id, &percent, &note]).await?;
    Ok(())
}

/// Adds a line of up to 10,000 characters to a job's log, of which the first 1,000 are kept.
///
/// # Errors
/// The database's.
pub async fn log(client: &Client, job: &Job, line: &str) -> Result<(), DbError> {
    let attempt = i32::from(job.attempt);
    client.execute("select jobs.write_log($1, $2, $3)", &[&job.id, &line, &attempt]).await?;
    Ok(())
}
