//! The control plane's reads that answer a request by themselves: one prepared statement each, over connections of their own.
//! They are flights without a caller's context, so they go from the request's task to the socket and share sends under
//! load, where `Control` has a task for each connection. Leaves everything that writes to `Control`.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

use metrics::{counter, gauge, histogram};
use rowhouse_kernel::{Operation, Secret};

use super::login::Login;
use super::pipeline::{Pipeline, Statement};
use super::places::{Holder, Size};
use super::pool::Pool;
use super::shared_send::Flight;
use super::{Query, Row};
use crate::error::DbError;
use crate::liveness::Liveness;
use crate::settings::DbSettings;

/// The name of its sessions in `pg_stat_activity`.
const APPLICATION_NAME: &str = "rowhouse-lookup";
const LABEL: &str = "lookup";

/// The pool of these reads. Cheap to clone.
#[derive(Clone)]
pub struct Lookups(Arc<Inner>);

struct Inner {
    pool: Arc<Pool>,
    size: u32,
    liveness: Liveness,
    shared_sends: bool,
    role: Arc<str>,
}

impl std::fmt::Debug for Lookups {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lookups").field("size", &self.0.size).finish_non_exhaustive()
    }
}

impl Lookups {
    pub(crate) fn open(
        url: &Secret,
        settings: &DbSettings,
        schema_version: Arc<AtomicU64>,
        liveness: Liveness,
    ) -> Result<Self, DbError> {
        let login = Login::from_url(url, settings.control_statement_timeout)?.of_program(APPLICATION_NAME);
        let size = settings.lookup_pool_size.max(1);
        let pool = Pool::new(
            LABEL,
            login,
            Size::undivided(size),
            settings.statement_cache_size,
            settings.acquire_timeout,
            schema_version,
        );
        let shared_sends = settings.shared_sends;
        Ok(Self(Arc::new(Inner { pool, size, liveness, shared_sends, role: "".into() })))
    }

    /// The rows of one statement that only reads; each value as text. The operation's name is the label of its metrics.
    ///
    /// # Errors
    /// The database's.
    pub async fn rows(&self, operation: &Operation, query: &Query) -> Result<Vec<Row>, DbError> {
        let started = Instant::now();
        let result = self.0.liveness.guard(self.read(query)).await;
        let outcome = if result.is_ok() { "committed" } else { "failed" };
        histogram!("db_client_operation_duration_seconds", "operation" => operation.name, "outcome" => outcome)
            .record(started.elapsed());
        result
    }

    async fn read(&self, query: &Query) -> Result<Vec<Row>, DbError> {
        let statements = vec![Statement { role: &self.0.role, query }];
        let pipeline = Pipeline { caller: None, statements, opening: 0, answering: 0 };
        let pool = &self.0.pool;
        if let Some(pooled) = pool.borrow_now(Holder::Unknown).await {
            return pooled?.connection()?.fly(&pipeline).await;
        }
        if self.0.shared_sends
            && let Some(flight) = Flight::of(&pipeline)
            && let Some(rows) = pool.fly_shared(Holder::Unknown, flight).await?
        {
            return Ok(rows);
        }
        pool.borrow(Holder::Unknown).await?.connection()?.fly(&pipeline).await
    }

    /// Writes the pool's gauges; called when metrics are scraped.
    pub fn record_counts(&self) {
        let (used, idle) = self.counts();
        gauge!("db_client_connection_count", "pool" => LABEL, "state" => "used").set(used as f64);
        gauge!("db_client_connection_count", "pool" => LABEL, "state" => "idle").set(idle as f64);
        counter!("db_client_shared_flights_total", "pool" => LABEL).absolute(self.0.pool.shared_flights());
    }

    /// Connections in use, and idle.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        self.0.pool.counts(self.0.size as usize)
    }
}
