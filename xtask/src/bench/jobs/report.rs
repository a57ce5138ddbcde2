//! Promises, measurements, and the JSON of a run.

use std::path::Path;

use serde_json::{Value, json};

use super::Effort;
use super::peer::Peers;
use crate::check::output;

/// A figure and its promise.
#[derive(Debug, PartialEq)]
pub(crate) struct Figure {
    pub(crate) what: &'static str,
    unit: &'static str,
    promise: Promise,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Promise {
    AtLeast(f64),
    AtMost(f64),
    Nothing,
}

const fn figure(what: &'static str, unit: &'static str, promise: Promise) -> Figure {
    Figure { what, unit, promise }
}

pub(crate) const DRAINED: Figure = figure("drained by one worker", "jobs/s", Promise::AtLeast(20_000.0));
pub(crate) const DRAINED_BY_TWO: Figure = figure("drained by two workers", "jobs/s", Promise::Nothing);
pub(crate) const BUSY: Figure = figure("done during bulk enqueueing", "jobs/s", Promise::AtLeast(10_000.0));
pub(crate) const HELD: Figure =
    figure("drained beside a held snapshot, of that without", "%", Promise::AtLeast(80.0));
pub(crate) const WAIT_P50: Figure =
    figure("commit to start at 1,000 single enqueues/s, p50", "ms", Promise::AtMost(5.0));
pub(crate) const WAIT_P99: Figure =
    figure("commit to start at 1,000 single enqueues/s, p99", "ms", Promise::AtMost(25.0));
pub(crate) const COMMIT_P50: Figure = figure("the enqueuer's own commit then, p50", "ms", Promise::Nothing);
pub(crate) const COMMIT_P99: Figure = figure("the enqueuer's own commit then, p99", "ms", Promise::Nothing);
pub(crate) const NOISE: Figure =
    figure("p99 wait beside a noisy tenant, of that without", "×", Promise::AtMost(2.0));
pub(crate) const WAL: Figure = figure("WAL per job, empty payload", "B", Promise::AtMost(400.0));
pub(crate) const ENQUEUED_SINGLY: Figure =
    figure("enqueued singly by 32 clients", "jobs/s", Promise::Nothing);
pub(crate) const ENQUEUED_BULK: Figure = figure("enqueued in bulk", "jobs/s", Promise::Nothing);

pub(crate) const CROWD: Figure =
    figure("drained of 100,000 tenants, of that of one", "%", Promise::AtLeast(80.0));
pub(crate) const CROWD_COMMIT: Figure =
    figure("single enqueue beside 100,000 tenants, p50", "ms", Promise::AtMost(1.0));
pub(crate) const CROWD_IDLE: Figure =
    figure("commit to start for an idle one of 100,000 tenants, p99", "ms", Promise::AtMost(1_000.0));
pub(crate) const KEY: Figure =
    figure("p99 wait beside 5,000 jobs of one key, of that without", "×", Promise::AtMost(2.0));

/// The promised ratio to the fastest other queue.
pub(crate) const LEAST_RATIO: f64 = 2.0;

impl Figure {
    pub(crate) fn median(rounds: &[f64]) -> Option<f64> {
        let mut rounds = rounds.to_vec();
        rounds.sort_by(f64::total_cmp);
        rounds.get(rounds.len() / 2).copied()
    }

    fn holds(&self, measured: f64) -> bool {
        match self.promise {
            Promise::AtLeast(least) => measured >= least,
            Promise::AtMost(most) => measured <= most,
            Promise::Nothing => true,
        }
    }

    fn json(&self, rounds: &[f64]) -> Value {
        let measured = Self::median(rounds);
        let promised = match self.promise {
            Promise::AtLeast(least) => json!({ "at_least": least }),
            Promise::AtMost(most) => json!({ "at_most": most }),
            Promise::Nothing => Value::Null,
        };
        json!({
            "what": self.what,
            "unit": self.unit,
            "measured": measured.map(tenths),
            "rounds": rounds.iter().copied().map(tenths).collect::<Vec<_>>(),
            "promised": promised,
            "holds": measured.is_some_and(|measured| self.holds(measured)),
        })
    }
}

/// A finished run.
#[derive(Default)]
pub(crate) struct JobsReport {
    figures: Vec<(&'static Figure, Vec<f64>)>,
    pub(crate) peers: Peers,
}

impl JobsReport {
    pub(crate) fn is_empty(&self) -> bool {
        self.figures.is_empty() && self.peers.is_empty()
    }

    /// Records a measurement.
    pub(crate) fn add(&mut self, figure: &'static Figure, measured: f64) {
        eprintln!("{}: {} {}", figure.what, tenths(measured), figure.unit);
        match self.figures.iter_mut().find(|(known, _)| *known == figure) {
            Some((_, rounds)) => rounds.push(measured),
            None => self.figures.push((figure, vec![measured])),
        }
    }

    pub(crate) fn median(&self, figure: &Figure) -> Option<f64> {
        let (_, rounds) = self.figures.iter().find(|(known, _)| *known == figure)?;
        Figure::median(rounds)
    }

    /// The ratio to the fastest other queue; `None` if none ran.
    fn ratio(&self) -> Option<f64> {
        Some(self.median(&DRAINED)? / self.peers.best()?)
    }

    /// Whether every promise holds.
    pub(crate) fn holds(&self) -> bool {
        let figures = self
            .figures
            .iter()
            .all(|(figure, rounds)| Figure::median(rounds).is_some_and(|measured| figure.holds(measured)));
        figures && self.peers.all_ran() && self.ratio().is_none_or(|ratio| ratio >= LEAST_RATIO)
    }

    pub(crate) fn document(&self, effort: &Effort, root: &Path) -> Value {
        json!({
            "name": "bench-jobs",
            "command": format!(
                "cargo xtask bench jobs --snapshot-minutes {}{}",
                effort.snapshot_minutes,
                if effort.peers { " --peers" } else { "" }
            ),
            "date": output("date", &["--utc", "+%Y-%m-%dT%H:%M:%SZ"], root),
            "revision": output("git", &["rev-parse", "HEAD"], root),
            "dirty": !output("git", &["status", "--porcelain", "--untracked-files=no"], root).is_empty(),
            "machine": { "cpus": output("nproc", &[], root), "kernel": output("uname", &["-sr"], root) },
            "parameters": {
                "seconds": effort.seconds,
                "rounds": effort.rounds,
                "jobs": effort.jobs,
                "snapshot_minutes": effort.snapshot_minutes,
                "tenants": effort.tenants,
            },
            "figures": self.figures.iter().map(|(figure, rounds)| figure.json(rounds)).collect::<Vec<_>>(),
            "peers": self.peers.json(),
            "ratio": self.ratio().map(|ratio| json!({
                "measured": (ratio * 100.0).round() / 100.0,
                "promised": LEAST_RATIO,
                "holds": ratio >= LEAST_RATIO,
            })),
            "holds": self.holds(),
        })
    }
}

fn tenths(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}
