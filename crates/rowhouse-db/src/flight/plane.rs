//! The data plane: chooses the login by the caller's role and runs flights.

use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use metrics::{counter, gauge, histogram};
use rowhouse_kernel::Secret;

use super::context::open_query;
use super::export::{Begun, Lines, Pieces, Value, begin};
use super::import::Import;
use super::login::Login;
use super::pipeline::{Pipeline, Statement};
use super::places::{Holder, Place, Size};
use super::pool::{Pool, PooledConnection};
use super::shared_send::Flight;
use super::{Access, End, Isolation, Query, RequestContext, Row};
use crate::error::DbError;
use crate::liveness::Liveness;
use crate::settings::DbSettings;

/// Without `begin`, so that an error before it leaves no transaction open: rolls back the flight's implicit transaction.
pub(super) static UNDO: LazyLock<[Query; 2]> = LazyLock::new(|| {
    ["set constraints all immediate", "rollback"].map(|sql| Query { sql: sql.into(), params: Vec::new() })
});

/// `set` without `begin`: it holds for the flight's implicit transaction, takes no snapshot before it, and PostgreSQL
/// begins the next one with the default again.
static ISOLATE: LazyLock<[Query; 3]> = LazyLock::new(|| {
    ["read committed", "repeatable read", "serializable"].map(|level| Query {
        sql: format!("set transaction_isolation to '{level}'").into(),
        params: Vec::new(),
    })
});

fn isolate(isolation: Isolation) -> &'static Query {
    &ISOLATE[match isolation {
        Isolation::ReadCommitted => 0,
        Isolation::RepeatableRead => 1,
        Isolation::Serializable => 2,
    }]
}

/// Both data-plane logins. Cheap to clone.
#[derive(Clone)]
pub struct DataPlane(Arc<Inner>);

struct Inner {
    callers: Arc<Pool>,
    service: Arc<Pool>,
    sizes: (u32, u32),
    schema_version: Arc<AtomicU64>,
    liveness: Liveness,
    live_sessions: bool,
    shared_sends: bool,
    /// The role under which opening statements are kept: that of the login.
    login_role: Arc<str>,
}

/// How a flight was or will be sent.
#[expect(clippy::large_enum_variant, reason = "moved once; an allocation for each request costs more")]
enum Way {
    Alone(PooledConnection),
    /// Already run, in a shared send.
    Together(Vec<Row>),
}

/// The two data-plane URLs.
#[derive(Debug, Clone)]
pub struct DataPlaneUrls {
    /// As `authenticator`: may become `anon`, `authenticated` and project roles.
    pub authenticator: Secret,
    /// As `authenticator_service`: may become `service_role` only.
    pub service: Secret,
}

impl DataPlane {
    /// Opens both pools; connections are made when first needed.
    ///
    /// # Errors
    /// If a URL cannot be read.
    pub fn open(
        urls: &DataPlaneUrls,
        settings: &DbSettings,
        live_sessions: bool,
        liveness: Liveness,
    ) -> Result<Self, DbError> {
        let schema_version = Arc::<AtomicU64>::default();
        let pool = |label, url, size| {
            let login = Login::from_url(url, settings.statement_timeout)?;
            Ok::<_, DbError>(Pool::new(
                label,
                login,
                size,
                settings.statement_cache_size,
                settings.acquire_timeout,
                Arc::clone(&schema_version),
            ))
        };
        let sizes = (settings.data_pool_size.max(1), settings.service_pool_size.max(1));
        Ok(Self(Arc::new(Inner {
            callers: pool("data", &urls.authenticator, Size::divided(sizes.0, settings.data_pool_share))?,
            service: pool("service", &urls.service, Size::undivided(sizes.1))?,
            sizes,
            schema_version: Arc::clone(&schema_version),
            liveness,
            live_sessions,
            shared_sends: settings.shared_sends,
            login_role: "".into(),
        })))
    }

    /// Runs `query` as `context.caller` in one round trip and one transaction, and returns its rows after the
    /// commit. Dropping the future cancels the query.
    ///
    /// # Errors
    /// [`DbError::Refused`] with SQLSTATE `RH401` when the session has ended and `RH403` when its tenant was left
    /// or suspended; else what the query raised, or the database's absence.
    pub async fn fly(&self, context: &RequestContext<'_>, query: &Query) -> Result<Vec<Row>, DbError> {
        let started = Instant::now();
        // Pinned here: a future that is passed by value to an async function is kept there twice.
        let work = pin!(self.fly_now(context, query));
        let result = self.0.liveness.guard(work).await;
        histogram!("db_client_operation_duration_seconds", "operation" => "flight").record(started.elapsed());
        result
    }

    async fn fly_now(&self, context: &RequestContext<'_>, query: &Query) -> Result<Vec<Row>, DbError> {
        let open = open_query(context, self.0.live_sessions);
        let pipeline = self.pipeline(context, &open, &[query]);
        match self.way(context, &pipeline).await? {
            Way::Alone(mut pooled) => pooled.connection()?.fly(&pipeline).await,
            Way::Together(rows) => Ok(rows),
        }
    }

    /// Gets a connection; if none is free, a read may join a shared send.
    async fn way(&self, context: &RequestContext<'_>, pipeline: &Pipeline<'_>) -> Result<Way, DbError> {
        let (pool, holder) = (self.pool(context), Holder::of(context));
        if let Some(pooled) = pool.borrow_now(holder).await {
            return pooled.map(Way::Alone);
        }
        if self.0.shared_sends
            && context.access == Access::ReadOnly
            && let Some(flight) = Flight::of(pipeline)
            && let Some(rows) = pool.fly_shared(holder, flight).await?
        {
            return Ok(Way::Together(rows));
        }
        pool.borrow(holder).await.map(Way::Alone)
    }

    /// As [`DataPlane::fly`], for a query of one row: a last column of several megabytes is streamed in pieces. For
    /// read-only transactions, since the pieces are sent before the commit.
    ///
    /// # Errors
    /// Those of [`DataPlane::fly`], and [`DbError::PoolTimeout`] when too many results are being streamed.
    pub async fn fly_value(&self, context: &RequestContext<'_>, query: &Query) -> Result<Value, DbError> {
        let started = Instant::now();
        // Pinned here: a future that is passed by value to an async function is kept there twice.
        let work = pin!(self.value_now(context, query));
        let result = self.0.liveness.guard(work).await;
        histogram!("db_client_operation_duration_seconds", "operation" => "flight").record(started.elapsed());
        result
    }

    async fn value_now(&self, context: &RequestContext<'_>, query: &Query) -> Result<Value, DbError> {
        let open = open_query(context, self.0.live_sessions);
        let pipeline = self.pipeline(context, &open, &[query]);
        let mut pooled = match self.way(context, &pipeline).await? {
            Way::Alone(pooled) => pooled,
            Way::Together(rows) => return Ok(Value::Whole(rows)),
        };
        match begin(pooled.connection()?, &pipeline).await? {
            Begun::Whole(rows) => Ok(Value::Whole(rows)),
            Begun::Long(leading, rest) => {
                let place = self.pool(context).stream_place(Holder::of(context)).await?;
                let length = rest.1;
                let pieces = Pieces::of_value(pooled, place, self.0.liveness.clone(), *rest);
                Ok(Value::Long(leading, length, Box::new(pieces)))
            }
        }
    }

    /// Runs `head` and `query` as `context.caller` in one transaction that only reads, and streams the first column
    /// of the query's rows, one line each.
    ///
    /// # Errors
    /// Those of [`DataPlane::fly`] as far as they come with the first lines, and [`DbError::PoolTimeout`] when too
    /// many results are being streamed.
    pub async fn fly_lines(
        &self,
        context: &RequestContext<'_>,
        head: &Query,
        query: &Query,
    ) -> Result<Lines, DbError> {
        let open = open_query(context, self.0.live_sessions);
        let pipeline = self.pipeline(context, &open, &[head, query]);
        let (pooled, place) = self.stream(context).await?;
        let pieces = Pieces::of_lines(pooled, place, self.0.liveness.clone());
        Lines::start(pieces, &pipeline).await
    }

    /// Begins a transaction as `context.caller` with the first of many batches.
    ///
    /// # Errors
    /// Those of [`DataPlane::fly`], and [`DbError::PoolTimeout`] when there are too many imports.
    pub async fn import(&self, context: &RequestContext<'_>, first: &Query) -> Result<Import, DbError> {
        let open = open_query(context, self.0.live_sessions);
        let mut pipeline = self.pipeline(context, &open, &[first]);
        pipeline.statements.truncate(pipeline.answering + 1);
        let places = self.stream(context).await?;
        Import::start(places, self.0.liveness.clone(), context.end, &pipeline).await
    }

    /// A connection for a stream, and a place for it.
    async fn stream(&self, context: &RequestContext<'_>) -> Result<(PooledConnection, Place), DbError> {
        let (pool, holder) = (self.pool(context), Holder::of(context));
        let borrowing = async {
            let place = pool.stream_place(holder).await?;
            Ok::<_, DbError>((pool.borrow(holder).await?, place))
        };
        self.0.liveness.guard(borrowing).await
    }

    fn pool(&self, context: &RequestContext<'_>) -> &Arc<Pool> {
        if context.caller.is_service() { &self.0.service } else { &self.0.callers }
    }

    /// The statements of a flight in order; the first of `queries` is the one that answers.
    fn pipeline<'a>(
        &'a self,
        context: &'a RequestContext<'_>,
        open: &'a Query,
        queries: &[&'a Query],
    ) -> Pipeline<'a> {
        let as_caller = |query| Statement { role: &context.caller.role, query };
        let as_login = |query| Statement { role: &self.0.login_role, query };
        let mut statements = Vec::with_capacity(6);
        statements.extend(context.isolation.map(isolate).map(as_login));
        statements.push(Statement { role: &self.0.login_role, query: open });
        let opening = statements.len();
        statements.extend(context.before.map(as_caller));
        let answering = statements.len();
        statements.extend(queries.iter().copied().map(as_caller));
        if context.end == End::Rollback {
            statements.extend(UNDO.iter().map(as_caller));
        }
        Pipeline { caller: Some(context.caller), statements, opening, answering }
    }

    /// Makes every connection prepare its statements again: to be called when a new schema has been read, before
    /// requests are planned with it.
    pub fn schema_changed(&self) {
        self.0.schema_version.fetch_add(1, Ordering::Release);
    }

    /// The version of the schema, by which connections tell whether their statements are of an older one.
    pub(crate) fn schema_version(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.0.schema_version)
    }

    /// Writes the pools' gauges; called when metrics are scraped.
    pub fn record_counts(&self) {
        for (label, pool, size) in
            [("data", &self.0.callers, self.0.sizes.0), ("service", &self.0.service, self.0.sizes.1)]
        {
            let (used, idle) = pool.counts(size as usize);
            gauge!("db_client_connection_count", "pool" => label, "state" => "used").set(used as f64);
            gauge!("db_client_connection_count", "pool" => label, "state" => "idle").set(idle as f64);
            counter!("db_client_shared_flights_total", "pool" => label).absolute(pool.shared_flights());
            gauge!("db_client_share_holders", "pool" => label).set(pool.share_holders() as f64);
        }
        let (used, _) = self.0.callers.counts(self.0.sizes.0 as usize);
        gauge!("pgrst_db_pool_max").set(f64::from(self.0.sizes.0));
        gauge!("pgrst_db_pool_available").set(f64::from(self.0.sizes.0) - used as f64);
    }

    /// Connections open, in use or idle.
    pub(crate) fn connection_count(&self) -> usize {
        let count = |pool: &Arc<Pool>, size: u32| {
            let (used, idle) = pool.counts(size as usize);
            used + idle
        };
        count(&self.0.callers, self.0.sizes.0) + count(&self.0.service, self.0.sizes.1)
    }
}
