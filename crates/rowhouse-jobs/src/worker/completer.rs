//! Tells the database how jobs ended, many at a time.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rowhouse_db::DbError;

use super::batch::{CompletedRun, Completion, CompletionReport};
use super::{Shared, lock};
use crate::raw_json::RawJson;
use crate::store;

/// How often ends are looked for that wait for slow neighbours.
const TICK: Duration = Duration::from_millis(25);
/// Pause after the database failed; nothing is forgotten meanwhile.
const TROUBLE: Duration = Duration::from_millis(100);
/// One end by itself: as it is, without its result, and as a death.
const SINGLE_ATTEMPTS: u32 = 3;
/// An answer that takes longer does not come.
const TIMEOUT: Duration = Duration::from_secs(30);

pub(super) async fn run(shared: Arc<Shared>) {
    loop {
        let _either = tokio::time::timeout(TICK, shared.ended.notified()).await;
        let mut report = lock(&shared.batches).take_report(Instant::now(), shared.is_leaving());
        if report.is_empty() {
            continue;
        }
        let worker = shared.worker();
        while let Err(error) = shared.within(TIMEOUT, report_to_database(&shared, worker, &report)).await {
            tracing::warn!(%error, "ends of jobs cannot be told");
            if is_permanently_refused(&error) {
                report_singly(&shared, worker, report.ends).await;
                report.ends = Vec::new();
            } else {
                tokio::time::sleep(TROUBLE).await;
            }
            if shared.worker() != worker {
                break;
            }
        }
        lock(&shared.batches).reported(&report);
        shared.room.notify_one();
    }
}

/// The database understood and will refuse it again. Not so a deadlock, a time-out or a lack of space.
fn is_permanently_refused(error: &DbError) -> bool {
    error.code().is_some_and(|code| matches!(code.get(..2), Some("21" | "22" | "23" | "54")))
}

/// One end that cannot be kept must not hold up all others. Work that is done is not made undone by its result, which is
/// dropped; of another end the job is dead.
async fn report_singly(shared: &Shared, worker: uuid::Uuid, ends: Vec<CompletedRun>) {
    for mut ended in ends {
        for _attempt in 0..SINGLE_ATTEMPTS {
            let report = CompletionReport { ends: vec![ended.clone()], ..CompletionReport::default() };
            match shared.within(TIMEOUT, report_to_database(shared, worker, &report)).await {
                Ok(()) => break,
                Err(error) => {
                    tracing::error!(%error, job_id = ended.job, "the end of a job cannot be kept");
                    ended.end = match ended.end {
                        Completion::Done(Some(_)) => Completion::Done(None),
                        _ => Completion::Dead("its end could not be kept; see the log".to_owned()),
                    };
                }
            }
        }
    }
}

async fn report_to_database(
    shared: &Shared,
    worker: uuid::Uuid,
    report: &CompletionReport,
) -> Result<(), DbError> {
    let client = shared.control.connection().await?;
    let mut refused = 0;
    if !report.plain.is_empty() {
        let leases: Vec<i64> = report.plain.iter().map(|(lease, _)| *lease).collect();
        let had: BTreeSet<i64> =
            store::complete_leases(&client, worker, &leases).await?.into_iter().collect();
        let gone = report.plain.iter().filter(|(lease, _)| !had.contains(lease));
        refused += gone.map(|(_, jobs)| jobs.len()).sum::<usize>();
    }
    let outcomes = CompletionReport::outcomes(&report.ends);
    if !outcomes.is_empty() {
        let told = store::complete(&client, worker, &RawJson::write(&outcomes)?).await?.len();
        refused += outcomes.len().saturating_sub(told);
    }
    if refused > 0 {
        tracing::warn!(refused, "jobs ended that others had taken over; their ends do not count");
        metrics::counter!("rowhouse_jobs_refused_total").increment(refused as u64);
    }
    Ok(())
}
