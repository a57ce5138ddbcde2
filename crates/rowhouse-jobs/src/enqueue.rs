//! Enqueueing, in the caller's transaction: the job exists if and only if that commits.

use std::time::Duration;

use rowhouse_db::DbError;
use rowhouse_kernel::TenantId;
use serde_json::Value;
use time::OffsetDateTime;
use tokio_postgres::Client;

use crate::JsonText;
use crate::raw_json::RawJson;

/// A job to be enqueued.
#[derive(Debug, Clone)]
pub struct NewJob<'a> {
    /// The kind; some process must have registered it.
    pub kind: &'a str,
    /// A JSON object, at most 256 KiB.
    pub payload: JsonText,
    /// A declared queue.
    pub queue: &'a str,
    /// Earliest start; now if `None`.
    pub run_at: Option<OffsetDateTime>,
    /// 0 first, 9 last.
    pub priority: u8,
    /// The tenant.
    pub tenant: Option<TenantId>,
    /// At most one unfinished job per value; a second is not enqueued.
    pub unique_key: Option<&'a str>,
    /// Jobs with the same value run one at a time.
    pub key: Option<&'a str>,
    /// Overrides the kind's.
    pub max_attempts: Option<u16>,
    /// Overrides the kind's.
    pub timeout: Option<Duration>,
}

impl<'a> NewJob<'a> {
    /// A plain job in the queue `default`.
    #[must_use]
    pub fn new(kind: &'a str, payload: impl Into<JsonText>) -> Self {
        Self {
            kind,
            payload: payload.into(),
            queue: "default",
            run_at: None,
            priority: 5,
            tenant: None,
            unique_key: None,
            key: None,
            max_attempts: None,
            timeout: None,
        }
    }
}

/// Enqueues a job with the caller's transaction and returns its id; if its unique key is in use, that of the existing job.
///
/// # Errors
/// An unknown kind or queue, an oversized payload (22023, 54000), or the database's.
pub async fn enqueue(client: &Client, job: &NewJob<'_>) -> Result<i64, DbError> {
    let sql = "select jobs.enqueue(kind => $1, payload => $2, queue => $3, run_at => $4, priority => $5, \
               tenant => $6, unique_key => $7, key => $8, max_attempts => $9, \
               timeout => make_interval(secs => $10))";
    let row = client
        .query_one(
            sql,
            &[
                &job.kind,
                &RawJson(job.payload.as_str().to_owned()),
                &job.queue,
                &job.run_at,
                &i32::from(job.priority),
                &job.tenant.map(|tenant| tenant.0),
                &job.unique_key,
                &job.key,
                &job.max_attempts.map(i32::from),
                &job.timeout.map(|timeout| timeout.as_secs_f64()),
            ],
        )
        .await?;
    Ok(row.get(0))
}

/// Enqueues many plain jobs of one kind at once and returns their ids in order.
///
/// # Errors
/// Those of [`enqueue`].
pub async fn enqueue_many(
    client: &Client,
    kind: &str,
    payloads: &[Value],
    queue: &str,
    tenant: Option<TenantId>,
) -> Result<Vec<i64>, DbError> {
    let sql = "select jobs.enqueue_many(kind => $1, payloads => $2, queue => $3, tenant => $4)";
    let tenant = tenant.map(|tenant| tenant.0);
    let rows = client.query(sql, &[&kind, &payloads, &queue, &tenant]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}
