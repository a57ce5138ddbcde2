//! The table on the terminal and the JSON beside it.

use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};

use super::Effort;
use super::load::Measured;
use super::server::StartTimes;
use crate::check::output;

/// Promises of memory: 40 MB and 80 MB, in KiB.
const IDLE_KIB: u64 = 40_000_000 / 1024;
const LOADED_KIB: u64 = 80_000_000 / 1024;
/// Promises of start-up, in milliseconds, for a quiet machine of two cores.
const FIRST_MS: u64 = 8_000;
const AGAIN_MS: u64 = 1_500;

/// One scenario's two sides.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) least_ratio: f64,
    pub(crate) ours: Measured,
    pub(crate) pgbench: Measured,
}

impl Row {
    fn ratio(&self) -> f64 {
        self.ours.per_second / self.pgbench.per_second
    }
}

/// A finished run.
pub(crate) struct Report {
    effort: Effort,
    start: StartTimes,
    pub(crate) rss_idle_kib: u64,
    pub(crate) rss_loaded_kib: u64,
    pub(crate) rows: Vec<Row>,
}

impl Report {
    pub(crate) fn new(effort: Effort, start: StartTimes) -> Self {
        Self { effort, start, rss_idle_kib: 0, rss_loaded_kib: 0, rows: Vec::new() }
    }

    /// Whether every promise holds.
    pub(crate) fn holds(&self) -> bool {
        let start = self.start.first_ms <= FIRST_MS && self.start.again_ms <= AGAIN_MS;
        let memory = self.rss_idle_kib <= IDLE_KIB && self.rss_loaded_kib <= LOADED_KIB;
        start && memory && self.rows.iter().all(|row| row.ratio() >= row.least_ratio)
    }

    pub(crate) fn table(&self) -> String {
        let mut table = comfy_table::Table::new();
        table.load_style(comfy_table::presets::ASCII_MARKDOWN);
        table.set_header([
            "scenario",
            "rowhouse req/s",
            "p50 ms",
            "p99 ms",
            "pgbench tx/s",
            "p50 ms",
            "p99 ms",
            "ratio",
            "promised",
        ]);
        for row in &self.rows {
            let Row { ours, pgbench, .. } = row;
            let numbers = [
                ours.per_second,
                ours.p50_ms,
                ours.p99_ms,
                pgbench.per_second,
                pgbench.p50_ms,
                pgbench.p99_ms,
                row.ratio(),
                row.least_ratio,
            ];
            let cells = numbers
                .iter()
                .enumerate()
                .map(|(i, n)| if i == 0 || i == 3 { format!("{n:.0}") } else { format!("{n:.2}") });
            table.add_row(std::iter::once(row.name.to_owned()).chain(cells));
        }
        format!(
            "{table}\n\nready: {} ms with initdb, {} ms on an existing project\nmemory: {:.1} MiB idle, {:.1} MiB after a minute of load from 64 connections\n{}",
            self.start.first_ms,
            self.start.again_ms,
            self.rss_idle_kib as f64 / 1024.0,
            self.rss_loaded_kib as f64 / 1024.0,
            if self.holds() { "every promise holds" } else { "a promise is broken" },
        )
    }

    pub(crate) fn write(&self, path: &Path, root: &Path) -> Result<()> {
        let side = |m: &Measured| json!({ "per_second": m.per_second.round(), "p50_ms": m.p50_ms, "p99_ms": m.p99_ms });
        let rows: Vec<Value> = self
            .rows
            .iter()
            .map(|row| json!({ "scenario": row.name, "rowhouse": side(&row.ours), "pgbench": side(&row.pgbench), "ratio": (row.ratio() * 100.0).round() / 100.0, "promised": row.least_ratio }))
            .collect();
        let document = json!({
            "name": "bench-rest",
            "command": "cargo xtask bench rest",
            "date": output("date", &["--utc", "+%Y-%m-%dT%H:%M:%SZ"], root),
            "revision": output("git", &["rev-parse", "HEAD"], root),
            "dirty": !output("git", &["status", "--porcelain", "--untracked-files=no"], root).is_empty(),
            "machine": { "cpus": output("nproc", &[], root), "kernel": output("uname", &["-sr"], root) },
            "parameters": { "seconds": self.effort.seconds, "rounds": self.effort.rounds, "http_connections": 16, "pgbench_clients": 8 },
            "ready_ms": { "first": self.start.first_ms, "again": self.start.again_ms },
            "rss_kib": { "idle": self.rss_idle_kib, "after_load": self.rss_loaded_kib },
            "scenarios": rows,
            "holds": self.holds(),
        });
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(path, serde_json::to_string_pretty(&document)? + "\n")?;
        Ok(())
    }
}
