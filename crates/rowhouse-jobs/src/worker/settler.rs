//! Tells the database how jobs ended, many at a time.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rowhouse_db::DbError;

use super::batch::{End, Report};
use super::{Shared, lock};
use crate::store;

/// How often ends are looked for that wait for slow neighbours.
const TICK: Duration = Duration::from_millis(25);
/// Pause after the database failed; nothing is forgotten meanwhile.
const TROUBLE: Duration = Duration::from_millis(100);

pub(super) async fn run(shared: Arc<Shared>) {
    loop {
        let _either = tokio::time::timeout(TICK, shared.ended.notified()).await;
        let report = lock(&shared.batches).take_report(Instant::now(), shared.is_leaving());
        if report.is_empty() {
            continue;
        }
        let worker = shared.worker();
        while let Err(error) = tell(&shared, worker, &report).await {
            tracing::warn!(%error, "ends of jobs cannot be told");
            tokio::time::sleep(TROUBLE).await;
            if shared.worker() != worker {
                break;
            }
        }
        lock(&shared.batches).told();
    }
}

async fn tell(shared: &Shared, worker: uuid::Uuid, report: &Report) -> Result<(), DbError> {
    let client = shared.control.connection().await?;
    let mut ends = report.ends.clone();
    if !report.plain.is_empty() {
        let leases: Vec<i64> = report.plain.iter().map(|(lease, _)| *lease).collect();
        let had: BTreeSet<i64> = store::finish(&client, worker, &leases).await?.into_iter().collect();
        // A lease that was split has its jobs under another number.
        let split = report.plain.iter().filter(|(lease, _)| !had.contains(lease));
        ends.extend(split.flat_map(|(_, jobs)| jobs).map(|id| (*id, End::Done(None))));
    }
    ends.retain(|(_, end)| *end != End::Settled);
    if ends.is_empty() {
        return Ok(());
    }
    let outcomes = Report::outcomes(&ends);
    let had = store::settle(&**client, worker, &outcomes).await?.len();
    if had < ends.len() {
        let refused = ends.len() - had;
        tracing::warn!(refused, "jobs ended that others had taken over; their ends do not count");
        metrics::counter!("rowhouse_jobs_refused_total").increment(refused as u64);
    }
    Ok(())
}
