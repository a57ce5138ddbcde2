//! Keeps the data API's schema snapshot in step with the database, and records there which schema this process serves.

use std::sync::Arc;
use std::time::{Duration, Instant};

use metrics::{counter, gauge};
use rowhouse_db::migrate::{Process, database_time};
use rowhouse_db::{Database, DbError, Heard};
use rowhouse_http::Heartbeat;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use crate::SchemaCache;

/// Notices that come this close together cause one reload (PostgREST's debounce).
const DEBOUNCE: Duration = Duration::from_millis(100);
/// Pause before a failed reload is tried again, unless a notice comes first.
const RETRY: Duration = Duration::from_secs(2);
/// How often the process records that it runs.
const RECORD_INTERVAL: Duration = Duration::from_secs(5);

/// The snapshot and what it is read from.
#[derive(Clone)]
pub(crate) struct Schema {
    cache: Arc<SchemaCache>,
    schemas: Vec<String>,
    database: Database,
    process: Process,
}

impl Schema {
    pub(crate) fn new(
        cache: Arc<SchemaCache>,
        schemas: Vec<String>,
        database: Database,
        process: Process,
    ) -> Self {
        Self { cache, schemas, database, process }
    }

    /// Loads the schema; on failure the old snapshot stays. True if it succeeded.
    pub(crate) async fn reload(&self) -> bool {
        let started = Instant::now();
        let loaded = self.database.liveness.guard(self.load()).await;
        let status = if loaded.is_ok() { "SUCCESS" } else { "FAIL" };
        // Under PostgREST's names.
        gauge!("pgrst_schema_cache_query_time_seconds").set(started.elapsed().as_secs_f64());
        counter!("pgrst_schema_cache_loads_total", "status" => status).increment(1);
        if let Err(error) = &loaded {
            tracing::warn!(%error, "the schema could not be loaded; the one in use stays");
        }
        loaded.is_ok()
    }

    async fn load(&self) -> Result<(), DbError> {
        let client = self.database.control.connection().await?;
        let read_at = database_time(&client).await?;
        // Foreign keys that came with the change get their tenant check before they are served.
        if let Err(error) = rowhouse_tenancy::refresh_references(&client).await {
            tracing::warn!(%error, "tenant checks on foreign keys could not be brought up to date");
        }
        let snapshot = rowhouse_db::catalog::load(&client, &self.schemas).await?;
        self.database.data.schema_changed();
        self.cache.replace(snapshot);
        if let Err(error) = self.process.record(&client, read_at).await {
            tracing::debug!(%error, "which schema this process serves could not be recorded");
        }
        Ok(())
    }

    /// Until the process stops; then removes its record.
    pub(crate) async fn run(self, heartbeat: Heartbeat, heard: Receiver<Heard>) {
        tokio::select! {
            () = heartbeat.idle(self.follow(heard)) => return,
            () = heartbeat.stopping() => {}
        }
        // A record that stays counts for no longer than its process is silent.
        if let Ok(client) = self.database.control.connection().await {
            let _stays = self.process.remove(&client).await;
        }
    }

    /// Reloads on `NOTIFY pgrst` and whenever listening begins anew, until the hub is gone.
    async fn follow(&self, mut heard: Receiver<Heard>) {
        let mut current = self.cache.current().is_some();
        loop {
            match tokio::time::timeout(if current { RECORD_INTERVAL } else { RETRY }, heard.recv()).await {
                Ok(Ok(Heard::Notice { channel, payload }))
                    if channel != "pgrst" || payload == "reload config" =>
                {
                    continue;
                }
                Ok(Err(RecvError::Closed)) => return,
                Err(_) if current && self.is_recorded().await => continue,
                _ => {}
            }
            tokio::time::sleep(DEBOUNCE).await;
            while !matches!(heard.try_recv(), Err(TryRecvError::Empty | TryRecvError::Closed)) {}
            current = self.reload().await;
        }
    }

    /// Records that the process runs. A database that does not answer is no reason to read the schema anew.
    async fn is_recorded(&self) -> bool {
        let touched = self.database.liveness.guard(async {
            let client = self.database.control.connection().await?;
            self.process.touch(&client).await
        });
        touched.await.unwrap_or(true)
    }
}
