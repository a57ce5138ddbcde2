//! What a handler sees of a job, and what it says in the end.

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
    /// What is to be done.
    pub kind: Arc<str>,
    /// The queue it came from.
    pub queue: Arc<str>,
    /// For whom.
    pub tenant: Option<TenantId>,
    /// Which run this is, from 1.
    pub attempt: u16,
    /// Runs it may have; the last failure makes it dead.
    pub max_attempts: u16,
    /// How long this run may take; then it counts as failed.
    pub timeout: Duration,
    /// What the enqueuer gave along.
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
    /// Worth another try, after the kind's backoff.
    #[error("{0}")]
    Retry(String),
    /// Worth another try, not before this time has passed.
    #[error("{1}")]
    RetryAfter(Duration, String),
    /// Nothing could be done now, and that is no fault of the job's: it is given back as if it had not run. The handler
    /// says by [`Handler::room`] when to come again.
    #[error("nothing could be done now")]
    Release,
    /// Nothing was done, and it is no fault of the job's: to be run again after this time, at no attempt's cost.
    #[error("{1}")]
    Snooze(Duration, String),
    /// The run was cut off from outside and left nothing. It costs no attempt; a job to which that happens again and again
    /// is dead.
    #[error("{0}")]
    Interrupted(String),
    /// Hopeless: the job is dead at once.
    #[error("{0}")]
    Fatal(String),
}

/// A run's end: a result worth keeping, if any, or why it failed.
pub type JobResult = Result<Option<JsonText>, JobError>;

/// A run under way.
pub type HandlerFuture<'a> = Pin<Box<dyn Future<Output = JobResult> + Send + 'a>>;

/// What a run holds from its beginning to its end.
#[derive(Debug, Default)]
pub struct Permit(pub Option<tokio::sync::OwnedSemaphorePermit>);

/// Waiting for a [`Permit`].
pub type AdmitFuture<'a> = Pin<Box<dyn Future<Output = Permit> + Send + 'a>>;

/// Runs jobs of one kind. A job may be run more than once: when a worker dies, or loses its database, after the work and
/// before the completion. A run that is cancelled or takes too long is dropped at its next await.
pub trait Handler: Send + Sync + 'static {
    /// Does the work.
    fn run<'a>(&'a self, job: &'a Job) -> HandlerFuture<'a>;

    /// Waits for what a run needs before it can begin, such as a connection. The job's time begins afterwards.
    fn admit<'a>(&'a self) -> AdmitFuture<'a> {
        Box::pin(std::future::ready(Permit::default()))
    }

    /// How many more runs would get anywhere now. Not more than so many jobs are claimed from each partition of this kind; the
    /// others stay where they are and cost nothing. Asked before each claim, so it must be quick.
    fn room(&self) -> usize {
        usize::MAX
    }

    /// Whether a run that ends well has completed the job itself, by `rowhouse_jobs::complete` in the transaction of its effects.
    fn completes_itself(&self) -> bool {
        false
    }
}
