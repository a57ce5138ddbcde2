//! `cargo xtask bench jobs`: durable jobs that do nothing, through the worker's release build on a PostgreSQL of its own,
//! with settings as `up` writes them; and other queues on the same server in the same run when asked.

mod crowd;
mod database;
mod load;
mod peer;
mod report;
mod scenario;
mod worker;

use std::path::Path;

use anyhow::Result;

use database::Database;
use report::JobsReport;

/// Tenants of which the promises speak.
pub(crate) const TENANTS: u32 = 100_000;

/// Extent of the measurement.
#[derive(Debug, Clone)]
pub(crate) struct Effort {
    /// Seconds per measurement of a steady load.
    pub(crate) seconds: u32,
    /// Measurements of each kind, taken in turns; the median counts.
    pub(crate) rounds: u32,
    /// Jobs that are drained in one measurement.
    pub(crate) jobs: u32,
    /// How long a snapshot is held open.
    pub(crate) snapshot_minutes: f64,
    /// Tenants with a job each, where many are asked for.
    pub(crate) tenants: u32,
    /// Whether other queues run as well.
    pub(crate) peers: bool,
    /// Only scenarios with this in their name.
    pub(crate) only: Option<String>,
}

impl Effort {
    fn wants(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|only| name.contains(only.as_str()))
    }
}

/// Builds, measures, prints tables and, unless only a part or fewer tenants were wanted, writes `docs/evidence/bench-jobs.json`.
pub(crate) fn run(root: &Path, effort: &Effort) -> Result<bool> {
    worker::build(root)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(measure(root, effort))?;
    anyhow::ensure!(!report.is_empty(), "nothing has that in its name");
    let document = report.document(effort, root);
    println!("{}", crate::generate::performance::jobs_tables(&document).unwrap_or_default());
    println!("{}", if report.holds() { "every promise holds" } else { "a promise is broken" });
    if effort.only.is_none() && effort.tenants == TENANTS {
        super::report::write(&document, &root.join("docs/evidence/bench-jobs.json"))?;
        crate::generate::write(root)?;
    }
    Ok(report.holds())
}

async fn measure(root: &Path, effort: &Effort) -> Result<JobsReport> {
    let database = Database::start(root).await?;
    let peers = if effort.peers { peer::install(root)? } else { Vec::new() };
    let mut report = JobsReport::default();
    let outcome = async {
        for round in 1..=effort.rounds {
            eprintln!("round {round} of {}", effort.rounds);
            scenario::round(&database, root, effort, &mut report).await?;
            for peer in &peers {
                report.peers.add(peer, peer::run(root, &database, *peer, effort).await);
            }
        }
        scenario::held_snapshot(&database, root, effort, &mut report).await
    };
    let outcome = outcome.await;
    database.stop().await;
    outcome.map(|()| report)
}
