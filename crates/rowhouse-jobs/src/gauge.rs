//! Gauges of jobs by queue and state. One process counts for all: it stores the counts in the database, and every
//! process exports them.

use rowhouse_kernel::Operation;
use std::collections::BTreeSet;
use std::time::Duration;

use metrics::gauge;
use rowhouse_db::Transaction;
use rowhouse_db::{Control, DbError};
use rowhouse_http::Heartbeat;
use serde_json::Value;

use crate::admin;

/// How often jobs are counted.
const INTERVAL: Duration = Duration::from_secs(5);
/// Timeout of a count; the task's heartbeat limit is longer.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Counts older than this are not exported.
const STALE: Duration = Duration::from_secs(30);
/// The states that are counted.
const STATES: &[&str] = &["ready", "scheduled", "waiting", "running", "dead"];

/// The counts.
#[derive(Debug, Clone, PartialEq)]
struct Counts {
    kinds: Value,
    workers: i32,
}

/// Keeps the gauges up to date until the task is aborted: `rowhouse_jobs_depth`, `rowhouse_jobs_oldest_ready_seconds` and
/// `rowhouse_jobs_workers`. A gauge that cannot be counted is NaN.
pub async fn keep(control: Control, heartbeat: Heartbeat) {
    let mut shown = BTreeSet::new();
    loop {
        let operation = Operation::system("jobs.measure");
        let counting = control.run_tx(&operation, async move |tx| measure(tx).await);
        match tokio::time::timeout(TIMEOUT, counting).await {
            Ok(Ok(counts)) => show(counts.as_ref(), &mut shown),
            failed => {
                tracing::debug!(?failed, "jobs cannot be counted");
                show(None, &mut shown);
            }
        }
        heartbeat.sleep(INTERVAL).await;
    }
}

/// The stored counts while they are fresh, else new ones, unless another process is counting.
async fn measure(tx: &Transaction<'_>) -> Result<Option<Counts>, DbError> {
    let sql = "select kinds, workers, at > clock_timestamp() - make_interval(secs => $1), \
               at > clock_timestamp() - make_interval(secs => $2) from jobs.measurement";
    // Allows for processes whose intervals are not aligned.
    let fresh = INTERVAL.as_secs_f64() * 0.9;
    let last = tx.query_opt(sql, &[&fresh, &STALE.as_secs_f64()]).await?;
    if let Some(row) = last.as_ref().filter(|row| row.get(2)) {
        return Ok(Some(Counts { kinds: row.get(0), workers: row.get(1) }));
    }
    if !tx.query_one("select jobs.try_turn('measure')", &[]).await?.get::<_, bool>(0) {
        let usable = last.filter(|row| row.get(3));
        return Ok(usable.map(|row| Counts { kinds: row.get(0), workers: row.get(1) }));
    }
    tx.batch_execute("set local statement_timeout = '2s'").await?;
    let kinds = Value::Array(admin::stats(tx).await?);
    let keep = "insert into jobs.measurement as m (at, kinds, workers) \
                select clock_timestamp(), $1, count(*) from jobs.workers w \
                where w.beat_at > clock_timestamp() - interval '8 seconds' \
                on conflict (is_only) do update \
                set at = excluded.at, kinds = excluded.kinds, workers = excluded.workers returning workers";
    let workers = tx.query_one(keep, &[&kinds]).await?.get(0);
    Ok(Some(Counts { kinds, workers }))
}

fn show(counts: Option<&Counts>, shown: &mut BTreeSet<(String, String)>) {
    gauge!("rowhouse_jobs_workers").set(counts.map_or(f64::NAN, |counts| f64::from(counts.workers)));
    let kinds = counts.and_then(|counts| counts.kinds.as_array());
    for kind in kinds.into_iter().flatten() {
        let name = |field: &str| kind[field].as_str().unwrap_or_default().to_owned();
        show_kind(&name("queue"), &name("kind"), Some(kind));
        shown.insert((name("queue"), name("kind")));
    }
    if kinds.is_none() {
        shown.iter().for_each(|(queue, kind)| show_kind(queue, kind, None));
    }
}

fn show_kind(queue: &str, kind: &str, counts: Option<&Value>) {
    let number = |field: &str| counts.and_then(|counts| counts[field].as_f64()).unwrap_or(f64::NAN);
    let labels = [("queue", queue.to_owned()), ("kind", kind.to_owned())];
    for state in STATES {
        let [queue, kind] = labels.clone();
        gauge!("rowhouse_jobs_depth", &[queue, kind, ("state", (*state).to_owned())]).set(number(state));
    }
    // NaN while nothing is ready.
    gauge!("rowhouse_jobs_oldest_ready_seconds", &labels).set(number("oldest_ready_seconds"));
}
