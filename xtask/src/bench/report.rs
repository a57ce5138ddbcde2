//! The JSON of a run, from which [`crate::generate`] makes tables.

use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};

use super::{Effort, Measured, pgbench};
use crate::check::output;

/// One scenario's two sides.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) least_ratio: f64,
    pub(crate) ours: Measured,
    pub(crate) pgbench: Measured,
}

impl Row {
    pub(super) fn ratio(&self) -> f64 {
        self.ours.per_second / self.pgbench.per_second
    }

    pub(super) fn json(&self) -> Value {
        let side = |m: &Measured| {
            json!({
                "per_second": m.per_second.round(),
                "p50_ms": m.p50_ms,
                "p99_ms": m.p99_ms,
                "postgres_cpu_us": m.postgres_cpu_us.round(),
            })
        };
        let mut ours = side(&self.ours);
        ours["server_cpu_us"] = self.ours.server_cpu_us.round().into();
        json!({
            "scenario": self.name,
            "rowhouse": ours,
            "pgbench": side(&self.pgbench),
            "ratio": hundredths(self.ratio()),
            "promised": self.least_ratio,
            "holds": self.ratio() >= self.least_ratio,
        })
    }
}

/// A promised upper bound.
pub(crate) struct Limit {
    pub(crate) what: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) most: f64,
    /// `None` if it could not be measured; the promise does not hold then.
    pub(crate) measured: Option<f64>,
}

impl Limit {
    pub(super) fn holds(&self) -> bool {
        self.measured.is_some_and(|measured| measured <= self.most)
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "what": self.what,
            "unit": self.unit,
            "measured": self.measured.map(hundredths),
            "promised": self.most,
            "holds": self.holds(),
        })
    }
}

/// A finished run.
#[derive(Default)]
pub(crate) struct BenchReport {
    pub(crate) rows: Vec<Row>,
    pub(crate) limits: Vec<Limit>,
}

impl BenchReport {
    /// Whether every promise holds.
    pub(crate) fn holds(&self) -> bool {
        self.rows.iter().all(|row| row.ratio() >= row.least_ratio) && self.limits.iter().all(Limit::holds)
    }

    pub(crate) fn document(&self, effort: &Effort, root: &Path) -> Value {
        let mut document = dated_document("bench-rest", "cargo xtask bench rest", root);
        document["parameters"] = json!({
            "seconds": effort.seconds,
            "rounds": effort.rounds,
            "http_connections": super::CONNECTIONS,
            "pgbench_clients": pgbench::CLIENTS,
        });
        document["scenarios"] = self.rows.iter().map(Row::json).collect();
        document["limits"] = self.limits.iter().map(Limit::json).collect();
        document["holds"] = self.holds().into();
        document
    }
}

/// A document with command, date, revision and machine.
pub(super) fn dated_document(name: &str, command: &str, root: &Path) -> Value {
    json!({
        "name": name,
        "command": command,
        "date": output("date", &["--utc", "+%Y-%m-%dT%H:%M:%SZ"], root),
        "revision": output("git", &["rev-parse", "HEAD"], root),
        "dirty": !output("git", &["status", "--porcelain", "--untracked-files=no"], root).is_empty(),
        "machine": { "cpus": output("nproc", &[], root), "kernel": output("uname", &["-sr"], root) },
    })
}

/// Writes a whole run's document.
pub(crate) fn write(document: &Value, path: &Path) -> Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(path, serde_json::to_string_pretty(document)? + "\n")?;
    Ok(())
}

pub(super) fn hundredths(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}
