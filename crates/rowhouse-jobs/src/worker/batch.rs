//! Claimed batches and how their jobs end: what is still to be told to the database. Pure but for the clock.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// How long the end of a job may wait for the rest of its batch.
const LINGER: Duration = Duration::from_millis(50);

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum End {
    Done(Option<Value>),
    /// To be run again after so many seconds.
    Retry(f64, String),
    Dead(String),
    Cancelled(String),
    /// It has not begun.
    Release,
    /// The handler has completed it in a transaction of its own.
    Settled,
}

#[derive(Debug)]
struct Batch {
    lease: i64,
    left: usize,
    ends: Vec<(i64, End)>,
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
    untold: usize,
    /// Of the payloads of those in flight, and of what the untold have left.
    bytes: usize,
    /// Leases that may be in the database: asked for, held, or with ends that are being told.
    asked: HashSet<i64>,
    leases: HashSet<i64>,
    /// Reports taken and not yet told.
    telling: usize,
}

/// What is to be told next.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Report {
    /// Leases whose jobs all went well and left nothing, with their jobs.
    pub(crate) plain: Vec<(i64, Vec<i64>)>,
    pub(crate) ends: Vec<Ended>,
    /// Leases of which nothing is left to be told.
    pub(crate) closed: Vec<i64>,
    /// Jobs in all, and bytes that they have left.
    pub(crate) jobs: usize,
    pub(crate) bytes: usize,
}

/// A job's end, and the lease under which it ran.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Ended {
    pub(crate) lease: i64,
    pub(crate) job: i64,
    pub(crate) end: End,
}

impl Report {
    pub(crate) fn is_empty(&self) -> bool {
        self.plain.is_empty() && self.ends.is_empty()
    }

    /// The argument of `jobs.settle`.
    pub(crate) fn outcomes(ends: &[Ended]) -> Value {
        ends.iter().filter_map(Ended::outcome).collect()
    }
}

impl Ended {
    fn outcome(&self) -> Option<Value> {
        let mut outcome = match &self.end {
            End::Done(None) => json!({ "state": "done" }),
            End::Done(Some(result)) => json!({ "state": "done", "result": result }),
            End::Retry(after, error) => json!({ "state": "retry", "after": after, "error": error }),
            End::Dead(error) => json!({ "state": "dead", "error": error }),
            End::Cancelled(error) => json!({ "state": "cancelled", "error": error }),
            End::Release => json!({ "state": "release" }),
            End::Settled => return None,
        };
        outcome["lease"] = self.lease.into();
        outcome["id"] = self.job.into();
        Some(outcome)
    }
}

impl End {
    /// Bytes that it takes until it is told.
    fn bytes(&self) -> usize {
        match self {
            Self::Done(Some(result)) => result.to_string().len(),
            Self::Retry(_, error) | Self::Dead(error) | Self::Cancelled(error) => error.len(),
            Self::Done(None) | Self::Release | Self::Settled => 0,
        }
    }

    /// For metrics.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Done(_) | Self::Settled => "done",
            Self::Retry(..) => "retry",
            Self::Dead(_) => "dead",
            Self::Cancelled(_) => "cancelled",
            Self::Release => "released",
        }
    }
}

impl Batches {
    /// Jobs claimed and not yet ended.
    pub(crate) fn inflight(&self) -> usize {
        self.inflight
    }

    /// Jobs ended and not told yet.
    pub(crate) fn untold(&self) -> usize {
        self.untold
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
    pub(crate) fn end(&mut self, batch: u64, job: i64, end: End, now: Instant) -> bool {
        let Some(batch) = self.batches.get_mut(&batch) else { return false };
        // Payloads of one batch count alike.
        let brought = batch.bytes / batch.left.max(1);
        batch.bytes -= brought;
        self.bytes = self.bytes.saturating_sub(brought) + end.bytes();
        self.untold += 1;
        batch.left = batch.left.saturating_sub(1);
        batch.first_end.get_or_insert(now);
        batch.split |= end == End::Settled;
        batch.ends.push((job, end));
        self.inflight = self.inflight.saturating_sub(1);
        batch.left == 0
    }

    /// Takes what can be told: whole batches, and parts of those that linger (`all`: of every one).
    pub(crate) fn report(&mut self, now: Instant, all: bool) -> Report {
        let mut report = Report::default();
        self.batches.retain(|_, batch| {
            let lingered = batch.first_end.is_some_and(|first| all || now.duration_since(first) >= LINGER);
            if batch.left == 0 {
                batch.tell_all(&mut report);
            } else if lingered {
                batch.tell_ends(&mut report);
                batch.split = true;
                batch.first_end = None;
            }
            batch.left > 0
        });
        report
    }

    /// As [`Batches::report`], for a reporter who will say [`Batches::told`].
    pub(crate) fn take_report(&mut self, now: Instant, all: bool) -> Report {
        let report = self.report(now, all);
        self.telling += usize::from(!report.is_empty());
        report
    }

    /// A report has arrived, or has lost its meaning.
    pub(crate) fn told(&mut self, report: &Report) {
        self.telling = self.telling.saturating_sub(1);
        self.untold = self.untold.saturating_sub(report.jobs);
        self.bytes = self.bytes.saturating_sub(report.bytes);
        for lease in &report.closed {
            self.leases.remove(lease);
        }
    }

    /// Every job has ended and the database knows.
    pub(crate) fn is_settled(&self) -> bool {
        self.batches.is_empty() && self.telling == 0
    }

    /// The worker was declared dead: its batches are others' now.
    pub(crate) fn forget(&mut self) -> usize {
        let lost = std::mem::take(&mut self.inflight);
        for batch in self.batches.values() {
            self.untold = self.untold.saturating_sub(batch.ends.len());
            self.bytes = self.bytes.saturating_sub(batch.bytes + batch.left_bytes());
        }
        self.batches.clear();
        self.leases.clear();
        lost
    }
}

impl Batch {
    fn tell_all(&mut self, report: &mut Report) {
        report.closed.push(self.lease);
        let well = self.ends.iter().all(|(_, end)| *end == End::Done(None));
        if self.plain && !self.split && well {
            report.jobs += self.ends.len();
            report.plain.push((self.lease, self.ends.iter().map(|(id, _)| *id).collect()));
        } else {
            self.tell_ends(report);
        }
    }

    /// What its ended jobs have left.
    fn left_bytes(&self) -> usize {
        self.ends.iter().map(|(_, end)| end.bytes()).sum()
    }

    fn tell_ends(&mut self, report: &mut Report) {
        let lease = self.lease;
        report.jobs += self.ends.len();
        report.bytes += self.left_bytes();
        report.ends.extend(self.ends.drain(..).map(|(job, end)| Ended { lease, job, end }));
    }
}

#[cfg(test)]
mod tests;
