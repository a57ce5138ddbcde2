//! The control plane's pool: named transactions, retried after serialization failures and deadlocks, and named statements.

mod own;
mod session;
mod transaction;

use std::pin::Pin;
use std::time::{Duration, Instant};

use deadpool_postgres::{
    ClientWrapper, Connect, Hook, HookError, Manager, ManagerConfig, Metrics, Pool, PoolError,
    RecyclingMethod, Runtime, TimeoutType,
};
use futures_util::future::BoxFuture;
use metrics::{counter, histogram};
use rowhouse_kernel::{Operation, Secret};
use tokio::task::JoinHandle;
use tokio_postgres::CancelToken;

use crate::error::{DbError, Reason};
use crate::liveness::Liveness;
use crate::settings::DbSettings;
use crate::tls::Tls;
use crate::url::{ServerState, SessionAttrs, Target};

pub use own::OwnSession;
use session::SessionReset;
use transaction::InUse;
pub use transaction::{Batched, Transaction};

/// Most attempts of a transaction after serialization failures or deadlocks.
const MAX_ATTEMPTS: u32 = 5;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// The pool of the login `rowhouse`. Cheap to clone.
#[derive(Clone)]
pub struct Control {
    pool: Pool,
    tls: Tls,
    attrs: SessionAttrs,
    session_reset: SessionReset,
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
        let mut target = crate::url::target(url)?;
        target.config.application_name(name).connect_timeout(CONNECT_TIMEOUT);
        let (config, tls, attrs) = (target.config.clone(), target.tls.clone(), target.attrs);
        let session_reset = SessionReset::new(name, settings);
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let pool = Pool::builder(Manager::from_connect(config, target, recycling))
            .max_size(settings.control_pool_size.max(2) as usize)
            .wait_timeout(Some(settings.acquire_timeout))
            .create_timeout(Some(CONNECT_TIMEOUT))
            .post_create(Hook::async_fn(prepare(&session_reset)))
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| DbError::Unavailable(Reason::caused_by(error.to_string(), error)))?;
        Ok(Self {
            pool,
            tls,
            attrs,
            session_reset,
            acquire_timeout: settings.acquire_timeout,
            liveness: None,
        })
    }

    /// The same pool, whose operations fail as soon as the monitor finds the database down.
    #[must_use]
    pub fn guarded(mut self, liveness: Liveness) -> Self {
        self.liveness = Some(liveness);
        self
    }

    /// A connection outside any transaction: for reading catalogs and for loops that keep a connection. Decisions go
    /// through [`Control::run_tx`].
    ///
    /// # Errors
    /// If no connection is available.
    pub async fn connection(&self) -> Result<deadpool_postgres::Object, DbError> {
        self.pool.get().await.map_err(|error| match error {
            PoolError::Timeout(TimeoutType::Wait) => DbError::PoolTimeout(self.acquire_timeout),
            PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => {
                match DbError::from(error) {
                    DbError::Refused(error) => {
                        DbError::Unavailable(Reason::caused_by(format!("sign-in refused: {error}"), *error))
                    }
                    // Any other failure has ended the start-up before there was a session.
                    DbError::Protocol(why) => DbError::Unavailable(why),
                    other => other,
                }
            }
            other => DbError::Unavailable(Reason::caused_by(other.to_string(), other)),
        })
    }

    /// Runs `body` in a transaction and commits if it returns `Ok`. The operation's name is the label of its metrics;
    /// SQL reads the operation from the settings `rowhouse.operation`, `rowhouse.actor`,
    /// `rowhouse.impersonator`, `rowhouse.request_id`, `rowhouse.tenant`, `rowhouse.address` and `rowhouse.user_agent`.
    ///
    /// It is retried after a serialization failure or deadlock, so `body` may run more than once. `body` may run a
    /// project's code: the session is reset before the connection is reused.
    ///
    /// # Errors
    /// Those of `body`; and the database's.
    pub async fn run_tx<T, E: TransactionError>(
        &self,
        operation: &Operation,
        body: impl AsyncFn(&Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.observed(operation, self.attempts(operation, body)).await
    }

    /// Runs `body` on a connection outside any transaction: one statement, which is its own transaction and not
    /// retried, in one round trip where [`Control::run_tx`] takes three. It may write; it has none of the settings of
    /// [`Control::run_tx`].
    ///
    /// # Errors
    /// Those of `body`; and the database's.
    pub async fn statement<T, E: TransactionError>(
        &self,
        operation: &Operation,
        body: impl AsyncFn(&tokio_postgres::Client) -> Result<T, E>,
    ) -> Result<T, E> {
        let work = async {
            let connection = self.use_one().await?;
            let result = body(connection.client()?).await;
            connection.release();
            result
        };
        self.observed(operation, work).await
    }

    /// The same for statements that run no code of the project: they write neither `auth.users` nor a table of the project.
    /// The session is not reset afterwards, which takes as long as a short statement, and statements can be prepared.
    ///
    /// # Errors
    /// Those of `body`; and the database's.
    pub async fn own_statement<T, E: TransactionError>(
        &self,
        operation: &Operation,
        body: impl AsyncFn(&OwnSession<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let work = async {
            let connection = self.use_one().await?;
            let result = body(&OwnSession::new(connection.object()?)).await;
            match &result {
                Ok(_) => connection.keep(),
                Err(error) if is_stale(error) => connection.discard(),
                Err(_) => connection.release(),
            }
            result
        };
        self.observed(operation, work).await
    }

    /// Runs statements as one transaction in one round trip: what [`Control::run_tx`] does, for statements that are known
    /// before the first one is answered. Returns the rows of each.
    ///
    /// # Errors
    /// The first statement's that failed; and the database's.
    pub async fn run_batch(
        &self,
        operation: &Operation,
        statements: &[Batched<'_>],
    ) -> Result<Vec<Vec<tokio_postgres::Row>>, DbError> {
        let work = async {
            let mut attempt = 1;
            loop {
                match self.use_one().await?.run_batch(operation, statements).await {
                    Err(error) if attempt < MAX_ATTEMPTS && is_retryable(&error) => {
                        pause(operation, attempt).await;
                        attempt += 1;
                    }
                    outcome => return outcome,
                }
            }
        };
        self.observed(operation, work).await
    }

    async fn use_one(&self) -> Result<InUse, DbError> {
        Ok(InUse::new(self.connection().await?, self.session_reset.clone(), self.tls.clone()))
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
        body: impl AsyncFn(&Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut attempt = 1;
        loop {
            let connection = self.use_one().await?;
            match run_once(connection, operation, &body).await {
                Err(error) if attempt < MAX_ATTEMPTS && is_retryable(&error) => {
                    pause(operation, attempt).await;
                    attempt += 1;
                }
                outcome => return outcome,
            }
        }
    }

    /// Asks the server to end the statement that the token's connection runs, over a connection of its own.
    ///
    /// # Errors
    /// If the request cannot be sent. Having nothing to cancel is not an error.
    pub async fn cancel(&self, token: &CancelToken) -> Result<(), DbError> {
        Ok(token.cancel_query(self.tls.clone()).await?)
    }

    /// Runs one statement on any connection, to test whether a backend of a server answers that `target_session_attrs`
    /// accepts.
    pub(crate) async fn ping(&self) -> Result<(), DbError> {
        let client = self.connection().await?;
        if self.attrs == SessionAttrs::Any {
            return client.batch_execute("select 1").await.map_err(DbError::from);
        }
        let sql = "select pg_is_in_recovery(), current_setting('default_transaction_read_only') = 'on'";
        let row = client.query_one(sql, &[]).await?;
        let server = ServerState { is_standby: row.get(0), is_read_only: row.get(1) };
        match self.attrs.accepts(server) {
            true => Ok(()),
            false => Err(DbError::Unavailable(self.attrs.refusal().into())),
        }
    }

    /// Closes idle connections: to be called after a connection gave no answer, since others may be dead, too.
    pub fn forget_idle(&self) {
        self.pool.retain(|_, _| false);
    }

    /// Open connections, and how many of them are idle.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        let status = self.pool.status();
        (status.size, status.available)
    }
}

impl Connect for Target {
    fn connect(
        &self,
        _config: &tokio_postgres::Config,
    ) -> BoxFuture<'_, Result<(tokio_postgres::Client, JoinHandle<()>), tokio_postgres::Error>> {
        Box::pin(async move {
            let (client, connection) = Target::connect(self).await?;
            let driving = tokio::spawn(async move {
                if let Err(error) = crate::url::drive(connection).await {
                    tracing::debug!(%error, "a connection of the control plane has ended");
                }
            });
            Ok((client, driving))
        })
    }
}

type Prepared<'a> = Pin<Box<dyn Future<Output = Result<(), HookError>> + Send + 'a>>;

/// Sets up each new session after sign-in, since poolers refuse settings as start-up parameters.
fn prepare(
    session_reset: &SessionReset,
) -> impl for<'a> Fn(&'a mut ClientWrapper, &'a Metrics) -> Prepared<'a> + use<> {
    let session_reset = session_reset.clone();
    move |client, _| {
        let session_reset = session_reset.clone();
        Box::pin(async move {
            // The pool's time for creating a connection does not cover its hooks, and a pooler may accept a sign-in for which
            // it has no session.
            match tokio::time::timeout(CONNECT_TIMEOUT, client.batch_execute(session_reset.settings())).await
            {
                Ok(set) => set.map_err(HookError::Backend),
                Err(_) => Err(HookError::message("signed in, but no answer to the first statement")),
            }
        })
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
        Ok(value) => connection.commit().await.map(|()| value).map_err(E::from),
        Err(error) => {
            connection.roll_back().await;
            Err(error)
        }
    }
}

/// A prepared statement that a migration has changed the result of, or that is gone: the connection would keep failing.
fn is_stale(error: &impl TransactionError) -> bool {
    matches!(error.database().and_then(DbError::code), Some("0A000" | "26000"))
}

/// Before another attempt.
async fn pause(operation: &Operation, attempt: u32) {
    counter!("rowhouse_db_retries_total", "operation" => operation.name).increment(1);
    tokio::time::sleep(Duration::from_millis(5 << attempt)).await;
}

/// Serialization failure or deadlock: another attempt may succeed.
fn is_retryable(error: &impl TransactionError) -> bool {
    matches!(error.database().and_then(DbError::code), Some("40001" | "40P01"))
}

/// The interface of a body's error: convertible from a database error, and back if it still is one.
pub trait TransactionError: From<DbError> {
    /// The database error, if it is one.
    fn database(&self) -> Option<&DbError>;
}

impl TransactionError for DbError {
    fn database(&self) -> Option<&DbError> {
        Some(self)
    }
}
