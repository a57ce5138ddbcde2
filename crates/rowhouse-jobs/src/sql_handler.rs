//! Calls a function of the project in the transaction that completes the job, so that effect and completion are one: the
//! one that a job of the kind `jobs.sql` names, or the one that its declared kind stands for. Which functions may be
//! called, and as whom, is decided by the migration `jobs_functions`.

use rowhouse_kernel::Operation;
use std::sync::Arc;
use std::time::Duration;

use rowhouse_db::Transaction;
use rowhouse_db::{Control, DbError, TransactionError};
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;
use tokio_postgres::{CancelToken, NoTls};

use crate::Kind;
use crate::{Handler, HandlerFuture, Job, JobError, JobResult};

/// The kind's name.
pub(crate) const KIND: &str = "jobs.sql";
/// Functions that run at once in one process. They have connections of their own, so that slow ones hold up nobody else.
pub const MOST_AT_ONCE: u32 = 8;
/// Results larger than this belong into a table.
const MOST_RESULT: usize = 64 * 1024;

/// Where a scheduled job carries the time that it stands for. Passed on to functions that have such an argument.
const SCHEDULED_AT: &str = "scheduled_at";

/// Calls functions. Clones share their connections.
#[derive(Debug, Clone)]
pub struct SqlHandler {
    control: Control,
    search_path: String,
    permits: Arc<Semaphore>,
    /// What a declared kind calls; else the job says it.
    function: Option<String>,
}

impl SqlHandler {
    /// `control` holds at least [`MOST_AT_ONCE`] connections that nobody else needs; `search_path` is what functions see.
    #[must_use]
    pub fn new(control: Control, search_path: impl Into<String>) -> Self {
        let permits = Arc::new(Semaphore::new(MOST_AT_ONCE as usize));
        Self { control, search_path: search_path.into(), permits, function: None }
    }

    /// The same for a declared kind: it calls this function, and the payload holds its arguments.
    #[must_use]
    pub fn calling(&self, function: &str) -> Self {
        Self { function: Some(function.to_owned()), ..self.clone() }
    }

    /// The kind.
    #[must_use]
    pub fn kind() -> Kind {
        Kind::new(KIND)
    }

    async fn call(&self, job: &Job) -> JobResult {
        let call = match &self.function {
            Some(function) => Call { function: function.clone(), args: Value::Object(job.payload.clone()) },
            None => Call::read(job)?,
        };
        let Ok(_permit) = self.permits.acquire().await else {
            return Err(JobError::Retry("this process is stopping".to_owned()));
        };
        let (job, search_path) = (job.clone(), self.search_path.clone());
        let operation =
            Operation::system("jobs_sql").for_request(job.request_id.as_deref()).in_tenant(job.tenant);
        let ended = self.control.run_tx(&operation, async move |tx| {
            let mut guard = CancelOnDrop(Some(tx.cancel_token()));
            let ended = call.complete(tx, &job, &search_path).await;
            guard.0 = None;
            ended
        });
        ended.await.map(|()| None).map_err(|failure| match failure {
            CallError::Job(error) => error,
            CallError::Database(error) => JobError::Retry(error.to_string()),
        })
    }
}

impl Handler for SqlHandler {
    fn run<'a>(&'a self, job: &'a Job) -> HandlerFuture<'a> {
        Box::pin(self.call(job))
    }

    fn settles(&self) -> bool {
        true
    }
}

/// What the payload asks for.
#[derive(Debug, Clone, PartialEq)]
struct Call {
    function: String,
    args: Value,
}

impl Call {
    fn read(job: &Job) -> Result<Self, JobError> {
        let fatal = |why: &str| JobError::Fatal(format!("the payload of {KIND} {why}"));
        let strange =
            job.payload.keys().find(|key| !["function", "args", SCHEDULED_AT].contains(&key.as_str()));
        if let Some(key) = strange {
            return Err(fatal(&format!("has an unknown key \"{key}\"; arguments belong into \"args\"")));
        }
        let function = job.payload.get("function").and_then(Value::as_str);
        let function = function.ok_or_else(|| fatal("names no function: {\"function\": \"public.bump\"}"))?;
        let mut args = match job.payload.get("args") {
            None => Map::new(),
            Some(Value::Object(args)) => args.clone(),
            Some(_) => return Err(fatal("has \"args\" that are not an object of arguments by name")),
        };
        if let Some(at) = job.payload.get(SCHEDULED_AT) {
            args.entry(SCHEDULED_AT).or_insert_with(|| at.clone());
        }
        Ok(Self { function: function.to_owned(), args: Value::Object(args) })
    }

    /// The whole transaction: as whom, the call, and the job's end.
    async fn complete(&self, tx: &Transaction<'_>, job: &Job, search_path: &str) -> Result<(), CallError> {
        self.require_allowed(tx).await?;
        set_context(tx, job, search_path).await?;
        let sql = match job.tenant {
            Some(_) => "select jobs.call_for_tenant($1, $2)",
            None => "select jobs.call_for_project($1, $2)",
        };
        let row = tx.query_one(sql, &[&self.function, &self.args]).await.map_err(DbError::from)?;
        let result: Option<Value> = row.get(0);
        // What the function has set for the session must not meet whoever gets this connection next.
        tx.batch_execute("reset all").await.map_err(DbError::from)?;
        let result = result.filter(|result| !result.is_null());
        if result.as_ref().is_some_and(|result| result.to_string().len() > MOST_RESULT) {
            return Err(JobError::Fatal(format!("its result has more than {MOST_RESULT} bytes")).into());
        }
        complete_job(tx, job, result).await
    }

    /// Asked first, because what is refused here is hopeless, whereas a function that fails may be called again.
    async fn require_allowed(&self, tx: &Transaction<'_>) -> Result<(), CallError> {
        let sql = "select jobs.call_statement($1, $2)";
        match tx.execute(sql, &[&self.function, &self.args]).await.map_err(DbError::from) {
            Ok(_) => Ok(()),
            Err(DbError::Refused(error)) => {
                let hint = error.hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default();
                Err(JobError::Fatal(format!("{error}{hint}")).into())
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Claims, search path and time limit, all until the transaction ends.
async fn set_context(tx: &Transaction<'_>, job: &Job, search_path: &str) -> Result<(), CallError> {
    let claims = match job.tenant {
        None => String::new(),
        Some(tenant) => {
            let row = tx.query_one("select jobs.claims_of($1)", &[&tenant.0]).await.map_err(DbError::from)?;
            let claims: Option<Value> = row.get(0);
            claims.ok_or_else(|| JobError::Retry("the tenant is not active".to_owned()))?.to_string()
        }
    };
    let organization = serde_json::from_str::<Value>(&claims).ok();
    let organization =
        organization.as_ref().and_then(|claims| claims.get("org_id")?.as_str()).unwrap_or_default();
    let sql = "select set_config('request.jwt.claims', $1, true), set_config('app.current_organization_id', $2, true), \
               set_config('search_path', $3, true), set_config('statement_timeout', $4, true), \
               set_config('rowhouse.request_id', $5, true)";
    let timeout = job.timeout.max(Duration::from_millis(1)).as_millis().to_string();
    let request = job.request_id.as_deref().unwrap_or_default();
    tx.execute(sql, &[&claims, &organization, &search_path, &timeout, &request])
        .await
        .map_err(DbError::from)?;
    Ok(())
}

/// Completes the job in the same transaction, or takes everything back because the job is somebody else's by now.
async fn complete_job(tx: &Transaction<'_>, job: &Job, result: Option<Value>) -> Result<(), CallError> {
    let outcomes = json!([{ "id": job.id, "state": "done", "result": result }]);
    let completed = crate::store::complete(tx, job.lease.worker, &outcomes).await?;
    if completed.contains(&job.id) {
        return Ok(());
    }
    Err(JobError::Retry("another worker has taken the job over".to_owned()).into())
}

/// A run that is dropped stops its statement too: else it would hold its connection and its locks until it ends.
struct CancelOnDrop(Option<CancelToken>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        if let (Some(token), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(async move { token.cancel_query(NoTls).await });
        }
    }
}

/// Why the transaction is rolled back.
#[derive(Debug)]
enum CallError {
    Job(JobError),
    Database(DbError),
}

impl From<JobError> for CallError {
    fn from(error: JobError) -> Self {
        Self::Job(error)
    }
}

impl From<DbError> for CallError {
    fn from(error: DbError) -> Self {
        Self::Database(error)
    }
}

impl TransactionError for CallError {
    fn database(&self) -> Option<&DbError> {
        match self {
            Self::Database(error) => Some(error),
            Self::Job(_) => None,
        }
    }
}
