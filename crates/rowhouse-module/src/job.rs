//! A job as its handler sees it, and the handler's result.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use rowhouse_kernel::TenantId;
use serde_json::{Map, Value};
use time::OffsetDateTime;

use crate::JsonText;

/// A job being run.
#[derive(Debug, Clone)]
pub struct Job {
    /// Its number.
    pub id: i64,
    /// The kind.
    pub kind: Arc<str>,
    /// The queue it came from.
    pub queue: Arc<str>,
    /// The tenant, if it belongs to one.
    pub tenant: Option<TenantId>,
    /// Which run this is, from 1.
    pub attempt: u16,
    /// Attempts that it may have; the failure of the last makes it dead.
    pub max_attempts: u16,
    /// How long this run may take; then it counts as failed.
    pub timeout: Duration,
    /// The payload.
    pub payload: Map<String, Value>,
    /// The same as PostgreSQL wrote it: numbers of any size and precision are unchanged.
    pub payload_json: Arc<str>,
    /// When it was enqueued.
    pub enqueued_at: OffsetDateTime,
    /// The request that enqueued it.
    pub request_id: Option<String>,
    /// The lease that it runs under, and whose: what a handler needs to complete it in a transaction of its own.
    pub lease: Lease,
}

/// The right to complete a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lease {
    /// `jobs.leases.id`.
    pub id: i64,
    /// `jobs.workers.id`.
    pub worker: uuid::Uuid,
}

/// Why a run failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JobError {
    /// To be run again after the kind's backoff.
    #[error("{0}")]
    Retry(String),
    /// To be run again, not before this time has passed.
    #[error("{1}")]
    RetryAfter(Duration, String),
    /// Nothing could be done now for a reason outside the job: it is released as if it had not run. [`Handler::room`]
    /// says when it can be fetched again.
    #[error("nothing could be done now")]
    Release,
    /// Nothing was done for a reason outside the job: to be run again after this time, without counting an attempt.
    #[error("{1}")]
    Snooze(Duration, String),
    /// The run was interrupted from outside and rolled back. No attempt is counted; a job that is interrupted too
    /// often is dead.
    #[error("{0}")]
    Interrupted(String),
    /// Not worth another attempt: the job is dead at once.
    #[error("{0}")]
    Fatal(String),
}

/// A run's end: a result worth keeping, if any, or why it failed.
pub type JobResult = Result<Option<JsonText>, JobError>;

/// A run under way.
pub type HandlerFuture<'a> = Pin<Box<dyn Future<Output = JobResult> + Send + 'a>>;

/// What a run holds while it lasts, such as a connection.
#[derive(Debug, Default)]
pub struct Permit(pub Option<tokio::sync::OwnedSemaphorePermit>);

/// Waiting for a [`Permit`].
pub type AdmitFuture<'a> = Pin<Box<dyn Future<Output = Permit> + Send + 'a>>;

/// Runs jobs of one kind. A job may be run more than once: when a worker dies, or loses its database, after the work and
/// before the completion. A run that is cancelled or takes too long is dropped at its next await.
pub trait Handler: Send + Sync + 'static {
    /// Does the work.
    fn run<'a>(&'a self, job: &'a Job) -> HandlerFuture<'a>;

    /// Waits for what a run needs before it can begin, such as a connection. The job's timeout begins afterwards.
    fn admit<'a>(&'a self) -> AdmitFuture<'a> {
        Box::pin(std::future::ready(Permit::default()))
    }

    /// How many more runs could proceed now. No more jobs than that are fetched from each partition of this kind; the
    /// others stay in the queue. Called before each fetch, so it must be quick.
    fn room(&self) -> usize {
        usize::MAX
    }

    /// Whether a run that ends well has completed the job itself, by `rowhouse_jobs::complete` in the transaction of its effects.
    fn completes_itself(&self) -> bool {
        false
    }
}
