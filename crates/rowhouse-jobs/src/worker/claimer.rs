//! Takes jobs as there is room, and starts them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rowhouse_db::DbError;
use tokio::sync::watch;

use super::batch::End;
use super::lane::Plan;
use super::run::{self, Stop};
use super::{Shared, lock};
use crate::handler::Lease;
use crate::store::{self, Claimed};

/// Pauses between two looks: while there is work now and then, and after a long quiet.
const SHORTEST: Duration = Duration::from_millis(3);
const LONGEST: Duration = Duration::from_millis(100);
/// Pause after the database failed.
const TROUBLE: Duration = Duration::from_millis(250);
/// Jobs claimed at once.
const MOST: usize = 500;
/// Jobs claimed and not ended, however short they are.
const MOST_INFLIGHT: usize = 2_000;
/// Jobs are claimed ahead of their turn for so much work, so that quick ones do not wait for a round trip.
const AHEAD: Duration = Duration::from_millis(20);

pub(super) async fn run(shared: Arc<Shared>) {
    let mut pause = SHORTEST;
    while !shared.is_leaving() {
        match claim(&shared).await {
            Ok(0) => {
                let woken = tokio::time::timeout(pause, shared.wake.notified()).await.is_ok();
                pause = if woken { SHORTEST } else { (pause * 3 / 2).min(LONGEST) };
            }
            Ok(_) => pause = SHORTEST,
            Err(error) => {
                tracing::warn!(%error, "jobs cannot be claimed");
                lock(&shared.lanes).forget_lows();
                tokio::time::sleep(TROUBLE).await;
            }
        }
    }
}

/// One round; how many jobs it gave.
async fn claim(shared: &Arc<Shared>) -> Result<usize, DbError> {
    let want = loop {
        match shared.room() {
            0 => shared.room.notified().await,
            room => break room.min(MOST),
        }
    };
    let client = shared.control.connection().await?;
    let newest = lock(&shared.lanes).newest();
    let kinds: Vec<String> = shared.registry.kinds().map(|kind| kind.name.to_string()).collect();
    let new = store::lanes(&client, &kinds, newest).await?;
    let plan = {
        let mut lanes = lock(&shared.lanes);
        lanes.learn(new, false);
        lanes.plan(i32::try_from(want).unwrap_or(i32::MAX), &shared.release)
    };
    let worker = shared.worker();
    let mut given = claim_free(shared, &client, worker, &plan, want).await?;
    for (queue, picks) in &plan.limited {
        let left = i32::try_from(want.saturating_sub(given)).unwrap_or(i32::MAX);
        if left == 0 {
            break;
        }
        let claimed = store::claim_limited(&client, worker, queue, picks, left).await?;
        given += claimed.len();
        start(shared, claimed);
    }
    Ok(given)
}

/// From lanes without limits. The commit is not waited for: a claim that a crash of the database undoes has left its
/// jobs where they were, and whatever this worker makes of them finds no lease.
async fn claim_free(
    shared: &Arc<Shared>,
    client: &deadpool_postgres::Object,
    worker: uuid::Uuid,
    plan: &Plan,
    want: usize,
) -> Result<usize, DbError> {
    if plan.free.lanes.is_empty() {
        return Ok(0);
    }
    let most = i64::try_from(want).unwrap_or(i64::MAX);
    let claimed = store::claim(client, worker, &plan.free, most).await?;
    let settled = shared.settled_position.load(Ordering::Relaxed);
    lock(&shared.lanes).gave(&plan.free, &claimed, claimed.len() < want, settled);
    let given = claimed.len();
    start(shared, claimed);
    Ok(given)
}

impl Shared {
    /// How many more jobs to claim.
    fn room(&self) -> usize {
        let inflight = lock(&self.batches).inflight();
        let each = Duration::from_nanos(self.run_time.load(Ordering::Relaxed)).max(Duration::from_micros(5));
        let ahead = AHEAD.as_nanos() / each.as_nanos();
        let ahead = usize::try_from(ahead).unwrap_or(0).saturating_mul(self.concurrency);
        (self.concurrency + ahead).min(MOST_INFLIGHT.max(self.concurrency)).saturating_sub(inflight)
    }

    /// Takes the duration of a run into account.
    fn took(&self, took: Duration) {
        let new = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX).min(3_600_000_000_000);
        let old = self.run_time.load(Ordering::Relaxed);
        self.run_time.store(old - old / 16 + new / 16, Ordering::Relaxed);
    }
}

/// Starts what was claimed, lease by lease.
fn start(shared: &Arc<Shared>, claimed: Vec<Claimed>) {
    let mut leases: BTreeMap<i64, Vec<Claimed>> = BTreeMap::new();
    for job in claimed {
        leases.entry(job.lease).or_default().push(job);
    }
    for (lease, mut jobs) in leases {
        jobs.sort_by_key(|job| job.position);
        let plain = jobs.iter().all(|job| job.options.as_ref().is_none_or(is_plain));
        let batch = lock(&shared.batches).open(lease, jobs.len(), plain);
        for job in jobs {
            tokio::spawn(one(Arc::clone(shared), batch, job));
        }
    }
}

fn is_plain(options: &serde_json::Value) -> bool {
    options.get("unique_key").is_none() && options.get("parent").is_none()
}

/// One job from its claim to its end.
async fn one(shared: Arc<Shared>, batch: u64, claimed: Claimed) {
    let Ok(_permit) = Arc::clone(&shared.permits).acquire_owned().await else { return };
    let id = claimed.id;
    if shared.is_leaving() {
        return shared.end(batch, id, End::Release);
    }
    let lane = lock(&shared.lanes).row(claimed.lane).cloned();
    let known = lane.and_then(|lane| Some((shared.registry.get(&lane.kind)?.clone(), lane)));
    let Some(((kind, handler), lane)) = known else {
        return shared.end(batch, id, End::Release);
    };
    let lease = Lease { id: claimed.lease, worker: shared.worker() };
    let job = run::job(claimed, &lane, &kind, lease);
    let labels = [("queue", lane.queue.clone()), ("kind", lane.kind.clone())];
    let waited = (shared.clock.now() - job.enqueued_at).as_seconds_f64().max(0.0);
    metrics::histogram!("rowhouse_jobs_wait_seconds", &labels).record(waited);
    let (sender, stop) = watch::channel(Stop::No);
    lock(&shared.running).insert(id, sender);
    let started = Instant::now();
    let span =
        tracing::info_span!("job", job_id = id, kind = &*job.kind, request_id = job.request_id.as_deref());
    let end =
        tracing::Instrument::instrument(run::run(&job, &kind, &*handler, stop.clone(), &*shared.rng), span)
            .await;
    lock(&shared.running).remove(&id);
    let took = started.elapsed();
    shared.took(took);
    note(&job, &end, &labels, took);
    if *stop.borrow() != Stop::Lost {
        shared.end(batch, id, end);
    }
}

fn note(job: &crate::handler::Job, end: &End, labels: &[(&'static str, String); 2], took: Duration) {
    let [queue, kind] = labels.clone();
    let labels = [queue, kind, ("outcome", end.name().to_owned())];
    metrics::histogram!("rowhouse_jobs_run_seconds", &labels).record(took);
    match end {
        End::Retry(after, error) => {
            tracing::warn!(
                job_id = job.id,
                kind = &*job.kind,
                attempt = job.attempt,
                after,
                error,
                "job failed"
            );
        }
        End::Dead(error) => {
            tracing::error!(job_id = job.id, kind = &*job.kind, attempt = job.attempt, error, "job is dead");
        }
        _ => {}
    }
}
