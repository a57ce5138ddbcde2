//! Keeps the data API's schema snapshot in step with the database.

use std::sync::Arc;
use std::time::{Duration, Instant};

use metrics::{counter, gauge};
use rowhouse_db::{Database, DbError, Heard};

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use crate::SchemaCache;

/// Notices that come this close together cause one reload (PostgREST's debounce).
const DEBOUNCE: Duration = Duration::from_millis(100);
/// Pause before a failed reload is tried again, unless a notice comes first.
const RETRY: Duration = Duration::from_secs(2);
/// Pause while nothing is due; a notice ends it.
const NEVER: Duration = Duration::from_secs(86_400);

/// The snapshot and what it is read from.
#[derive(Clone)]
pub(crate) struct Schema {
    cache: Arc<SchemaCache>,
    schemas: Vec<String>,
    database: Database,
}

impl Schema {
    pub(crate) fn new(cache: Arc<SchemaCache>, schemas: Vec<String>, database: Database) -> Self {
        Self { cache, schemas, database }
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
        // Foreign keys that came with the change get their tenant check before they are served.
        if let Err(error) = rowhouse_tenancy::refresh_references(&client).await {
            tracing::warn!(%error, "tenant checks on foreign keys could not be brought up to date");
        }
        let snapshot = rowhouse_db::catalog::load(&client, &self.schemas).await?;
        self.database.data.schema_changed();
        self.cache.replace(snapshot);
        Ok(())
    }

    /// Reloads on `NOTIFY pgrst` and whenever listening begins anew, until the hub is gone.
    pub(crate) async fn follow(self, mut heard: Receiver<Heard>) {
        let mut current = self.cache.current().is_some();
        loop {
            match tokio::time::timeout(if current { NEVER } else { RETRY }, heard.recv()).await {
                Ok(Ok(Heard::Notice { channel, payload }))
                    if channel != "pgrst" || payload == "reload config" =>
                {
                    continue;
                }
                Ok(Err(RecvError::Closed)) => return,
                _ => {}
            }
            tokio::time::sleep(DEBOUNCE).await;
            while !matches!(heard.try_recv(), Err(TryRecvError::Empty | TryRecvError::Closed)) {}
            current = self.reload().await;
        }
    }
}
