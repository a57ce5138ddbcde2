//! How jobs end: keeps what is still to be told to the database, and tells it, many at a time. Leaves running the jobs to
//! the runner, and how batches and ends are counted to `batch`.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rowhouse_db::DbError;
use tokio::sync::Notify;
use uuid::Uuid;

use super::batch::{Batches, CompletedRun, Completion, CompletionReport};
use super::context::Context;
use crate::raw_json::RawJson;
use crate::store;

/// How often ends are looked for that wait for slow neighbours.
const TICK: Duration = Duration::from_millis(25);
/// Pause after the database failed; nothing is forgotten meanwhile.
const TROUBLE: Duration = Duration::from_millis(100);
/// One end by itself: as it is, without its result, and as a death.
const SINGLE_ATTEMPTS: u32 = 3;
/// An answer that takes longer does not come.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Owns the batches that this worker holds.
pub(super) struct Completer {
    context: Arc<Context>,
    /// Held for moments only, never across an await.
    batches: Mutex<Batches>,
    /// Something can be told.
    ended: Notify,
}

/// What the completer holds: how much the fetcher may add depends on it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    /// Jobs ended and not told yet.
    pub(super) unreported: usize,
    /// What jobs in flight have brought and ended ones have left, in bytes.
    pub(super) bytes: usize,
}

impl Completer {
    pub(super) fn new(context: Arc<Context>) -> Self {
        Self { context, batches: Mutex::default(), ended: Notify::new() }
    }

    fn batches(&self) -> MutexGuard<'_, Batches> {
        self.batches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn load(&self) -> Load {
        let batches = self.batches();
        Load { unreported: batches.unreported(), bytes: batches.bytes() }
    }

    /// Jobs claimed and not yet ended.
    pub(super) fn inflight(&self) -> usize {
        self.batches().inflight()
    }

    /// A claim is going to be sent for this lease; of the former claims nothing is to come.
    pub(super) fn ask(&self, lease: i64) {
        self.batches().ask([lease]);
    }

    /// Whatever was asked for has been answered, or never will be.
    pub(super) fn asked_nothing(&self) {
        self.batches().ask([]);
    }

    /// A new batch; see [`Batches::open`].
    pub(super) fn open(&self, lease: i64, count: usize, plain: bool, bytes: usize) -> u64 {
        self.batches().open(lease, count, plain, bytes)
    }

    /// Whether the batch is this worker's still.
    pub(super) fn holds(&self, batch: u64) -> bool {
        self.batches().holds(batch)
    }

    /// Those leases that this worker has lost sight of.
    pub(super) fn unknown(&self, leases: &[i64]) -> Vec<i64> {
        self.batches().unknown(leases)
    }

    /// Notes how a job ended and makes room for another.
    pub(super) fn end(&self, batch: u64, job: i64, end: Completion) {
        let whole = self.batches().end(batch, job, end, Instant::now());
        if whole {
            self.ended.notify_one();
        }
        self.context.room.notify_one();
    }

    /// The worker was declared dead: its batches are others' now. How many jobs they had.
    pub(super) fn forget(&self) -> usize {
        let lost = self.batches().forget();
        self.context.room.notify_one();
        lost
    }

    /// Waits until every job has ended and the database knows.
    pub(super) async fn all_complete(&self) {
        let mut tick = tokio::time::interval(Duration::from_millis(10));
        loop {
            tick.tick().await;
            if self.batches().is_complete() {
                return;
            }
        }
    }

    /// Tells the database, until it is dropped. Two of these work side by side.
    pub(super) async fn run(self: Arc<Self>) {
        loop {
            let _either = tokio::time::timeout(TICK, self.ended.notified()).await;
            let mut report = self.batches().take_report(Instant::now(), self.context.is_leaving());
            if report.is_empty() {
                continue;
            }
            self.report(&mut report).await;
            self.batches().reported(&report);
            self.context.room.notify_one();
        }
    }

    /// Until the database knows, or the worker has lost these jobs.
    async fn report(&self, report: &mut CompletionReport) {
        let worker = self.context.worker();
        while let Err(error) = self.context.within(TIMEOUT, self.report_once(worker, report)).await {
            tracing::warn!(%error, "ends of jobs cannot be told");
            if is_permanently_refused(&error) {
                self.report_singly(worker, std::mem::take(&mut report.ends)).await;
            } else {
                tokio::time::sleep(TROUBLE).await;
            }
            if self.context.worker() != worker {
                break;
            }
        }
    }

    /// One end that cannot be kept must not hold up all others. Work that is done is not made undone by its result, which is
    /// dropped; of another end the job is dead.
    async fn report_singly(&self, worker: Uuid, ends: Vec<CompletedRun>) {
        for mut ended in ends {
            for _attempt in 0..SINGLE_ATTEMPTS {
                let report = CompletionReport { ends: vec![ended.clone()], ..CompletionReport::default() };
                match self.context.within(TIMEOUT, self.report_once(worker, &report)).await {
                    Ok(()) => break,
                    Err(error) => {
                        tracing::error!(%error, job_id = ended.job, "the end of a job cannot be kept");
                        ended.end = match ended.end {
                            Completion::Done(Some(_)) => Completion::Done(None),
                            _ => Completion::Dead("its end could not be kept; see the log".to_owned()),
                        };
                    }
                }
            }
        }
    }

    async fn report_once(&self, worker: Uuid, report: &CompletionReport) -> Result<(), DbError> {
        let client = self.context.control.connection().await?;
        let mut refused = 0;
        if !report.plain.is_empty() {
            let leases: Vec<i64> = report.plain.iter().map(|(lease, _)| *lease).collect();
            let had: BTreeSet<i64> =
                store::complete_leases(&client, worker, &leases).await?.into_iter().collect();
            let gone = report.plain.iter().filter(|(lease, _)| !had.contains(lease));
            refused += gone.map(|(_, jobs)| jobs.len()).sum::<usize>();
        }
        let outcomes = CompletionReport::outcomes(&report.ends);
        if !outcomes.is_empty() {
            let told = store::complete(&client, worker, &RawJson::write(&outcomes)?).await?.len();
            refused += outcomes.len().saturating_sub(told);
        }
        if refused > 0 {
            tracing::warn!(refused, "jobs ended that others had taken over; their ends do not count");
            metrics::counter!("rowhouse_jobs_refused_total").increment(refused as u64);
        }
        Ok(())
    }
}

/// The database understood and will refuse it again. Not so a deadlock, a time-out or a lack of space.
fn is_permanently_refused(error: &DbError) -> bool {
    error.code().is_some_and(|code| matches!(code.get(..2), Some("21" | "22" | "23" | "54")))
}
