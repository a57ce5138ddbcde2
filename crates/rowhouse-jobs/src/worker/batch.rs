//! Claimed batches, and the outcomes of their jobs that are not in the database yet. Pure but for the clock.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::JsonText;

/// How long the outcome of a job may wait for the rest of its batch.
const LINGER: Duration = Duration::from_millis(50);

/// Seconds until a run that was cut off is repeated.
const INTERRUPTED: f64 = 1.0;

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Completion {
    Done(Option<JsonText>),
    /// To be run again after so many seconds.
    Retry(f64, String),
    /// The same, at no attempt's cost.
    Snooze(f64, String),
    /// Cut off from outside: to be run again, at no attempt's cost, but not for ever.
    Interrupted(String),
    Dead(String),
    Cancelled(String),
    /// It has not begun, or was stopped because the worker leaves.
    Release,
    /// The handler has completed it in a transaction of its own.
    ByHandler,
}

#[derive(Debug)]
struct Batch {
    lease: i64,
    left: usize,
    completions: Vec<(i64, Completion)>,
    /// No job has a unique key or a parent, so that its lease can be completed without naming its jobs.
    plain: bool,
    /// The outcomes of some of its jobs have been reported, so that it cannot be completed by its lease alone.
    split: bool,
    /// Of the payloads of jobs that have not ended.
    bytes: usize,
    first_end: Option<Instant>,
}

/// Every batch that this worker holds.
#[derive(Debug, Default)]
pub(crate) struct Batches {
    batches: HashMap<u64, Batch>,
    next: u64,
    inflight: usize,
    /// Jobs that have ended and are not reported.
    unreported: usize,
    /// Of the payloads of jobs in flight, and of the results and errors of unreported ones.
    bytes: usize,
    /// Leases that may be in the database: those of claims without an answer, and those held until their last report.
    asked: HashSet<i64>,
    leases: HashSet<i64>,
    /// Reports taken and not yet written.
    reporting: usize,
}

/// The outcomes to write next.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct CompletionReport {
    /// Leases whose jobs all succeeded without a result, with their jobs.
    pub(crate) plain: Vec<(i64, Vec<i64>)>,
    pub(crate) completions: Vec<CompletedRun>,
    /// Leases that have nothing left to report.
    pub(crate) closed: Vec<i64>,
    /// Number of jobs, and bytes of their results and errors.
    pub(crate) jobs: usize,
    pub(crate) bytes: usize,
}

/// A job's outcome, and the lease under which it ran.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CompletedRun {
    pub(crate) lease: i64,
    pub(crate) job: i64,
    pub(crate) end: Completion,
}

impl CompletionReport {
    pub(crate) fn is_empty(&self) -> bool {
        self.plain.is_empty() && self.completions.is_empty()
    }

    /// The argument of `jobs.complete`.
    pub(crate) fn outcomes(completions: &[CompletedRun]) -> Vec<CompletionRow<'_>> {
        completions.iter().filter_map(CompletedRun::outcome).collect()
    }
}

/// An outcome as `jobs.complete` takes it.
#[derive(Debug, Default, Serialize)]
pub(crate) struct CompletionRow<'a> {
    lease: i64,
    id: i64,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'a JsonText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    uncounted: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    lost: bool,
}

impl CompletedRun {
    fn outcome(&self) -> Option<CompletionRow<'_>> {
        let plain = CompletionRow { lease: self.lease, id: self.job, ..CompletionRow::default() };
        Some(match &self.end {
            Completion::Done(result) => CompletionRow { state: "done", result: result.as_ref(), ..plain },
            Completion::Retry(after, error) => {
                CompletionRow { state: "retry", after: Some(*after), error: Some(error), ..plain }
            }
            Completion::Snooze(after, error) => CompletionRow {
                state: "retry",
                after: Some(*after),
                error: Some(error),
                uncounted: true,
                ..plain
            },
            Completion::Interrupted(error) => CompletionRow {
                state: "retry",
                after: Some(INTERRUPTED),
                error: Some(error),
                lost: true,
                ..plain
            },
            Completion::Dead(error) => CompletionRow { state: "dead", error: Some(error), ..plain },
            Completion::Cancelled(error) => CompletionRow { state: "cancelled", error: Some(error), ..plain },
            Completion::Release => CompletionRow { state: "release", ..plain },
            Completion::ByHandler => return None,
        })
    }
}

impl Completion {
    /// Bytes that it takes until it is reported.
    fn bytes(&self) -> usize {
        match self {
            Self::Done(Some(result)) => result.as_str().len(),
            Self::Retry(_, error)
            | Self::Snooze(_, error)
            | Self::Interrupted(error)
            | Self::Dead(error)
            | Self::Cancelled(error) => error.len(),
            Self::Done(None) | Self::Release | Self::ByHandler => 0,
        }
    }

    /// For metrics.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Done(_) | Self::ByHandler => "done",
            Self::Retry(..) => "retry",
            Self::Dead(_) => "dead",
            Self::Cancelled(_) => "cancelled",
            Self::Release | Self::Snooze(..) | Self::Interrupted(_) => "released",
        }
    }
}

impl Batches {
    /// Jobs claimed and not yet ended.
    pub(crate) fn inflight(&self) -> usize {
        self.inflight
    }

    /// Jobs that have ended and are not reported yet.
    pub(crate) fn unreported(&self) -> usize {
        self.unreported
    }

    /// Payloads of jobs in flight, and results and errors of unreported ones, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Claims are about to be sent for these leases; the answers to earlier claims have arrived or never will.
    pub(crate) fn ask(&mut self, leases: impl IntoIterator<Item = i64>) {
        self.asked = leases.into_iter().collect();
    }

    /// Those leases that this worker does not know: their claims were committed, but the answers were lost.
    pub(crate) fn unknown(&self, leases: &[i64]) -> Vec<i64> {
        let known = |lease: &i64| self.asked.contains(lease) || self.leases.contains(lease);
        leases.iter().filter(|lease| !known(lease)).copied().collect()
    }

    /// Whether this worker still holds the batch.
    pub(crate) fn holds(&self, batch: u64) -> bool {
        self.batches.contains_key(&batch)
    }

    /// A new batch of `count` jobs, whose payloads have `bytes`. Returns the batch's number, which is not the lease's.
    pub(crate) fn open(&mut self, lease: i64, count: usize, plain: bool, bytes: usize) -> u64 {
        self.leases.insert(lease);
        self.next += 1;
        let completions = Vec::with_capacity(count);
        let batch = Batch { lease, left: count, completions, plain, split: false, bytes, first_end: None };
        self.batches.insert(self.next, batch);
        self.bytes += bytes;
        self.inflight += count;
        self.next
    }

    /// Records an outcome; true if the batch is complete and can be reported.
    pub(crate) fn end(&mut self, batch: u64, job: i64, end: Completion, now: Instant) -> bool {
        let Some(batch) = self.batches.get_mut(&batch) else { return false };
        // The bytes of a batch are divided evenly among its jobs: the size of each is not kept.
        let brought = batch.bytes / batch.left.max(1);
        batch.bytes -= brought;
        self.bytes = self.bytes.saturating_sub(brought) + end.bytes();
        self.unreported += 1;
        batch.left = batch.left.saturating_sub(1);
        batch.first_end.get_or_insert(now);
        batch.split |= end == Completion::ByHandler;
        batch.completions.push((job, end));
        self.inflight = self.inflight.saturating_sub(1);
        batch.left == 0
    }

    /// Takes what can be reported: complete batches, and the ended jobs of those that have waited for [`LINGER`] (`all`: of
    /// every batch).
    pub(crate) fn report(&mut self, now: Instant, all: bool) -> CompletionReport {
        let mut report = CompletionReport::default();
        self.batches.retain(|_, batch| {
            let lingered = batch.first_end.is_some_and(|first| all || now.duration_since(first) >= LINGER);
            if batch.left == 0 {
                batch.report_whole(&mut report);
            } else if lingered {
                batch.report_completions(&mut report);
                batch.split = true;
                batch.first_end = None;
            }
            batch.left > 0
        });
        report
    }

    /// As [`Batches::report`], for a caller that calls [`Batches::reported`] afterwards.
    pub(crate) fn take_report(&mut self, now: Instant, all: bool) -> CompletionReport {
        let report = self.report(now, all);
        self.reporting += usize::from(!report.is_empty());
        report
    }

    /// A report is written, or void because the worker has lost its leases.
    pub(crate) fn reported(&mut self, report: &CompletionReport) {
        self.reporting = self.reporting.saturating_sub(1);
        self.unreported = self.unreported.saturating_sub(report.jobs);
        self.bytes = self.bytes.saturating_sub(report.bytes);
        for lease in &report.closed {
            self.leases.remove(lease);
        }
    }

    /// Every job has ended and its outcome is written.
    pub(crate) fn is_complete(&self) -> bool {
        self.batches.is_empty() && self.reporting == 0
    }

    /// The worker was declared dead, and other workers have rescued its jobs. Returns how many were in flight.
    pub(crate) fn forget(&mut self) -> usize {
        let lost = std::mem::take(&mut self.inflight);
        for batch in self.batches.values() {
            self.unreported = self.unreported.saturating_sub(batch.completions.len());
            self.bytes = self.bytes.saturating_sub(batch.bytes + batch.left_bytes());
        }
        self.batches.clear();
        self.leases.clear();
        lost
    }
}

impl Batch {
    fn report_whole(&mut self, report: &mut CompletionReport) {
        report.closed.push(self.lease);
        let well = self.completions.iter().all(|(_, end)| *end == Completion::Done(None));
        if self.plain && !self.split && well {
            report.jobs += self.completions.len();
            report.plain.push((self.lease, self.completions.iter().map(|(id, _)| *id).collect()));
        } else {
            self.report_completions(report);
        }
    }

    /// Bytes of the results and errors of its ended jobs.
    fn left_bytes(&self) -> usize {
        self.completions.iter().map(|(_, end)| end.bytes()).sum()
    }

    fn report_completions(&mut self, report: &mut CompletionReport) {
        let lease = self.lease;
        report.jobs += self.completions.len();
        report.bytes += self.left_bytes();
        report.completions.extend(self.completions.drain(..).map(|(job, end)| CompletedRun {
            lease,
            job,
            end,
        }));
    }
}

#[cfg(test)]
mod tests;
