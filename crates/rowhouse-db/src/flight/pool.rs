//! The connections of one data-plane login: bounded, opened on demand, never shared while in use.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use metrics::{counter, gauge};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::connection::{Connection, Phase};
use super::login::Login;
use super::shared_send::{self, Flight, Landed, Waiter};
use crate::error::DbError;

/// How long a new connection may take to sign in.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long an abandoned flight may take to end after its cancel request; then the connection is closed.
pub(super) const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

pub(crate) struct Pool {
    label: &'static str,
    login: Login,
    statement_cache_size: usize,
    /// The version of the schema, shared by all pools.
    schema_version: Arc<AtomicU64>,
    acquire_timeout: Duration,
    permits: Arc<Semaphore>,
    /// Permits for exports and imports, which hold a connection as long as their client takes: half of the pool.
    streams: Arc<Semaphore>,
    idle: Mutex<Vec<Connection>>,
    /// Flights that wait for a connection, in order.
    queue: Mutex<VecDeque<Waiter>>,
    waiters: AtomicU64,
    /// Flights of shared sends.
    shared_flights: AtomicU64,
}

/// A connection checked out. Dropped in the middle of a flight, it is cancelled and drained in the background, and
/// its permit is held until then. Dropped in the middle of an import, it is cancelled and closed.
pub(crate) struct PooledConnection {
    connection: Option<Connection>,
    permit: Option<OwnedSemaphorePermit>,
    pool: Arc<Pool>,
}

impl Pool {
    pub(crate) fn new(
        label: &'static str,
        login: Login,
        size: u32,
        statement_cache_size: u32,
        acquire_timeout: Duration,
        schema_version: Arc<AtomicU64>,
    ) -> Arc<Self> {
        gauge!("db_client_connection_max", "pool" => label).set(f64::from(size));
        // Initialized at start, under PostgREST's names, which have one pool.
        gauge!("pgrst_db_pool_waiting").set(0.0);
        counter!("pgrst_db_pool_timeouts_total").absolute(0);
        Arc::new(Self {
            label,
            login,
            // Room for opening statement and query at the same time.
            statement_cache_size: statement_cache_size.max(16) as usize,
            acquire_timeout,
            schema_version,
            permits: Arc::new(Semaphore::new(size.max(1) as usize)),
            streams: Arc::new(Semaphore::new((size / 2).max(1) as usize)),
            idle: Mutex::new(Vec::new()),
            queue: Mutex::default(),
            waiters: AtomicU64::new(0),
            shared_flights: AtomicU64::new(0),
        })
    }

    pub(crate) async fn borrow(self: &Arc<Self>) -> Result<PooledConnection, DbError> {
        let permit = self.acquire(&self.permits).await?;
        self.check_out(permit).await
    }

    /// Asks the server to cancel what `connection` runs.
    pub(super) async fn cancel(&self, connection: &Connection) -> Result<(), DbError> {
        counter!("db_client_flights_abandoned_total", "pool" => self.label).increment(1);
        connection.cancel(&self.login).await
    }

    /// A connection, if one is free at once.
    pub(crate) async fn borrow_now(self: &Arc<Self>) -> Option<Result<PooledConnection, DbError>> {
        let permit = Arc::clone(&self.permits).try_acquire_owned().ok()?;
        Some(self.check_out(permit).await)
    }

    /// What is rare is boxed, so that the futures of all requests stay small.
    async fn check_out(self: &Arc<Self>, permit: OwnedSemaphorePermit) -> Result<PooledConnection, DbError> {
        let version = self.schema_version.load(Ordering::Acquire);
        let connection = match self.take_idle() {
            Some(connection) if connection.session.schema_version == version => Some(connection),
            Some(connection) => Box::pin(renew(connection, version)).await,
            None => None,
        };
        let connection = match connection {
            Some(connection) => connection,
            None => Box::pin(self.open()).await?,
        };
        Ok(PooledConnection { connection: Some(connection), permit: Some(permit), pool: Arc::clone(self) })
    }

    /// Waits for a connection, or for a shared send.
    pub(crate) async fn fly_shared(self: &Arc<Self>, flight: Flight) -> Landed {
        let (number, mut answer) = {
            let mut queue = self.wait_queue();
            let number = self.waiters.fetch_add(1, Ordering::Relaxed);
            let (waiter, answer) = Waiter::new(number, flight);
            queue.push_back(waiter);
            (number, answer)
        };
        let waiting = Queued { pool: self, number };
        let permit = tokio::select! {
            biased;
            answer = &mut answer => return answered(answer),
            permit = self.wait_for(&self.permits) => permit,
        };
        if let Some(own) = waiting.take_back() {
            let mut pooled = self.check_out(self.in_time(permit)?).await?;
            let waiters = shared_send::gather(pooled.connection()?, own, &mut self.wait_queue());
            tokio::spawn(shared_send::run(pooled, waiters));
        } else {
            // Its own flight may need this permit.
            drop(permit);
        }
        answered(answer.await)
    }

    /// Runs flights that another flight has delayed.
    pub(super) async fn fly_elsewhere(self: Arc<Self>, mut waiters: Vec<Waiter>) {
        let pooled = self.borrow().await;
        waiters.retain(Waiter::is_awaited);
        match pooled {
            Ok(pooled) => shared_send::run(pooled, waiters).await,
            Err(error) => shared_send::refuse(waiters, &error),
        }
    }

    fn wait_queue(&self) -> std::sync::MutexGuard<'_, VecDeque<Waiter>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A permit for one export or import.
    pub(crate) async fn stream_place(&self) -> Result<OwnedSemaphorePermit, DbError> {
        self.acquire(&self.streams).await
    }

    async fn acquire(&self, places: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, DbError> {
        // The usual case needs no timer.
        if let Ok(permit) = Arc::clone(places).try_acquire_owned() {
            return Ok(permit);
        }
        let permit = self.wait_for(places).await;
        self.in_time(permit)
    }

    /// `None` after the timeout.
    async fn wait_for(&self, places: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
        let _waiting = Waiting::begin();
        let waited = tokio::time::timeout(self.acquire_timeout, Arc::clone(places).acquire_owned()).await;
        waited.ok().and_then(Result::ok)
    }

    fn in_time(&self, permit: Option<OwnedSemaphorePermit>) -> Result<OwnedSemaphorePermit, DbError> {
        permit.ok_or_else(|| {
            counter!("db_client_connection_timeouts", "pool" => self.label).increment(1);
            counter!("pgrst_db_pool_timeouts_total").increment(1);
            DbError::PoolTimeout(self.acquire_timeout)
        })
    }

    /// The most recently used live connection, whose backend's caches are warm.
    fn take_idle(&self) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(connection) = idle.pop() {
            if connection.is_usable() {
                return Some(connection);
            }
        }
        None
    }

    async fn open(&self) -> Result<Connection, DbError> {
        counter!("db_client_connections_opened_total", "pool" => self.label).increment(1);
        let version = self.schema_version.load(Ordering::Acquire);
        let opening = Connection::open(&self.login, self.statement_cache_size, version);
        tokio::time::timeout(CONNECT_TIMEOUT, opening).await.unwrap_or_else(|_| {
            Err(DbError::Unavailable(format!("no sign-in within {CONNECT_TIMEOUT:?}").into()))
        })
    }

    fn give_back(&self, connection: Connection) {
        if connection.phase == Phase::Idle {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        }
    }

    /// Counts the flights of a shared send.
    pub(super) fn count_shared(&self, flights: usize) {
        if flights > 1 {
            self.shared_flights.fetch_add(flights as u64, Ordering::Relaxed);
        }
    }

    pub(crate) fn shared_flights(&self) -> u64 {
        self.shared_flights.load(Ordering::Relaxed)
    }

    /// Connections in use and idle.
    pub(crate) fn counts(&self, size: usize) -> (usize, usize) {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).len();
        (size.saturating_sub(self.permits.available_permits()), idle)
    }
}

/// Counts a waiting request in the gauge until it is dropped.
struct Waiting(metrics::Gauge);

impl Waiting {
    fn begin() -> Self {
        let gauge = gauge!("pgrst_db_pool_waiting");
        gauge.increment(1.0);
        Self(gauge)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

/// A waiter in the wait queue; removed when its request is dropped.
struct Queued<'a> {
    pool: &'a Pool,
    number: u64,
}

impl Queued<'_> {
    /// The waiter, unless a shared send has taken it.
    fn take_back(&self) -> Option<Waiter> {
        let mut queue = self.pool.wait_queue();
        let at = queue.binary_search_by_key(&self.number, |waiter| waiter.number).ok()?;
        queue.remove(at)
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        drop(self.take_back());
    }
}

fn answered(answer: Result<Landed, tokio::sync::oneshot::error::RecvError>) -> Landed {
    answer.unwrap_or_else(|_| Err(DbError::Protocol("a shared send ended without an answer".into())))
}

impl PooledConnection {
    pub(super) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    pub(crate) fn connection(&mut self) -> Result<&mut Connection, DbError> {
        self.connection
            .as_mut()
            .ok_or_else(|| DbError::Protocol("the pooled connection was given back".into()))
    }
}

impl Drop for PooledConnection {
    fn drop(&mut self) {
        let (Some(connection), Some(permit)) = (self.connection.take(), self.permit.take()) else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        match connection.phase {
            Phase::Reading => drop(runtime.spawn(abandon(connection, permit, Arc::clone(&self.pool)))),
            Phase::Midway => drop(runtime.spawn(close(connection, permit, Arc::clone(&self.pool)))),
            Phase::Idle | Phase::Broken => self.pool.give_back(connection),
        }
    }
}

/// The connection, without statements prepared before the schema changed, which would parse parameters by the old
/// types. `None` if that fails.
async fn renew(mut connection: Connection, version: u64) -> Option<Connection> {
    let forgotten = tokio::time::timeout(DRAIN_TIMEOUT, connection.forget_all()).await;
    connection.session.schema_version = version;
    matches!(forgotten, Ok(Ok(()))).then_some(connection)
}

/// Cancels the connection's query and closes it: without a Sync its answer has no end.
async fn close(connection: Connection, permit: OwnedSemaphorePermit, pool: Arc<Pool>) {
    counter!("db_client_flights_abandoned_total", "pool" => pool.label).increment(1);
    let cancelled = tokio::time::timeout(DRAIN_TIMEOUT, connection.cancel(&pool.login)).await;
    tracing::debug!(?cancelled, "connection closed in the middle of a flight");
    drop((connection, permit));
}

/// Cancels what the connection still runs, reads the answer to its end, and returns it.
async fn abandon(mut connection: Connection, permit: OwnedSemaphorePermit, pool: Arc<Pool>) {
    counter!("db_client_flights_abandoned_total", "pool" => pool.label).increment(1);
    match tokio::time::timeout(DRAIN_TIMEOUT, connection.drain(&pool.login)).await {
        Ok(Ok(())) => pool.give_back(connection),
        Ok(Err(error)) => tracing::debug!(%error, "abandoned connection dropped"),
        Err(_) => tracing::warn!("abandoned connection did not end in time and was dropped"),
    }
    drop(permit);
}
