//! The control plane's pool: named transactions, begun again when PostgreSQL asks for it, and named statements.

mod transaction;

use std::pin::Pin;
use std::time::{Duration, Instant};

use deadpool_postgres::{
    ClientWrapper, Hook, HookError, Manager, ManagerConfig, Metrics, Pool, PoolError, RecyclingMethod,
    Runtime, TimeoutType,
};
use metrics::{counter, histogram};
use rowhouse_kernel::{Operation, Secret, settings::DbSettings};
use tokio_postgres::CancelToken;

use crate::error::{DbError, Reason};
use crate::liveness::Liveness;
use crate::tls::Tls;
use crate::url::Target;

pub use transaction::Transaction;
use transaction::{InUse, Reuse};

/// How often a transaction is begun again after a serialization failure or deadlock.
const MAX_ATTEMPTS: u32 = 5;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// The pool of the login `rowhouse`. Cheap to clone.
#[derive(Clone)]
pub struct Control {
    pool: Pool,
    tls: Tls,
    acquire_timeout: Duration,
    liveness: Option<Liveness>,
}

impl std::fmt::Debug for Control {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Control").field("status", &self.pool.status()).finish_non_exhaustive()
    }
}

impl Control {
    /// Opens a pool on `url`; connections are made when first needed.
    ///
    /// # Errors
    /// If the URL cannot be read.
    pub fn open(url: &Secret, settings: &DbSettings) -> Result<Self, DbError> {
        Self::open_named("rowhouse-control", url, settings)
    }

    /// The same under another name than `rowhouse-control` in `pg_stat_activity`: each pool has one of its own.
    ///
    /// # Errors
    /// If the URL cannot be read.
    pub fn open_named(name: &str, url: &Secret, settings: &DbSettings) -> Result<Self, DbError> {
        let Target { mut config, tls } = crate::url::target(url)?;
        config.application_name(name).connect_timeout(CONNECT_TIMEOUT);
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let pool = Pool::builder(Manager::from_config(config, tls.clone(), recycling))
            .max_size(settings.control_pool_size.max(2) as usize)
            .wait_timeout(Some(settings.acquire_timeout))
            .create_timeout(Some(CONNECT_TIMEOUT))
            .post_create(Hook::async_fn(prepare(settings)))
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| DbError::Unavailable(Reason::caused_by(error.to_string(), error)))?;
        Ok(Self { pool, tls, acquire_timeout: settings.acquire_timeout, liveness: None })
    }

    /// The same pool, but giving up as soon as the monitor finds the database down.
    #[must_use]
    pub fn guarded(mut self, liveness: Liveness) -> Self {
        self.liveness = Some(liveness);
        self
    }

    /// A connection outside any transaction: for reading catalogs and for LISTEN-like needs. Decisions go
    /// through [`Control::run_tx`].
    ///
    /// # Errors
    /// If no connection can be had.
    pub async fn connection(&self) -> Result<deadpool_postgres::Object, DbError> {
        self.pool.get().await.map_err(|error| match error {
            PoolError::Timeout(TimeoutType::Wait) => DbError::PoolTimeout(self.acquire_timeout),
            PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => {
                match DbError::from(error) {
                    DbError::Refused(error) => {
                        DbError::Unavailable(Reason::caused_by(format!("sign-in refused: {error}"), *error))
                    }
                    // What is no error of the server ends the start-up before there is a session.
                    DbError::Protocol(why) => DbError::Unavailable(why),
                    other => other,
                }
            }
            other => DbError::Unavailable(Reason::caused_by(other.to_string(), other)),
        })
    }

    /// Runs `body` in a transaction and commits if it returns `Ok`. The operation's name is the label of its metrics, and
    /// the transaction's SQL finds it in the settings `rowhouse.operation`, `rowhouse.actor`, `rowhouse.request_id`,
    /// `rowhouse.tenant` and `rowhouse.address`.
    ///
    /// A serialization failure or deadlock begins it again, so `body` must bear being run more than once.
    ///
    /// # Errors
    /// Those of `body`; and the database's.
    pub async fn run_tx<T, E: TransactionError>(
        &self,
        operation: &Operation,
        body: impl AsyncFn(&Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.observed(operation, self.attempts(operation, Reuse::AsItIs, body)).await
    }

    /// As [`Control::run_tx`], for a body that runs a project's code: nothing that a session can hold (cursors, temporary
    /// objects, settings, prepared statements, advisory locks, LISTEN) is left to the next user of the connection, which is
    /// closed where that cannot be had.
    ///
    /// # Errors
    /// Those of [`Control::run_tx`].
    pub async fn run_tx_and_discard<T, E: TransactionError>(
        &self,
        operation: &Operation,
        body: impl AsyncFn(&Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.observed(operation, self.attempts(operation, Reuse::Discarded, body)).await
    }

    /// Runs `body` on a connection outside any transaction: one statement, which is a transaction of its own and not begun
    /// again, at the cost of one round trip where [`Control::run_tx`] takes three. It may write; it has none of the
    /// settings of [`Control::run_tx`].
    ///
    /// # Errors
    /// Those of `body`; and the database's.
    pub async fn statement<T, E: TransactionError>(
        &self,
        operation: &Operation,
        body: impl AsyncFn(&tokio_postgres::Client) -> Result<T, E>,
    ) -> Result<T, E> {
        let work = async {
            let connection = InUse::new(self.connection().await?, self.tls.clone(), Reuse::AsItIs);
            let result = body(connection.client()?).await;
            connection.finish().await;
            result
        };
        self.observed(operation, work).await
    }

    async fn observed<T, E: From<DbError>>(
        &self,
        operation: &Operation,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let started = Instant::now();
        let result = match &self.liveness {
            Some(liveness) => liveness.guard(work).await,
            None => work.await,
        };
        let outcome = if result.is_ok() { "committed" } else { "failed" };
        histogram!("db_client_operation_duration_seconds", "operation" => operation.name, "outcome" => outcome)
            .record(started.elapsed());
        result
    }

    async fn attempts<T, E: TransactionError>(
        &self,
        operation: &Operation,
        reuse: Reuse,
        body: impl AsyncFn(&Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut attempt = 1;
        loop {
            let connection = InUse::new(self.connection().await?, self.tls.clone(), reuse);
            match run_once(connection, operation, &body).await {
                Err(error) if attempt < MAX_ATTEMPTS && is_retryable(&error) => {
                    counter!("rowhouse_db_retries_total", "operation" => operation.name).increment(1);
                    tokio::time::sleep(Duration::from_millis(5 << attempt)).await;
                    attempt += 1;
                }
                outcome => return outcome,
            }
        }
    }

    /// Asks the server to end the statement that the token's connection runs, over a connection of its own.
    ///
    /// # Errors
    /// If the request cannot be sent. That there was nothing to cancel is none.
    pub async fn cancel(&self, token: &CancelToken) -> Result<(), DbError> {
        Ok(token.cancel_query(self.tls.clone()).await?)
    }

    /// One statement on any connection: does a backend answer?
    pub(crate) async fn ping(&self) -> Result<(), DbError> {
        let client = self.connection().await?;
        client.batch_execute("select 1").await.map_err(DbError::from)
    }

    /// Closes the connections that nobody uses now: after one that gave no answer, which would be handed out again.
    pub fn forget_idle(&self) {
        self.pool.retain(|_, _| false);
    }

    /// Connections open, and of those idle.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        let status = self.pool.status();
        (status.size, status.available)
    }
}

type Prepared<'a> = Pin<Box<dyn Future<Output = Result<(), HookError>> + Send + 'a>>;

/// The limits of each new session. They are set after sign-in: poolers refuse them at the start of a connection.
fn prepare(
    settings: &DbSettings,
) -> impl for<'a> Fn(&'a mut ClientWrapper, &'a Metrics) -> Prepared<'a> + use<> {
    let limits = [
        ("statement_timeout", settings.control_statement_timeout),
        ("lock_timeout", settings.control_lock_timeout),
        ("idle_in_transaction_session_timeout", settings.control_idle_in_transaction_timeout),
    ];
    let sql = limits.map(|(name, limit)| format!("set {name} = {};", limit.as_millis())).concat();
    move |client, _| {
        let sql = sql.clone();
        Box::pin(async move { client.batch_execute(&sql).await.map_err(HookError::Backend) })
    }
}

async fn run_once<T, E: TransactionError>(
    connection: InUse,
    operation: &Operation,
    body: &impl AsyncFn(&Transaction<'_>) -> Result<T, E>,
) -> Result<T, E> {
    let transaction = connection.begin(operation).await?;
    let result = body(&transaction).await;
    match result {
        Ok(value) => {
            let committed = transaction.batch_execute("commit").await;
            connection.finish().await;
            committed.map(|()| value).map_err(|error| DbError::from(error).into())
        }
        Err(error) => {
            // A rollback that fails has lost its connection, which rolls back too; the first error says more.
            let _lost = transaction.batch_execute("rollback").await;
            connection.finish().await;
            Err(error)
        }
    }
}

/// Serialization failure or deadlock: another attempt may well succeed.
fn is_retryable(error: &impl TransactionError) -> bool {
    matches!(error.database().and_then(DbError::code), Some("40001" | "40P01"))
}

/// What a transaction has to know of its body's error: made from the database's, and whether it still is one.
pub trait TransactionError: From<DbError> {
    /// The database's error inside, if that is what it is.
    fn database(&self) -> Option<&DbError>;
}

impl TransactionError for DbError {
    fn database(&self) -> Option<&DbError> {
        Some(self)
    }
}
