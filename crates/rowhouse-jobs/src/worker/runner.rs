//! Runs claimed jobs, each on a task of its own once it has a slot. Leaves what to claim to the fetcher, and writing
//! outcomes to the completer.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use tokio::sync::{OwnedSemaphorePermit, watch};
use uuid::Uuid;

use super::batch::Completion;
use super::completer::Completer;
use super::context::Context;
use super::run::{self, Stop};
use super::slot::{Held, Slots};
use crate::store::{Claimed, PartitionRow};
use crate::{Handler, Lease, Permit};

/// A run under way, by batch and job.
struct Running {
    stop: watch::Sender<Stop>,
    /// If it has not ended by then, it ends as `late`.
    until: Instant,
    late: Completion,
}

/// A job that is to run.
pub(super) struct Start {
    pub(super) worker: Uuid,
    pub(super) batch: u64,
    pub(super) claimed: Claimed,
    pub(super) partition: Arc<PartitionRow>,
}

/// Owns the slots and the runs under way.
pub(super) struct Runner {
    context: Arc<Context>,
    completer: Arc<Completer>,
    slots: Slots,
    /// Held for moments only, never across an await.
    running: Mutex<HashMap<(u64, i64), Running>>,
}

impl Runner {
    pub(super) fn new(context: Arc<Context>, completer: Arc<Completer>, slots: Slots) -> Self {
        Self { context, completer, slots, running: Mutex::default() }
    }

    pub(super) fn slots(&self) -> &Slots {
        &self.slots
    }

    fn running(&self) -> MutexGuard<'_, HashMap<(u64, i64), Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops every run.
    pub(super) fn stop_all(&self, why: Stop) {
        for run in self.running().values() {
            run.stop.send_replace(why);
        }
    }

    /// Stops the runs of these jobs, which were cancelled.
    pub(super) fn cancel(&self, unwanted: &[i64]) {
        for (_, run) in self.running().iter().filter(|((_, job), _)| unwanted.contains(job)) {
            run.stop.send_replace(Stop::Cancelled);
        }
    }

    /// Ends the runs of handlers that block their threads, and so do not notice their timeouts.
    pub(super) fn end_overdue(&self) {
        let now = Instant::now();
        let overdue: Vec<_> = self.running().extract_if(|_, run| run.until < now).collect();
        for ((batch, job), run) in overdue {
            tracing::error!(job_id = job, "a handler blocks its thread beyond its job's time");
            self.completer.end(batch, job, run.late);
        }
    }

    /// Runs a job on a task of its own, as soon as there is a slot.
    pub(super) fn start(self: &Arc<Self>, start: Start) {
        let held = self.slots.hold(&start.partition.kind);
        tokio::spawn(Arc::clone(self).one(start, held));
    }

    async fn one(self: Arc<Self>, start: Start, held: Held) {
        let Start { worker, batch, claimed, partition } = start;
        let id = claimed.id;
        let Some((kind, handler)) = self.context.registry.get(&partition.kind).cloned() else {
            return self.completer.end(batch, id, Completion::Release);
        };
        let Some(_permits) = self.admitted(&*handler, &held).await else {
            return self.completer.end(batch, id, Completion::Release);
        };
        if !self.completer.holds(batch) {
            return;
        }
        let lease = Lease { id: claimed.lease, worker };
        let unreadable = claimed.unreadable.clone();
        let job = match (unreadable, run::job(&claimed, &partition, &kind, lease)) {
            (None, Ok(job)) => job,
            (Some(why), _) | (_, Err(why)) => {
                let why = format!("its payload cannot be read: {why}");
                return self.completer.end(batch, id, Completion::Dead(why));
            }
        };
        let labels = [("queue", partition.queue.to_string()), ("kind", partition.kind.to_string())];
        let waited = (self.context.clock.now() - job.enqueued_at).as_seconds_f64().max(0.0);
        metrics::histogram!("rowhouse_jobs_wait_seconds", &labels).record(waited);
        let started = Instant::now();
        let end = self.run(batch, &job, &kind, &*handler).await;
        let took = started.elapsed();
        held.took(took);
        note(&job, &end, &labels, took);
        // `end_overdue` may have ended it already.
        if self.running().remove(&(batch, id)).is_some() {
            self.completer.end(batch, id, end);
        }
    }

    /// Waits for the handler's permit and a slot; `None` once the worker leaves.
    async fn admitted(
        &self,
        handler: &dyn Handler,
        held: &Held,
    ) -> Option<(Permit, Vec<OwnedSemaphorePermit>)> {
        let admitted = async { Some((handler.admit().await, held.slot().await?)) };
        tokio::select! {
            biased;
            () = self.context.leave() => None,
            admitted = admitted => admitted,
        }
    }

    /// The run itself.
    async fn run(
        &self,
        batch: u64,
        job: &crate::Job,
        kind: &crate::JobKind,
        handler: &dyn Handler,
    ) -> Completion {
        let rng = &*self.context.rng;
        let (sender, stop) = watch::channel(Stop::No);
        let late = run::ended(job, kind, Err(run::late(job)), rng);
        let running = Running { stop: sender, until: Instant::now() + job.timeout + run::GRACE, late };
        self.running().insert((batch, job.id), running);
        // At the highest level, so that no level filter removes the request's id from the handler's log lines.
        let request_id = job.request_id.as_deref();
        let span = tracing::error_span!("job", job_id = job.id, kind = &*job.kind, request_id);
        let run = run::run(job, kind, handler, stop, rng);
        // Dropping the handler's future may panic too.
        let end = tracing::Instrument::instrument(AssertUnwindSafe(run).catch_unwind(), span).await;
        end.unwrap_or_else(|_| run::ended(job, kind, Err(run::panicked()), rng))
    }
}

fn note(job: &crate::Job, end: &Completion, labels: &[(&'static str, String); 2], took: Duration) {
    let [queue, kind] = labels.clone();
    let labels = [queue, kind, ("outcome", end.name().to_owned())];
    metrics::histogram!("rowhouse_jobs_run_seconds", &labels).record(took);
    match end {
        Completion::Retry(after, error) => {
            tracing::warn!(
                request_id = job.request_id.as_deref(),
                job_id = job.id,
                kind = &*job.kind,
                attempt = job.attempt,
                after,
                error,
                "job failed"
            );
        }
        Completion::Snooze(after, error) => {
            tracing::info!(
                request_id = job.request_id.as_deref(),
                job_id = job.id,
                after,
                error,
                "job put off"
            );
        }
        Completion::Interrupted(error) => {
            tracing::warn!(request_id = job.request_id.as_deref(), job_id = job.id, error, "job cut off");
        }
        Completion::Dead(error) => {
            tracing::error!(
                request_id = job.request_id.as_deref(),
                job_id = job.id,
                kind = &*job.kind,
                attempt = job.attempt,
                error,
                "job is dead"
            );
        }
        _ => {}
    }
}
