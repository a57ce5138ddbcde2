//! Keeps the data API's schema snapshot in step with the database.

use std::sync::Arc;
use std::time::{Duration, Instant};

use metrics::{counter, gauge};
use rowhouse_db::{Database, DbError, Following, ListenHub, follow};
use rowhouse_http::{Heartbeat, TookTooLong};
use rowhouse_kernel::Operation;

use crate::SchemaCache;

/// The debounce is PostgREST's.
const FOLLOWING: Following = Following {
    channel: "pgrst",
    ignored: &["reload config"],
    debounce: Duration::from_millis(100),
    retry: Duration::from_secs(2),
    limit: Duration::from_secs(60),
};

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

    /// Loads the schema; on failure the old snapshot stays.
    pub(crate) async fn reload(&self) -> Result<(), DbError> {
        let started = Instant::now();
        let loaded = self.load().await;
        let status = if loaded.is_ok() { "SUCCESS" } else { "FAIL" };
        // Under PostgREST's names.
        gauge!("pgrst_schema_cache_query_time_seconds").set(started.elapsed().as_secs_f64());
        counter!("pgrst_schema_cache_loads_total", "status" => status).increment(1);
        loaded
    }

    async fn load(&self) -> Result<(), DbError> {
        let schemas = self.schemas.clone();
        let load = async move |client: &tokio_postgres::Client| {
            // Foreign keys that came with the change get their tenant check before they are served.
            if let Err(error) = rowhouse_tenancy::refresh_references(client).await {
                tracing::warn!(%error, "tenant checks on foreign keys could not be brought up to date");
            }
            rowhouse_db::catalog::load(client, &schemas).await
        };
        let operation = Operation::system("rest.load_schema");
        let snapshot = self.database.control.statement(&operation, load).await?;
        self.database.data.schema_changed();
        self.cache.replace(snapshot);
        Ok(())
    }

    /// Reloads on `NOTIFY pgrst` and whenever listening begins anew, until it is dropped.
    pub(crate) async fn follow(self, hub: ListenHub, heartbeat: Heartbeat) {
        // A large schema takes longer than a task may be silent.
        let reload = || async {
            let late = |late: TookTooLong| Err(DbError::Unavailable(late.to_string().into()));
            heartbeat.within(FOLLOWING.limit, self.reload()).await.unwrap_or_else(late)
        };
        follow(&hub, FOLLOWING, reload, || heartbeat.beat()).await;
    }
}
