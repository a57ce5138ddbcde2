//! Tracks which processes serve which version of the schema: each records when it read its schema, and a migration
//! waits until all have reloaded. All times are the database's, so the clocks of machines do not matter.
//!
//! Leaves reading and serving the schema to the data API.

use std::time::{Duration, SystemTime};

use serde::Serialize;
use tokio::time::Instant;
use tokio_postgres::Client;
use uuid::Uuid;

use crate::error::DbError;

const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// A process that serves the data API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Process {
    /// Its id.
    pub id: Uuid,
    /// Name of the machine or container.
    pub host: String,
    /// Process id there.
    pub pid: i32,
}

impl Process {
    /// This process, under an id of its own.
    #[must_use]
    pub fn this(id: Uuid) -> Self {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let host = host.trim().chars().take(255).collect();
        Self { id, host, pid: i32::try_from(std::process::id()).unwrap_or(i32::MAX) }
    }

    /// Records that it serves the schema that it began to read at `read_at`; removes records of processes that ended
    /// long ago without cleanup.
    ///
    /// # Errors
    /// The database's.
    pub async fn record(&self, client: &Client, read_at: SystemTime) -> Result<(), DbError> {
        client
            .execute("delete from rowhouse.processes where seen_at < now() - interval '1 hour'", &[])
            .await?;
        let sql = "insert into rowhouse.processes (id, host, pid, schema_read_at) values ($1, $2, $3, $4)
            on conflict (id) do update set schema_read_at = excluded.schema_read_at, seen_at = clock_timestamp()";
        client.execute(sql, &[&self.id, &self.host, &self.pid, &read_at]).await?;
        Ok(())
    }

    /// Records that it still runs; false if it is not recorded.
    ///
    /// # Errors
    /// The database's.
    pub async fn touch(&self, client: &Client) -> Result<bool, DbError> {
        let sql = "update rowhouse.processes set seen_at = clock_timestamp() where id = $1";
        Ok(client.execute(sql, &[&self.id]).await? > 0)
    }

    /// Removes its record, so that nothing waits for it.
    ///
    /// # Errors
    /// The database's.
    pub async fn remove(&self, client: &Client) -> Result<(), DbError> {
        client.execute("delete from rowhouse.processes where id = $1", &[&self.id]).await?;
        Ok(())
    }
}

/// The database's time.
///
/// # Errors
/// The database's.
pub async fn database_time(client: &Client) -> Result<SystemTime, DbError> {
    Ok(client.query_one("select clock_timestamp()", &[]).await?.get(0))
}

/// Makes all processes reload the schema, waits until they serve it, and returns those that do not within `limit`.
///
/// # Errors
/// The database's.
pub async fn wait_for_processes(client: &Client, limit: Duration) -> Result<Vec<Process>, DbError> {
    let changed = database_time(client).await?;
    client.batch_execute("notify pgrst, 'reload schema'").await?;
    let deadline = Instant::now() + limit;
    loop {
        let behind = behind(client, changed).await?;
        if behind.is_empty() || Instant::now() >= deadline {
            return Ok(behind);
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// Running processes that serve a schema read before `changed`. Each sends a heartbeat every five seconds.
async fn behind(client: &Client, changed: SystemTime) -> Result<Vec<Process>, DbError> {
    let sql = "select id, host, pid from rowhouse.processes
        where schema_read_at < $1 and seen_at > clock_timestamp() - interval '20 seconds' order by host, pid";
    let rows = client.query(sql, &[&changed]).await?;
    Ok(rows.iter().map(|row| Process { id: row.get(0), host: row.get(1), pid: row.get(2) }).collect())
}
