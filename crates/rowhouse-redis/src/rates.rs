//! The shared store: bounded in time, and given up for a while when it fails, so that no request waits for a server that does
//! not answer. A background task connects; requests use what is there.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use futures_util::future::BoxFuture;
use metrics::{counter, gauge};
use rowhouse_http::Heartbeat;
use rowhouse_http::limit::{Allowance, Charge, RateStore, StoreError};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::key::Prefix;
use crate::link::{Connection, Opener};
use crate::script::{Counting, Gcra};
use crate::settings::RedisSettings;

/// How long nothing is tried after a failure.
const PAUSE: Duration = Duration::from_secs(2);
/// How often a server is asked that no request asks.
const PROBE_INTERVAL: Duration = Duration::from_secs(5);
/// How long connecting and the first answer may take together.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// Counters in Redis. Cheap to clone.
#[derive(Clone)]
pub struct RedisRates(Arc<Store>);

struct Store {
    opener: Opener,
    prefix: Prefix,
    gcra: Gcra,
    timeout: Duration,
    /// `None` while the server is not asked.
    connection: ArcSwapOption<Connection>,
    /// Why it is not, for the health report; `None` also before the first attempt.
    fault: Mutex<Option<String>>,
    lost: Notify,
}

impl std::fmt::Debug for RedisRates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisRates").field("prefix", &self.0.prefix).finish_non_exhaustive()
    }
}

impl RedisRates {
    /// As configured, with keys of their own for each `database`; `None` without `redis.url`. Connects once
    /// [`Self::keep_connected`] runs.
    ///
    /// # Errors
    /// If the settings cannot be used.
    pub fn new(settings: &RedisSettings, database: &str) -> Result<Option<Self>, String> {
        let Some(opener) = Opener::new(settings).transpose()? else { return Ok(None) };
        Ok(Some(Self(Arc::new(Store {
            opener,
            prefix: Prefix::new(&settings.key_prefix, database),
            gcra: Gcra::new(),
            timeout: settings.timeout,
            connection: ArcSwapOption::empty(),
            fault: Mutex::default(),
            lost: Notify::new(),
        }))))
    }

    /// Whether the server is used.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self) -> Result<(), String> {
        if self.0.connection.load().is_some() {
            return Ok(());
        }
        let fault = self.0.fault.lock().unwrap_or_else(PoisonError::into_inner);
        Err(fault.clone().unwrap_or_else(|| "not connected yet".to_owned()))
    }

    /// Connects, and again after each failure.
    pub async fn keep_connected(self, heartbeat: Heartbeat) {
        self.0.connect(&heartbeat).await;
        loop {
            let connection = self.0.connection.load_full();
            match connection {
                Some(connection) => self.0.watch(&connection, &heartbeat).await,
                None => {
                    heartbeat.sleep(PAUSE).await;
                    self.0.connect(&heartbeat).await;
                }
            }
        }
    }
}

impl Store {
    async fn connect(&self, heartbeat: &Heartbeat) {
        let opening = async {
            let mut connection = self.opener.open().await?;
            self.gcra.probe(&mut connection, &self.prefix).await.map(|()| connection)
        };
        match heartbeat.within(CONNECT_LIMIT, opening).await {
            Ok(Ok(connection)) => self.use_again(connection),
            Ok(Err(error)) => self.note(error.to_string()),
            Err(error) => self.note(error.to_string()),
        }
    }

    fn use_again(&self, connection: Connection) {
        self.connection.store(Some(Arc::new(connection)));
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = None;
        gauge!("rowhouse_redis_up").set(1.0);
        tracing::info!("rate limits are counted in Redis");
    }

    /// Returns once the connection has failed, or has been asked.
    async fn watch(&self, connection: &Arc<Connection>, heartbeat: &Heartbeat) {
        if heartbeat.idle(timeout(PROBE_INTERVAL, self.lost.notified())).await.is_ok() {
            return;
        }
        let mut used = Connection::clone(connection);
        let answer = timeout(self.timeout, self.gcra.probe(&mut used, &self.prefix)).await;
        if let Err(fault) = self.answered(answer) {
            self.give_up(connection, fault);
        }
    }

    async fn ask(&self, charges: &[Charge], counting: Counting) -> Result<Vec<Allowance>, StoreError> {
        let counted = self.ask_server(charges, counting).await;
        if counted.is_err() {
            counter!("rowhouse_redis_fallbacks_total").increment(1);
        }
        counted
    }

    async fn ask_server(&self, charges: &[Charge], counting: Counting) -> Result<Vec<Allowance>, StoreError> {
        let Some(connection) = self.connection.load_full() else {
            return Err(StoreError("Redis is not used for the moment".to_owned()));
        };
        let mut used = Connection::clone(&connection);
        let asking = self.gcra.run(&mut used, &self.prefix, charges, counting, None);
        match self.answered(timeout(self.timeout, asking).await) {
            Ok(allowances) if allowances.len() == charges.len() => Ok(allowances),
            Ok(_) => Err(self.give_up(&connection, "answers for other counters".to_owned())),
            Err(fault) => Err(self.give_up(&connection, fault)),
        }
    }

    fn answered<T>(
        &self,
        answer: Result<redis::RedisResult<T>, tokio::time::error::Elapsed>,
    ) -> Result<T, String> {
        match answer {
            Ok(answer) => answer.map_err(|error| error.to_string()),
            Err(_) => Err(format!("no answer within {:?}", self.timeout)),
        }
    }

    /// Drops the connection for all requests; of those that fail with it, the first does.
    fn give_up(&self, connection: &Arc<Connection>, fault: String) -> StoreError {
        let failed = Some(Arc::clone(connection));
        let before = self.connection.compare_and_swap(&failed, None);
        if before.as_ref().is_some_and(|before| Arc::ptr_eq(before, connection)) {
            self.note(fault.clone());
            self.lost.notify_one();
        }
        StoreError(fault)
    }

    /// Keeps the reason, and logs the first since the server was last used.
    fn note(&self, fault: String) {
        gauge!("rowhouse_redis_up").set(0.0);
        let mut kept = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.is_none() {
            tracing::warn!(error = %fault, "Redis does not work: this process counts for itself until it does");
        }
        *kept = Some(fault);
    }
}

impl RateStore for RedisRates {
    fn take<'s>(&'s self, charges: &'s [Charge]) -> BoxFuture<'s, Result<Vec<Allowance>, StoreError>> {
        Box::pin(self.0.ask(charges, Counting::Take))
    }

    fn look<'s>(&'s self, charges: &'s [Charge]) -> BoxFuture<'s, Result<Vec<Allowance>, StoreError>> {
        Box::pin(self.0.ask(charges, Counting::Look))
    }
}
