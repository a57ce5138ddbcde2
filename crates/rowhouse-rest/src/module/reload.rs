//! Keeps the data API's schema snapshot in step with the database, and records there which schema this process serves.

use std::sync::Arc;
use std::time::{Duration, Instant};

use metrics::{counter, gauge};
use rowhouse_db::migrate::{Process, database_time};
use rowhouse_db::{Database, DbError, Following, ListenHub, follow};
use rowhouse_http::{Heartbeat, TookTooLong};
use rowhouse_kernel::Operation;
use tokio_postgres::Client;

use crate::SchemaCache;

/// The debounce is PostgREST's.
const FOLLOWING: Following = Following {
    channel: "pgrst",
    ignored: &["reload config"],
    debounce: Duration::from_millis(100),
    retry: Duration::from_secs(2),
    limit: Duration::from_secs(60),
};
/// Interval and timeout of the process's heartbeat in the database.
const RECORD_INTERVAL: Duration = Duration::from_secs(5);

/// The snapshot and its source.
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
        let load = async move |client: &Client| {
            let read_at = database_time(client).await?;
            // New foreign keys get their tenant check before they are served.
            if let Err(error) = rowhouse_tenancy::refresh_references(client).await {
                tracing::warn!(%error, "tenant checks on foreign keys could not be brought up to date");
            }
            Ok::<_, DbError>((rowhouse_db::catalog::load(client, &schemas).await?, read_at))
        };
        let operation = Operation::system("rest.load_schema");
        let (snapshot, read_at) = self.database.control.statement(&operation, load).await?;
        self.database.data.schema_changed();
        self.cache.replace(snapshot);
        let process = self.process.clone();
        let record = async move |client: &Client| process.record(client, read_at).await;
        let operation = Operation::system("rest.record_schema");
        if let Err(error) = self.database.control.statement(&operation, record).await {
            tracing::debug!(%error, "which schema this process serves could not be recorded");
        }
        Ok(())
    }

    /// Reloads on `NOTIFY pgrst` and whenever listening restarts, until it is dropped.
    pub(crate) async fn follow(self, hub: ListenHub, heartbeat: Heartbeat) {
        // Loading a large schema takes longer than a task's heartbeat limit.
        let reload = || async {
            let late = |late: TookTooLong| Err(DbError::Unavailable(late.to_string().into()));
            heartbeat.within(FOLLOWING.limit, self.reload()).await.unwrap_or_else(late)
        };
        follow(&hub, FOLLOWING, reload, || heartbeat.beat()).await;
    }

    /// Writes heartbeats of the process until it stops; then removes its record.
    pub(crate) async fn record_process(self, heartbeat: Heartbeat) {
        loop {
            tokio::select! {
                () = heartbeat.sleep(RECORD_INTERVAL) => {}
                () = heartbeat.stopping() => break,
            }
            if let Ok(Err(error)) = heartbeat.within(RECORD_INTERVAL, self.touch()).await {
                tracing::debug!(%error, "that this process runs could not be recorded");
            }
        }
        let process = self.process.clone();
        let remove = async move |client: &Client| process.remove(client).await;
        // If removing fails, the record expires without heartbeats.
        let _stays = self.database.control.statement(&Operation::system("rest.remove_process"), remove).await;
    }

    async fn touch(&self) -> Result<bool, DbError> {
        let process = self.process.clone();
        let touch = async move |client: &Client| process.touch(client).await;
        self.database.control.statement(&Operation::system("rest.touch_process"), touch).await
    }
}
