//! The connections of one data-plane login: bounded, opened on demand, never shared while in use.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use metrics::{counter, gauge};
use tokio::time::{Instant, timeout_at};

use super::connection::{Connection, Phase};
use super::login::Login;
use super::places::{Claim, Granted, Holder, Place, Places, Size};
use super::queue::Queue;
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
    connections: Places,
    /// Exports and imports hold a connection as long as their client takes: half of the pool is for them.
    streams: Places,
    idle: Mutex<Vec<Connection>>,
    /// Flights that have their share and wait for a connection.
    queue: Queue,
    /// Flights of shared sends.
    shared_flights: AtomicU64,
}

/// A connection checked out. Dropped in the middle of a flight, it is cancelled and drained in the background, and
/// its place is held until then. Dropped in the middle of an import, it is cancelled and closed.
pub(crate) struct PooledConnection {
    connection: Option<Connection>,
    place: Option<Place>,
    pool: Arc<Pool>,
}

impl Pool {
    pub(crate) fn new(
        label: &'static str,
        login: Login,
        size: Size,
        statement_cache_size: u32,
        acquire_timeout: Duration,
        schema_version: Arc<AtomicU64>,
    ) -> Arc<Self> {
        gauge!("db_client_connection_max", "pool" => label).set(size.all as f64);
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
            connections: Places::new(label, "connections", size),
            streams: Places::new(label, "streams", size.streams()),
            idle: Mutex::new(Vec::new()),
            queue: Queue::default(),
            shared_flights: AtomicU64::new(0),
        })
    }

    pub(crate) async fn borrow(self: &Arc<Self>, holder: Holder) -> Result<PooledConnection, DbError> {
        let place = self.acquire(&self.connections, holder).await?;
        self.check_out(place).await
    }

    /// Asks the server to cancel what `connection` runs.
    pub(super) async fn cancel(&self, connection: &Connection) -> Result<(), DbError> {
        counter!("db_client_flights_abandoned_total", "pool" => self.label).increment(1);
        connection.cancel(&self.login).await
    }

    /// A connection, if one is free at once.
    pub(crate) async fn borrow_now(
        self: &Arc<Self>,
        holder: Holder,
    ) -> Option<Result<PooledConnection, DbError>> {
        let place = self.connections.try_take(holder)?;
        Some(self.check_out(place).await)
    }

    /// What is rare is boxed, so that the futures of all requests stay small.
    async fn check_out(self: &Arc<Self>, place: Place) -> Result<PooledConnection, DbError> {
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
        Ok(PooledConnection { connection: Some(connection), place: Some(place), pool: Arc::clone(self) })
    }

    /// Waits for a connection, or for a shared send.
    pub(crate) async fn fly_shared(self: &Arc<Self>, holder: Holder, flight: Flight) -> Landed {
        let (mut waiter, mut answer) = Waiter::new(holder, flight);
        let deadline = Instant::now() + self.acquire_timeout;
        let _waiting = Waiting::begin();
        match self.connections.claim(holder).map(Claim::try_grant) {
            None => {}
            Some(Ok(granted)) => waiter.share = Some(granted),
            Some(Err(claim)) => {
                let share = Arc::clone(&claim.share);
                let queued = share.queue.push(waiter);
                let granted = tokio::select! {
                    biased;
                    answer = &mut answer => return answered(answer),
                    granted = timeout_at(deadline, claim.grant()) => granted.ok().flatten(),
                };
                // Else a shared send has taken it, which may need this share.
                let Some(own) = queued.take_back() else {
                    drop(granted);
                    return answered(answer.await);
                };
                waiter = own;
                waiter.share = Some(self.share_in_time(granted)?);
            }
        }
        let queued = self.queue.push(waiter);
        let place = tokio::select! {
            biased;
            answer = &mut answer => return answered(answer),
            place = timeout_at(deadline, self.connections.wait(None)) => place.ok().flatten(),
        };
        if let Some(own) = queued.take_back() {
            let mut pooled = self.check_out(self.in_time(place)?).await?;
            let waiters = self.gather(&mut pooled, own);
            tokio::spawn(shared_send::run(pooled, waiters));
        } else {
            // Its own flight may need this place.
            drop(place);
        }
        answered(answer.await)
    }

    /// Collects flights to send with `own`: those that wait for a connection. Only if there are none, those that wait
    /// for the same share; all of them then use the place of `own`.
    fn gather(&self, pooled: &mut PooledConnection, mut own: Waiter) -> Vec<Waiter> {
        let (Some(connection), Some(place)) = (&pooled.connection, &mut pooled.place) else {
            return vec![own];
        };
        let mut others = self.queue.lock();
        let Some(granted) = own.share.take_if(|_| others.waiters.is_empty()) else {
            return shared_send::gather(connection, own, &mut others.waiters);
        };
        drop(others);
        let queue = &place.share.insert(granted).claim.share.queue;
        shared_send::gather(connection, own, &mut queue.lock().waiters)
    }

    /// Runs flights that another flight has delayed. Those that have their share do not wait for those that have not.
    pub(super) async fn fly_elsewhere(self: Arc<Self>, waiters: Vec<Waiter>) {
        let (granted, others) = waiters.into_iter().partition(|waiter| waiter.share.is_some());
        tokio::join!(self.fly_group(granted), self.fly_group(others));
    }

    async fn fly_group(self: &Arc<Self>, mut waiters: Vec<Waiter>) {
        // Without their share, all are of the same holder, or there are no shares.
        let Some((holder, granted)) = waiters.first().map(|first| (first.holder, first.share.is_some()))
        else {
            return;
        };
        let pooled = if granted { self.borrow_granted().await } else { self.borrow(holder).await };
        waiters.retain(Waiter::is_awaited);
        match pooled {
            Ok(pooled) => shared_send::run(pooled, waiters).await,
            Err(error) => shared_send::refuse(waiters, &error),
        }
    }

    /// A connection for flights that keep their shares.
    async fn borrow_granted(self: &Arc<Self>) -> Result<PooledConnection, DbError> {
        let _waiting = Waiting::begin();
        let waited = timeout_at(Instant::now() + self.acquire_timeout, self.connections.wait(None)).await;
        self.check_out(self.in_time(waited.ok().flatten())?).await
    }

    /// A place for one export or import.
    pub(crate) async fn stream_place(&self, holder: Holder) -> Result<Place, DbError> {
        self.acquire(&self.streams, holder).await
    }

    async fn acquire(&self, places: &Places, holder: Holder) -> Result<Place, DbError> {
        // The usual case needs no timer.
        if let Some(place) = places.try_take(holder) {
            return Ok(place);
        }
        let _waiting = Waiting::begin();
        let deadline = Instant::now() + self.acquire_timeout;
        let share = match places.claim(holder).map(Claim::try_grant) {
            None => None,
            Some(Ok(granted)) => Some(granted),
            Some(Err(claim)) => {
                let granted = timeout_at(deadline, claim.grant()).await;
                Some(self.share_in_time(granted.ok().flatten())?)
            }
        };
        let place = timeout_at(deadline, places.wait(share)).await;
        self.in_time(place.ok().flatten())
    }

    fn in_time(&self, place: Option<Place>) -> Result<Place, DbError> {
        place.ok_or_else(|| {
            self.count_timeout();
            DbError::PoolTimeout(self.acquire_timeout)
        })
    }

    fn share_in_time(&self, share: Option<Granted>) -> Result<Granted, DbError> {
        share.ok_or_else(|| {
            self.count_timeout();
            DbError::ShareTimeout(self.acquire_timeout)
        })
    }

    fn count_timeout(&self) {
        counter!("db_client_connection_timeouts", "pool" => self.label).increment(1);
        counter!("pgrst_db_pool_timeouts_total").increment(1);
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
        (size.saturating_sub(self.connections.available()), idle)
    }

    /// Tenants and other callers that use or await a connection or a stream, where they have shares.
    pub(crate) fn share_holders(&self) -> usize {
        self.connections.holders().max(self.streams.holders())
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
        let (Some(connection), Some(place)) = (self.connection.take(), self.place.take()) else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        match connection.phase {
            Phase::Reading => drop(runtime.spawn(abandon(connection, place, Arc::clone(&self.pool)))),
            Phase::Midway => drop(runtime.spawn(close(connection, place, Arc::clone(&self.pool)))),
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
async fn close(connection: Connection, place: Place, pool: Arc<Pool>) {
    counter!("db_client_flights_abandoned_total", "pool" => pool.label).increment(1);
    let cancelled = tokio::time::timeout(DRAIN_TIMEOUT, connection.cancel(&pool.login)).await;
    tracing::debug!(?cancelled, "connection closed in the middle of a flight");
    drop((connection, place));
}

/// Cancels what the connection still runs, reads the answer to its end, and returns it.
async fn abandon(mut connection: Connection, place: Place, pool: Arc<Pool>) {
    counter!("db_client_flights_abandoned_total", "pool" => pool.label).increment(1);
    match tokio::time::timeout(DRAIN_TIMEOUT, connection.drain(&pool.login)).await {
        Ok(Ok(())) => pool.give_back(connection),
        Ok(Err(error)) => tracing::debug!(%error, "abandoned connection dropped"),
        Err(_) => tracing::warn!("abandoned connection did not end in time and was dropped"),
    }
    drop(place);
}
