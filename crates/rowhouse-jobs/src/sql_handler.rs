//! Calls a function of the project in the transaction that completes the job, so that effect and completion are one: the
//! one that a job of the kind `jobs.sql` names, or the one that its declared kind stands for. Which functions may be
//! called, and as whom, is decided by the migration `jobs_functions`; leaves the connections to `session`.

mod call;
mod session;

use std::sync::Arc;

use rowhouse_db::{Control, DbError};
use tokio::sync::Semaphore;

use crate::Kind;
use crate::{AdmitFuture, Handler, HandlerFuture, Job, JobError, JobResult, Permit};
use call::{Call, CallError};
use session::Session;

/// The kind's name.
pub(crate) const KIND: &str = "jobs.sql";
/// Functions that run at once in one process. They have connections of their own, so that slow ones hold up nobody else.
pub const MOST_AT_ONCE: u32 = 8;
/// How often a call is begun again after a serialization failure or deadlock.
const MAX_ATTEMPTS: u32 = 5;
/// Pause until a job is looked at again whose tenant is not active.
const SUSPENDED: std::time::Duration = std::time::Duration::from_secs(30);
/// Pause until a job is looked at again for which there was no connection.
const UNREACHABLE: std::time::Duration = std::time::Duration::from_secs(1);

/// Calls functions. Clones share their connections.
#[derive(Debug, Clone)]
pub struct SqlHandler {
    project: Control,
    tenants: Control,
    search_path: String,
    permits: Arc<Semaphore>,
    /// What a declared kind calls; else the job says it.
    function: Option<String>,
}

impl SqlHandler {
    /// `project` is the control login, on which jobs of no tenant call; `tenants` is the login `authenticator`, which has no
    /// rights of its own, for those of a tenant. Both hold at least [`MOST_AT_ONCE`] connections that nobody else needs.
    /// `search_path` is what functions see.
    #[must_use]
    pub fn new(project: Control, tenants: Control, search_path: impl Into<String>) -> Self {
        let permits = Arc::new(Semaphore::new(MOST_AT_ONCE as usize));
        Self { project, tenants, search_path: search_path.into(), permits, function: None }
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
            Some(function) => Call::declared(function, job),
            None => Call::read(job)?,
        };
        for _attempt in 1..MAX_ATTEMPTS {
            match self.attempt(&call, job).await {
                Err(CallError::Database(error)) if is_retryable(&error) => {}
                ended => return ended.map(|()| None).map_err(job_error),
            }
        }
        self.attempt(&call, job).await.map(|()| None).map_err(job_error)
    }

    /// One transaction.
    async fn attempt(&self, call: &Call, job: &Job) -> Result<(), CallError> {
        let claims = match job.tenant {
            Some(tenant) => Some(self.claims(tenant.0).await?),
            None => None,
        };
        let control = if claims.is_some() { &self.tenants } else { &self.project };
        let session = Session::begin(control).await.map_err(CallError::Unreachable)?;
        match call.complete(session.client(), job, &self.search_path, claims.as_deref()).await {
            Ok(()) => Ok(session.commit().await?),
            Err(error) => {
                session.rollback().await;
                Err(error)
            }
        }
    }

    /// Whom a tenant's job speaks for.
    async fn claims(&self, tenant: uuid::Uuid) -> Result<String, CallError> {
        let client = self.project.connection().await.map_err(CallError::Unreachable)?;
        let row = client.query_one("select jobs.claims_of($1)::text", &[&tenant]).await;
        let row = row.map_err(|error| CallError::Unreachable(error.into()))?;
        let claims: Option<String> = row.get(0);
        claims
            .ok_or_else(|| CallError::Job(JobError::Snooze(SUSPENDED, "the tenant is not active".to_owned())))
    }
}

/// Serialization failure or deadlock: another attempt may well succeed.
fn is_retryable(error: &DbError) -> bool {
    matches!(error.code(), Some("40001" | "40P01"))
}

/// The server is shutting down, starting, or has cut the connection: the run left nothing, whatever the function does.
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
