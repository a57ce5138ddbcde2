//! Calls a function of the project in the transaction that completes the job, so that effect and completion are
//! atomic: the function named by a job of the kind `jobs.sql`, or that of a declared kind. Which functions may be
//! called, and under which role, is decided by the migration `jobs_functions`.

mod call;
mod mistake;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rowhouse_db::{Control, DbError, Transaction};
use rowhouse_kernel::{Operation, TenantId};
use tokio::sync::Semaphore;

use crate::JobKind;
use crate::{AdmitFuture, Handler, HandlerFuture, Job, JobError, JobResult, Permit};
use call::{Call, CallError};
pub use mistake::mistakes;

/// The kind's name.
pub(crate) const KIND: &str = "jobs.sql";
/// Concurrent functions per process. They have connections of their own, so that slow ones delay nothing else.
pub const MOST_AT_ONCE: u32 = 8;
/// Delay of a job whose tenant is not active.
const SUSPENDED: std::time::Duration = std::time::Duration::from_secs(30);
/// Delay of a job for which there was no connection.
const UNREACHABLE: std::time::Duration = std::time::Duration::from_secs(1);

/// Calls functions. Clones share their connections.
#[derive(Debug, Clone)]
pub struct SqlHandler {
    control: Control,
    calls: Control,
    search_path: String,
    permits: Arc<Semaphore>,
    /// The function of a declared kind; else the job names it.
    function: Option<String>,
}

impl SqlHandler {
    /// `control` is the control login, which looks up tenants' claims; `calls` is the login `authenticator`, which has
    /// no rights of its own, for the functions. Its pool has at least [`MOST_AT_ONCE`] connections for this handler
    /// alone. `search_path` is that of the functions.
    #[must_use]
    pub fn new(control: Control, calls: Control, search_path: impl Into<String>) -> Self {
        let permits = Arc::new(Semaphore::new(MOST_AT_ONCE as usize));
        Self { control, calls, search_path: search_path.into(), permits, function: None }
    }

    /// The same for a declared kind: it calls this function, and the payload holds its arguments.
    #[must_use]
    pub fn calling(&self, function: &str) -> Self {
        Self { function: Some(function.to_owned()), ..self.clone() }
    }

    /// The kind.
    #[must_use]
    pub fn kind() -> JobKind {
        JobKind::new(KIND)
    }

    async fn call(&self, job: &Job) -> JobResult {
        let call = match &self.function {
            Some(function) => Call::declared(function, job),
            None => Call::read(job)?,
        };
        self.complete(&call, job).await.map(|()| None).map_err(job_error)
    }

    /// One transaction, retried after a serialization failure or deadlock.
    async fn complete(&self, call: &Call, job: &Job) -> Result<(), CallError> {
        let claims = match job.tenant {
            Some(tenant) => Some(self.claims(tenant).await?),
            None => None,
        };
        let operation =
            Operation::system("jobs_function").for_request(job.request_id.as_deref()).in_tenant(job.tenant);
        let has_begun = Arc::new(AtomicBool::new(false));
        let (begun, call, job, path) =
            (Arc::clone(&has_begun), call.clone(), job.clone(), self.search_path.clone());
        let work = async move |tx: &Transaction<'_>| {
            begun.store(true, Ordering::Relaxed);
            call.complete(tx, &job, &path, claims.as_deref()).await
        };
        match self.calls.run_tx(&operation, work).await {
            Err(CallError::Database(error)) if !has_begun.load(Ordering::Relaxed) => {
                Err(CallError::Unreachable(error))
            }
            ended => ended,
        }
    }

    /// The claims of a tenant's job.
    async fn claims(&self, tenant: TenantId) -> Result<String, CallError> {
        let ask = async move |client: &tokio_postgres::Client| {
            let row = client.query_one("select jobs.claims_of($1)::text", &[&tenant.0]).await?;
            Ok::<Option<String>, DbError>(row.get(0))
        };
        let operation = Operation::system("jobs_claims").in_tenant(Some(tenant));
        let claims = self.control.statement(&operation, ask).await.map_err(CallError::Unreachable)?;
        claims
            .ok_or_else(|| CallError::Job(JobError::Snooze(SUSPENDED, "the tenant is not active".to_owned())))
    }
}

/// The server is shutting down, starting, or has closed the connection: the transaction was rolled back.
fn is_cut_off(error: &DbError) -> bool {
    match error.code() {
        Some(code) => {
            matches!(code, "57P01" | "57P02" | "57P03" | "25006" | "53300") || code.starts_with("08")
        }
        None => true,
    }
}

fn job_error(error: CallError) -> JobError {
    match error {
        CallError::Job(error) => error,
        CallError::Unreachable(error) => JobError::Snooze(UNREACHABLE, error.to_string()),
        CallError::Database(error) if is_cut_off(&error) => JobError::Interrupted(error.to_string()),
        CallError::Database(error) => JobError::Retry(error.to_string()),
    }
}

impl Handler for SqlHandler {
    fn run<'a>(&'a self, job: &'a Job) -> HandlerFuture<'a> {
        Box::pin(self.call(job))
    }

    /// Waits for one of the connections.
    fn admit<'a>(&'a self) -> AdmitFuture<'a> {
        Box::pin(async { Permit(Arc::clone(&self.permits).acquire_owned().await.ok()) })
    }

    fn completes_itself(&self) -> bool {
        true
    }
}
