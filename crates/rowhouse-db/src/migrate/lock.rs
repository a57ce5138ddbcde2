//! The lock that allows one runner per database. Runners poll instead of waiting inside PostgreSQL: a statement that
//! waits for a lock holds a snapshot, for which `create index concurrently` of the running one would wait.

use std::time::Duration;

use tokio_postgres::Client;

use crate::error::DbError;

/// Held while migrations are checked and applied; the number spells "rowhouse".
const ADVISORY_LOCK: i64 = 0x726f_7768_6f75_7365;
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// One hour: longer than most migrations, and not for ever.
const MAX_POLLS: u32 = 36_000;

/// Runs `work` while holding the lock of this database. May be nested.
///
/// # Errors
/// Those of `work`; and the database's, also when another runner keeps the lock for an hour.
pub async fn exclusive<T, E: From<DbError>>(
    client: &Client,
    work: impl AsyncFnOnce() -> Result<T, E>,
) -> Result<T, E> {
    acquire(client).await?;
    let result = work().await;
    let released = client.execute("select pg_advisory_unlock($1)", &[&ADVISORY_LOCK]).await;
    match (result, released) {
        // If releasing fails, the connection is lost, which releases the lock.
        (Ok(_), Err(error)) => Err(DbError::from(error).into()),
        (result, _) => result,
    }
}

async fn acquire(client: &Client) -> Result<(), DbError> {
    let mut reported = None;
    for _ in 0..MAX_POLLS {
        if client.query_one("select pg_try_advisory_lock($1)", &[&ADVISORY_LOCK]).await?.get(0) {
            return Ok(());
        }
        let holder = client.query_opt(include_str!("../../sql/lock_holder.sql"), &[&ADVISORY_LOCK]).await?;
        if let Some(holder) = holder {
            let pid: i32 = holder.get(0);
            if reported.replace(pid) != Some(pid) {
                let query: &str = holder.get(1);
                tracing::warn!("waiting for pid {pid}, which applies migrations, running: {query}");
            }
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    let holder = reported.map(|pid| format!(" (pid {pid})")).unwrap_or_default();
    Err(DbError::Unavailable(
        format!("another process{holder} has been applying migrations for an hour").into(),
    ))
}
