//! `cargo xtask bench rest`: the data API against pgbench running the same transaction on the same server in the same
//! run, and the process's memory. The result is the ratio within a run; absolute numbers depend on the machine.

pub(crate) mod auth;
mod import;
pub(crate) mod jobs;
pub(crate) mod mail;
mod memory;
mod pgbench;
mod process;
mod report;
mod scenario;
pub(crate) mod schema;
mod script;
mod server;
pub(crate) mod tenancy;
mod tls;
mod wrk;

use std::path::Path;

use anyhow::{Context, Result};

use pgbench::{Pgbench, Repeat};
use process::{CpuTime, Memory, resident_kib};
use report::{BenchReport, Limit, Row};
use scenario::Scenario;
use server::{Server, StartTimes, User};
use wrk::Wrk;

/// Requests that wrk keeps in flight.
const CONNECTIONS: u32 = 16;

/// Extent of the measurement.
#[derive(Debug, Clone)]
pub(crate) struct Effort {
    /// Seconds per measurement.
    pub(crate) seconds: u32,
    /// Measurements per side, taken in turns; the median counts.
    pub(crate) rounds: u32,
    /// Only scenarios with this in their name.
    pub(crate) only: Option<String>,
}

impl Effort {
    fn wants(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|only| name.contains(only.as_str()))
    }
}

/// One measurement.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measured {
    /// Requests or transactions.
    pub(crate) count: u64,
    pub(crate) per_second: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    /// CPU time of the server per request, and of PostgreSQL.
    pub(crate) server_cpu_us: f64,
    pub(crate) postgres_cpu_us: f64,
}

impl Measured {
    fn with_cpu_time(self, spent: CpuTime) -> Self {
        let each = |micros: u64| micros as f64 / self.count.max(1) as f64;
        Self { server_cpu_us: each(spent.server_us), postgres_cpu_us: each(spent.postgres_us), ..self }
    }
}

/// Builds, measures, prints tables and, unless only a part was wanted, writes `docs/evidence/bench-rest.json`.
pub(crate) fn run(root: &Path, effort: &Effort) -> Result<bool> {
    build(root)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(measure(root, effort))?;
    anyhow::ensure!(!report.rows.is_empty() || !report.limits.is_empty(), "nothing has that in its name");
    let document = report.document(effort, root);
    println!("{}", crate::generate::performance::tables(&document).context("a figure is missing")?);
    println!("{}", if report.holds() { "every promise holds" } else { "a promise is broken" });
    if effort.only.is_none() {
        report::write(&document, &root.join("docs/evidence/bench-rest.json"))?;
        crate::generate::write(root)?;
    }
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

async fn measure(root: &Path, effort: &Effort) -> Result<BenchReport> {
    let folder = tempfile::tempdir().context("a folder for the project")?;
    let (mut server, start) = Server::first_start(root, folder.path())?;
    let idle = resident_kib(server.pid(), Memory::Now)?;
    let user = server.sign_up().await?;
    let (wrk, pgbench) = (Wrk::new(&server, &user)?, Pgbench::new(&server)?);
    let mut report = BenchReport::default();
    for scenario in scenario::all(&server, &user, |name| effort.wants(name)).await? {
        report.rows.push(compare(&server, &wrk, &pgbench, &scenario, effort)?);
    }
    report.limits = starting(start, idle).into_iter().filter(|limit| effort.wants(limit.what)).collect();
    under_load(&server, &wrk, effort, &mut report)?;
    shared_sends(&mut server, &user, effort, &mut report)?;
    over_tls(root, effort, &mut report).await;
    // The server's process is another one now.
    let pgbench = Pgbench::new(&server)?;
    large(&mut server, &user, &pgbench, effort, &mut report).await;
    server.stop()?;
    Ok(report)
}

/// Alternates, so that noise affects both sides.
fn compare(
    server: &Server,
    wrk: &Wrk,
    pgbench: &Pgbench,
    scenario: &Scenario,
    effort: &Effort,
) -> Result<Row> {
    let reset = || scenario.reset.map_or(Ok(()), |sql| server.run_as_superuser(sql));
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    wrk.run(&scenario.request, CONNECTIONS, 2)?;
    pgbench.run(&scenario.script, Repeat::Seconds(2))?;
    for round in 1..=effort.rounds {
        eprintln!("{}: round {round} of {}", scenario.name, effort.rounds);
        reset()?;
        ours.push(wrk.run(&scenario.request, CONNECTIONS, effort.seconds)?);
        reset()?;
        theirs.push(pgbench.run(&scenario.script, Repeat::Seconds(effort.seconds))?);
    }
    let (name, least_ratio) = (scenario.name, scenario.least_ratio);
    Ok(Row { name, least_ratio, ours: median(ours)?, pgbench: median(theirs)? })
}

/// The measurement whose throughput is in the middle.
fn median(mut all: Vec<Measured>) -> Result<Measured> {
    all.sort_by(|a, b| a.per_second.total_cmp(&b.per_second));
    all.get(all.len() / 2).copied().context("no round was measured")
}

fn starting(start: StartTimes, idle_kib: u64) -> Vec<Limit> {
    let ready = |what, most, millis: u64| Limit { what, unit: "ms", most, measured: Some(millis as f64) };
    vec![
        ready("ready, with a new database", 8000.0, start.first_ms),
        ready("ready, on an existing project", 1500.0, start.again_ms),
        memory_limit("memory of the process, idle", 40.0, Ok(idle_kib)),
    ]
}

fn under_load(server: &Server, wrk: &Wrk, effort: &Effort, report: &mut BenchReport) -> Result<()> {
    const WHAT: &str = "memory after a minute of load from 64 connections";
    if effort.wants(WHAT) {
        eprintln!("{WHAT}");
        wrk.run(&scenario::twenty_rows(), 64, 60)?;
        report.limits.push(memory_limit(WHAT, 80.0, resident_kib(server.pid(), Memory::Now)));
    }
    Ok(())
}

/// Compares reads with and without shared sends, alternating.
fn shared_sends(server: &mut Server, user: &User, effort: &Effort, report: &mut BenchReport) -> Result<()> {
    const WHAT: &str = "reads from 64 connections without shared sends, against with";
    if !effort.wants(WHAT) {
        return Ok(());
    }
    let mut ratios = Vec::new();
    for round in 1..=effort.rounds {
        eprintln!("{WHAT}: round {round} of {}", effort.rounds);
        let with = twenty_rows_with(server, user, effort, "true")?;
        ratios.push(twenty_rows_with(server, user, effort, "false")? / with);
    }
    server.restart(&[])?;
    // Of neighbouring measurements, since the machine's speed drifts.
    ratios.sort_by(f64::total_cmp);
    eprintln!("without / with, by round: {ratios:.2?}");
    let measured = ratios.get(ratios.len() / 2).copied();
    report.limits.push(Limit { what: WHAT, unit: "×", most: 1.0 / 1.05, measured });
    Ok(())
}

/// Reads a second from 64 connections, by a fresh process with this setting of `db.shared_sends`.
fn twenty_rows_with(server: &mut Server, user: &User, effort: &Effort, value: &str) -> Result<f64> {
    server.restart(&[("ROWHOUSE_DB__SHARED_SENDS", value)])?;
    let wrk = Wrk::new(server, user)?;
    wrk.run(&scenario::twenty_rows(), 64, 2)?;
    Ok(wrk.run(&scenario::twenty_rows(), 64, effort.seconds)?.per_second)
}

/// Reads over TLS to PostgreSQL. A failed measurement does not prevent the others.
async fn over_tls(root: &Path, effort: &Effort, report: &mut BenchReport) {
    const WHAT: &str = "reads over plain text to PostgreSQL, against TLS";
    if effort.wants(WHAT) {
        let measured = known(WHAT, tls::plain_against_tls(root, effort).await);
        report.limits.push(Limit { what: WHAT, unit: "×", most: 1.0 / 0.95, measured });
    }
}

/// Large bodies and results. A failed measurement does not prevent the others.
async fn large(
    server: &mut Server,
    user: &User,
    pgbench: &Pgbench,
    effort: &Effort,
    report: &mut BenchReport,
) {
    const IMPORT: &str = "import of 100,000 rows as NDJSON, against insert … select";
    const BODY: &str = "peak memory while 50 MB of JSON are inserted";
    const READ: &str = "peak memory over idle while 1,000,000 rows are read as NDJSON";
    if effort.wants(IMPORT) {
        let times = import::times_of_insert(server, user, pgbench, effort.rounds).await;
        let measured = known(IMPORT, times);
        report.limits.push(Limit { what: IMPORT, unit: "×", most: 1.5, measured });
    }
    if effort.wants(BODY) {
        report.limits.push(memory_limit(BODY, 100.0, memory::of_large_body(server, user).await));
    }
    if effort.wants(READ) {
        report.limits.push(memory_limit(READ, 30.0, memory::of_large_read(server, user).await));
    }
}

fn memory_limit(what: &'static str, most: f64, kib: Result<u64>) -> Limit {
    let measured = known(what, kib).map(|kib| kib as f64 * 1024.0 / 1e6);
    Limit { what, unit: "MB", most, measured }
}

fn known<T>(what: &str, result: Result<T>) -> Option<T> {
    result.inspect_err(|error| eprintln!("{what}: {error:#}")).ok()
}

fn word_after<'t>(text: &'t str, label: &str) -> Option<&'t str> {
    text.split_once(label)?.1.split_whitespace().next()
}
