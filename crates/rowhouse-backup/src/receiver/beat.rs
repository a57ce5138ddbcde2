//! The heartbeat row, by which a restored copy shows how much it lacks.
//!
//! It is written when the cluster has written something else since: a cluster at rest loses nothing, and need not be kept
//! awake for more than one row a minute.

use std::time::Duration;

use rowhouse_db::DbError;
use rowhouse_db::replication::Lsn;
use tokio::time::{Instant, interval};
use tokio_postgres::Client;

use super::Status;

const INTERVAL: Duration = Duration::from_secs(1);
/// Also of a cluster at rest, so that any minute can be restored.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// What the heartbeat itself writes, with what PostgreSQL notes about running transactions.
const OWN_BYTES: u64 = 512;

/// Commits without waiting for the disk: the row's loss is what it measures.
const WRITE: &str = "update rowhouse.backup_heartbeat set at = clock_timestamp() \
                     returning pg_current_wal_insert_lsn()::text";

/// Runs until the connection fails. A database without the platform's tables has no heartbeat.
pub(super) async fn run(client: &Client, status: &Status) -> DbError {
    match attempts(client, status).await {
        Err(error) => error,
        Ok(()) => std::future::pending().await,
    }
}

async fn attempts(client: &Client, status: &Status) -> Result<(), DbError> {
    let present =
        client.query_one("select to_regclass('rowhouse.backup_heartbeat') is not null", &[]).await?;
    if !present.get::<_, bool>(0) {
        return Ok(());
    }
    client.batch_execute("set synchronous_commit = off; set lock_timeout = '500ms'").await?;
    let (mut after, mut written) = (Lsn(0), Instant::now());
    let mut ticks = interval(INTERVAL);
    loop {
        ticks.tick().await;
        let is_at_rest = status.server_lsn().0 < after.0 + OWN_BYTES;
        if is_at_rest && written.elapsed() < LONGEST_PAUSE {
            continue;
        }
        match client.query_opt(WRITE, &[]).await {
            Ok(Some(row)) => after = row.get::<_, &str>(0).parse().unwrap_or_default(),
            Ok(None) => {}
            // Somebody has locked the row, or the server takes no writes: the next second is as good.
            Err(error) if error.as_db_error().is_some() => tracing::debug!(%error, "no heartbeat"),
            Err(error) => return Err(error.into()),
        }
        written = Instant::now();
    }
}
