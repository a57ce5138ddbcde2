//! Claimed batches and how their jobs end: what is still to be told to the database. Pure but for the clock.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::JsonText;

/// How long the end of a job may wait for the rest of its batch.
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
    ends: Vec<(i64, Completion)>,
    /// Nothing hangs on its jobs: no unique key, no parent.
    plain: bool,
    /// A part of it has been told already.
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
    /// Jobs ended and not told.
    unreported: usize,
    /// Of the payloads of those in flight, and of what the unreported have left.
    bytes: usize,
    /// Leases that may be in the database: asked for, held, or with ends that are being told.
    asked: HashSet<i64>,
    leases: HashSet<i64>,
    /// Reports taken and not yet told.
    reporting: usize,
}

/// What is to be told next.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct CompletionReport {
    /// Leases whose jobs all went well and left nothing, with their jobs.
    pub(crate) plain: Vec<(i64, Vec<i64>)>,
    pub(crate) ends: Vec<CompletedRun>,
    /// Leases of which nothing is left to be told.
    pub(crate) closed: Vec<i64>,
    /// Jobs in all, and bytes that they have left.
    pub(crate) jobs: usize,
    pub(crate) bytes: usize,
}

/// A job's end, and the lease under which it ran.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CompletedRun {
    pub(crate) lease: i64,
    pub(crate) job: i64,
    pub(crate) end: Completion,
}

impl CompletionReport {
    pub(crate) fn is_empty(&self) -> bool {
        self.plain.is_empty() && self.ends.is_empty()
    }

    /// The argument of `jobs.complete`.
    pub(crate) fn outcomes(ends: &[CompletedRun]) -> Vec<Outcome<'_>> {
        ends.iter().filter_map(CompletedRun::outcome).collect()
    }
}

/// An end as `jobs.complete` takes it.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Outcome<'a> {
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
    fn outcome(&self) -> Option<Outcome<'_>> {
        let plain = Outcome { lease: self.lease, id: self.job, ..Outcome::default() };
        Some(match &self.end {
            Completion::Done(result) => Outcome { state: "done", result: result.as_ref(), ..plain },
            Completion::Retry(after, error) => {
                Outcome { state: "retry", after: Some(*after), error: Some(error), ..plain }
            }
            Completion::Snooze(after, error) => {
                Outcome { state: "retry", after: Some(*after), error: Some(error), uncounted: true, ..plain }
            }
            Completion::Interrupted(error) => {
                Outcome { state: "retry", after: Some(INTERRUPTED), error: Some(error), lost: true, ..plain }
            }
            Completion::Dead(error) => Outcome { state: "dead", error: Some(error), ..plain },
            Completion::Cancelled(error) => Outcome { state: "cancelled", error: Some(error), ..plain },
            Completion::Release => Outcome { state: "release", ..plain },
            Completion::ByHandler => return None,
        })
    }
}

impl Completion {
    /// Bytes that it takes until it is told.
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

    /// Jobs ended and not told yet.
    pub(crate) fn unreported(&self) -> usize {
        self.unreported
    }

    /// What jobs in flight have brought and ended ones have left, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Claims are going to be sent for these leases; of the former claims nothing is to come.
    pub(crate) fn ask(&mut self, leases: impl IntoIterator<Item = i64>) {
        self.asked = leases.into_iter().collect();
    }

    /// Those leases that this worker has lost sight of: their claims were committed and never answered.
    pub(crate) fn unknown(&self, leases: &[i64]) -> Vec<i64> {
        let known = |lease: &i64| self.asked.contains(lease) || self.leases.contains(lease);
        leases.iter().filter(|lease| !known(lease)).copied().collect()
    }

    /// Whether the batch is this worker's still.
    pub(crate) fn holds(&self, batch: u64) -> bool {
        self.batches.contains_key(&batch)
    }

    /// A new batch of `count` jobs, whose payloads have `bytes`; its number is ours, not the lease's.
    pub(crate) fn open(&mut self, lease: i64, count: usize, plain: bool, bytes: usize) -> u64 {
        self.leases.insert(lease);
        self.next += 1;
        let ends = Vec::with_capacity(count);
        let batch = Batch { lease, left: count, ends, plain, split: false, bytes, first_end: None };
        self.batches.insert(self.next, batch);
        self.bytes += bytes;
        self.inflight += count;
        self.next
    }

    /// Notes an end; true if something can be told now.
    pub(crate) fn end(&mut self, batch: u64, job: i64, end: Completion, now: Instant) -> bool {
        let Some(batch) = self.batches.get_mut(&batch) else { return false };
        // Payloads of one batch count alike.
        let brought = batch.bytes / batch.left.max(1);
        batch.bytes -= brought;
        self.bytes = self.bytes.saturating_sub(brought) + end.bytes();
        self.unreported += 1;
        batch.left = batch.left.saturating_sub(1);
        batch.first_end.get_or_insert(now);
        batch.split |= end == Completion::ByHandler;
        batch.ends.push((job, end));
        self.inflight = self.inflight.saturating_sub(1);
        batch.left == 0
    }

    /// Takes what can be told: whole batches, and parts of those that linger (`all`: of every one).
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

    /// As [`Batches::report`], for a reporter who will say [`Batches::reported`].
    pub(crate) fn take_report(&mut self, now: Instant, all: bool) -> CompletionReport {
        let report = self.report(now, all);
        self.reporting += usize::from(!report.is_empty());
        report
    }

    /// A report has arrived, or has lost its meaning.
    pub(crate) fn reported(&mut self, report: &CompletionReport) {
        self.reporting = self.reporting.saturating_sub(1);
        self.unreported = self.unreported.saturating_sub(report.jobs);
        self.bytes = self.bytes.saturating_sub(report.bytes);
        for lease in &report.closed {
            self.leases.remove(lease);
        }
    }

    /// Every job has ended and the database knows.
    pub(crate) fn is_complete(&self) -> bool {
        self.batches.is_empty() && self.reporting == 0
    }

    /// The worker was declared dead: its batches are others' now.
    pub(crate) fn forget(&mut self) -> usize {
        let lost = std::mem::take(&mut self.inflight);
        for batch in self.batches.values() {
            self.unreported = self.unreported.saturating_sub(batch.ends.len());
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
        let well = self.ends.iter().all(|(_, end)| *end == Completion::Done(None));
        if self.plain && !self.split && well {
            report.jobs += self.ends.len();
            report.plain.push((self.lease, self.ends.iter().map(|(id, _)| *id).collect()));
        } else {
            self.report_completions(report);
        }
    }

    /// What its ended jobs have left.
    fn left_bytes(&self) -> usize {
        self.ends.iter().map(|(_, end)| end.bytes()).sum()
    }

    fn report_completions(&mut self, report: &mut CompletionReport) {
        let lease = self.lease;
        report.jobs += self.ends.len();
        report.bytes += self.left_bytes();
        report.ends.extend(self.ends.drain(..).map(|(job, end)| CompletedRun { lease, job, end }));
    }
}

#[cfg(test)]
mod tests;
