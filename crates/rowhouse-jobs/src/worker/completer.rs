//! Collects the outcomes of jobs and writes them to the database, many at a time. Leaves running the jobs to the runner,
//! and the accounting of batches to `batch`.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rowhouse_db::DbError;
use tokio::sync::Notify;
use uuid::Uuid;

use super::batch::{Batches, CompletedRun, Completion, CompletionReport};
use super::context::Context;
use super::trouble::Duty;
use crate::raw_json::RawJson;
use crate::store;

/// How often outcomes are looked for that wait for slower jobs of their batch.
const TICK: Duration = Duration::from_millis(25);
/// Pause after the database failed; nothing is forgotten meanwhile.
const TROUBLE: Duration = Duration::from_millis(100);
/// Attempts to write one outcome by itself: as it is, without its result, and as a dead job.
const SINGLE_ATTEMPTS: u32 = 3;
/// Timeout of one write.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Owns the batches that this worker holds.
pub(super) struct Completer {
    context: Arc<Context>,
    /// Held for moments only, never across an await.
    batches: Mutex<Batches>,
    /// A batch is complete.
    ended: Notify,
}

/// What the completer holds: how much the fetcher may add depends on it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    /// Jobs that have ended and are not reported yet.
    pub(super) unreported: usize,
    /// Payloads of jobs in flight, and results and errors of unreported ones, in bytes.
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

    /// A claim is about to be sent for this lease; the answers to earlier claims have arrived or never will.
    pub(super) fn ask(&self, lease: i64) {
        self.batches().ask([lease]);
    }

    /// Every claim sent has been answered, or never will be.
    pub(super) fn asked_nothing(&self) {
        self.batches().ask([]);
    }

    /// A new batch; see [`Batches::open`].
    pub(super) fn open(&self, lease: i64, count: usize, plain: bool, bytes: usize) -> u64 {
        self.batches().open(lease, count, plain, bytes)
    }

    /// Whether this worker still holds the batch.
    pub(super) fn holds(&self, batch: u64) -> bool {
        self.batches().holds(batch)
    }

    /// Those leases that this worker does not know; see [`Batches::unknown`].
    pub(super) fn unknown(&self, leases: &[i64]) -> Vec<i64> {
        self.batches().unknown(leases)
    }

    /// Records a job's outcome and frees its slot.
    pub(super) fn end(&self, batch: u64, job: i64, end: Completion) {
        let whole = self.batches().end(batch, job, end, Instant::now());
        if whole {
            self.ended.notify_one();
        }
        self.context.room.notify_one();
    }

    /// The worker was declared dead, and other workers have rescued its jobs. Returns how many were in flight.
    pub(super) fn forget(&self) -> usize {
        let lost = self.batches().forget();
        self.context.room.notify_one();
        lost
    }

    /// Waits until every job has ended and its outcome is written.
    pub(super) async fn all_complete(&self) {
        let mut tick = tokio::time::interval(Duration::from_millis(10));
        loop {
            tick.tick().await;
            if self.batches().is_complete() {
                return;
            }
        }
    }

    /// Writes outcomes until it is dropped. Two of these loops run side by side.
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

    /// Repeats until the outcomes are written, or the worker has lost these jobs.
    async fn report(&self, report: &mut CompletionReport) {
        let worker = self.context.worker();
        while let Err(error) =
            self.context.perform(Duty::Report, TIMEOUT, self.report_once(worker, report)).await
        {
            tracing::warn!(%error, "outcomes of jobs cannot be written");
            if is_permanently_refused(&error) {
                self.context.troubles.note(Duty::Report, true);
                self.report_singly(worker, std::mem::take(&mut report.completions)).await;
            } else {
                tokio::time::sleep(TROUBLE).await;
            }
            if self.context.worker() != worker {
                break;
            }
        }
    }

    /// Writes each outcome by itself, so that one which PostgreSQL refuses does not hold up the others. A result that is
    /// refused is dropped, since its job has succeeded; with any other refused outcome the job is dead.
    async fn report_singly(&self, worker: Uuid, completions: Vec<CompletedRun>) {
        for mut ended in completions {
            for _attempt in 0..SINGLE_ATTEMPTS {
                let report =
                    CompletionReport { completions: vec![ended.clone()], ..CompletionReport::default() };
                match self.context.within(TIMEOUT, self.report_once(worker, &report)).await {
                    Ok(()) => break,
                    Err(error) => {
                        tracing::error!(%error, job_id = ended.job, "the outcome of a job cannot be written");
                        ended.end = match ended.end {
                            Completion::Done(Some(_)) => Completion::Done(None),
                            _ => Completion::Dead("its outcome could not be written; see the log".to_owned()),
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
        let outcomes = CompletionReport::outcomes(&report.completions);
        if !outcomes.is_empty() {
            let written = store::complete(&client, worker, &RawJson::write(&outcomes)?).await?.len();
            refused += outcomes.len().saturating_sub(written);
        }
        if refused > 0 {
            tracing::warn!(refused, "outcomes were refused: other workers had rescued these jobs");
            metrics::counter!("rowhouse_jobs_refused_total").increment(refused as u64);
        }
        Ok(())
    }
}

/// Whether the statement will be refused again: cardinality, data, integrity and limit errors, but not a deadlock, a
/// timeout or a lack of space.
fn is_permanently_refused(error: &DbError) -> bool {
    error.code().is_some_and(|code| matches!(code.get(..2), Some("21" | "22" | "23" | "54")))
}
