//! `cargo xtask bench rest`: the data API against pgbench running the very same transaction on the same server in the
//! same run. Ratios within a run are the result; absolute numbers belong to the machine.

mod load;
mod report;
mod scenario;
mod server;

use std::path::Path;

use anyhow::{Context, Result};

use load::{Load, Measured};
use report::{Report, Row};
use scenario::Scenario;
use server::Server;

/// How long and how often things are measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    /// Seconds per measurement.
    pub(crate) seconds: u32,
    /// Measurements per side, taken in turns; the median counts.
    pub(crate) rounds: u32,
}

/// Builds, measures, prints a table and writes `docs/evidence/bench-rest.json`.
pub(crate) fn run(root: &Path, effort: Effort) -> Result<bool> {
    build(root)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(measure(root, effort))?;
    println!("{}", report.table());
    report.write(&root.join("docs/evidence/bench-rest.json"), root)?;
    crate::generate::write(root)?;
    Ok(report.holds())
}

fn build(root: &Path) -> Result<()> {
    let status = std::process::Command::new("cargo")
        .args(["build", "--release", "--package", "rowhouse"])
        .current_dir(root)
        .status()?;
    anyhow::ensure!(status.success(), "the release build failed");
    Ok(())
}

async fn measure(root: &Path, effort: Effort) -> Result<Report> {
    let folder = tempfile::tempdir().context("a folder for the project")?;
    let (mut server, start) = Server::first_start(root, folder.path())?;
    let mut report = Report::new(effort, start);
    report.rss_idle_kib = server.rss_kib()?;
    let user = server.sign_up().await?;
    let load = Load::new(&server, &user)?;
    for scenario in scenario::all(&server, &user).await? {
        report.rows.push(compare(&load, &scenario, effort)?);
    }
    eprintln!("a minute of load from 64 connections");
    load.wrk(&scenario::twenty_rows(), 64, 60)?;
    report.rss_loaded_kib = server.rss_kib()?;
    server.stop()?;
    Ok(report)
}

/// Takes turns, so that a noisy minute hits both sides.
fn compare(load: &Load, scenario: &Scenario, effort: Effort) -> Result<Row> {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    load.wrk(&scenario.request, 16, 2)?;
    load.pgbench(scenario, 2)?;
    for round in 1..=effort.rounds {
        eprintln!("{}: round {round} of {}", scenario.name, effort.rounds);
        ours.push(load.wrk(&scenario.request, 16, effort.seconds)?);
        theirs.push(load.pgbench(scenario, effort.seconds)?);
    }
    Ok(Row {
        name: scenario.name,
        least_ratio: scenario.least_ratio,
        ours: median(ours),
        pgbench: median(theirs),
    })
}

/// The measurement whose throughput is in the middle.
fn median(mut all: Vec<Measured>) -> Measured {
    all.sort_by(|a, b| a.per_second.total_cmp(&b.per_second));
    all.swap_remove(all.len() / 2)
}
