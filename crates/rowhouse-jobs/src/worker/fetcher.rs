//! Takes jobs as there is room, and starts them.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use rowhouse_db::DbError;
use tokio::sync::{OwnedSemaphorePermit, watch};
use uuid::Uuid;

use super::batch::Completion;
use super::fetch_connection::FetchConnection;
use super::run::{self, Stop};
use super::slot::Held;
use super::{Running, Shared, lock};
use crate::store::{Claimed, PartitionRow, Room};
use crate::{Handler, Lease, Permit};

/// Pauses between two looks: while there is work now and then, and after a long quiet.
const SHORTEST: Duration = Duration::from_millis(3);
const LONGEST: Duration = Duration::from_millis(100);
/// Pause after a claim that has emptied the partitions, so that the jobs of a moment share the next one.
const GATHER: Duration = Duration::from_millis(1);
/// An answer that takes longer does not come. Claims of a limited queue wait for each other.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Pause after the database failed.
const TROUBLE: Duration = Duration::from_millis(250);
/// Jobs claimed at once.
const MOST: usize = 500;
/// Jobs ended of which the database does not know yet: where it takes claims and no ends, claiming has to wait.
const MAX_UNREPORTED: usize = 10_000;
/// Bytes of payloads of what is claimed, and of results and errors that are not told yet; and of one claim.
const MOST_BYTES: usize = 64 << 20;
const MOST_CLAIMED_BYTES: usize = 8 << 20;

pub(super) async fn run(shared: Arc<Shared>) {
    let mut connection = None;
    let mut pause = SHORTEST;
    while !shared.is_leaving() {
        let room = shared.room_to_claim().await;
        let claimed = shared.within(TIMEOUT, claim(&shared, &mut connection, room)).await;
        // Whatever has been asked and not answered is seen by the maintainer.
        lock(&shared.batches).ask([]);
        match claimed {
            Ok(0) => {
                let woken = tokio::time::timeout(pause, shared.wake.notified()).await.is_ok();
                pause = if woken { SHORTEST } else { (pause * 3 / 2).min(LONGEST) };
            }
            Ok(given) => {
                pause = SHORTEST;
                if given < room.jobs {
                    tokio::time::sleep(GATHER).await;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "jobs cannot be claimed");
                if let Some(connection) = connection.take() {
                    connection.close();
                }
                tokio::time::sleep(TROUBLE).await;
            }
        }
    }
}

/// One round; how many jobs it gave.
async fn claim(
    shared: &Arc<Shared>,
    connection: &mut Option<FetchConnection>,
    room: Room,
) -> Result<usize, DbError> {
    if room.jobs == 0 {
        return Ok(0);
    }
    let connection = match connection {
        Some(connection) if connection.is_open() => connection,
        gone => gone.insert(FetchConnection::open(shared).await?),
    };
    connection.claim(shared, room).await
}

impl Shared {
    /// A number for a lease. The maintainer knows it before the database does.
    pub(super) fn ask(&self) -> i64 {
        let mut bytes = [0; 8];
        self.rng.fill(&mut bytes);
        let lease = i64::from_le_bytes(bytes) & i64::MAX;
        lock(&self.batches).ask([lease]);
        lease
    }

    /// What to claim, as soon as that is anything; nothing when leaving.
    async fn room_to_claim(&self) -> Room {
        loop {
            let room = self.room();
            if self.is_leaving() {
                return Room { jobs: 0, bytes: 0 };
            }
            if room.jobs > 0 && room.bytes > 0 {
                return Room { jobs: room.jobs.min(MOST), bytes: room.bytes.min(MOST_CLAIMED_BYTES) };
            }
            self.room.notified().await;
        }
    }

    /// How much more can be held.
    fn room(&self) -> Room {
        let (unreported, bytes) = {
            let batches = lock(&self.batches);
            (batches.unreported(), batches.bytes())
        };
        let bytes = MOST_BYTES.saturating_sub(bytes);
        let jobs = if unreported >= MAX_UNREPORTED { 0 } else { self.slots.room() };
        Room { jobs, bytes }
    }
}

/// Starts what was claimed, lease by lease; nothing if this worker has been declared dead meanwhile.
pub(super) fn start(shared: &Arc<Shared>, worker: Uuid, claimed: Vec<Claimed>) {
    if shared.worker() != worker {
        return;
    }
    let mut leases: BTreeMap<i64, Vec<Claimed>> = BTreeMap::new();
    for job in claimed {
        leases.entry(job.lease).or_default().push(job);
    }
    for (lease, mut jobs) in leases {
        jobs.sort_by_key(|job| job.position);
        let plain = jobs.iter().all(|job| job.options.as_ref().is_none_or(is_plain));
        let bytes = jobs.iter().map(|job| job.bytes).sum();
        let batch = lock(&shared.batches).open(lease, jobs.len(), plain, bytes);
        for job in jobs {
            let partition = lock(&shared.partitions).row(job.partition).cloned();
            let held = partition.as_ref().map(|partition| shared.slots.hold(&partition.kind));
            match (partition, held) {
                (Some(partition), Some(held)) => {
                    tokio::spawn(one(Arc::clone(shared), worker, batch, job, partition, held));
                }
                _ => shared.end(batch, job.id, Completion::Release),
            }
        }
    }
}

fn is_plain(options: &serde_json::Value) -> bool {
    options.get("unique_key").is_none() && options.get("parent").is_none()
}

/// One job from its claim to its end.
async fn one(
    shared: Arc<Shared>,
    worker: Uuid,
    batch: u64,
    claimed: Claimed,
    partition: Arc<PartitionRow>,
    held: Held,
) {
    let id = claimed.id;
    let Some((kind, handler)) = shared.registry.get(&partition.kind).cloned() else {
        return shared.end(batch, id, Completion::Release);
    };
    let Some(_permits) = admitted(&shared, &*handler, &held).await else {
        return shared.end(batch, id, Completion::Release);
    };
    if !lock(&shared.batches).holds(batch) {
        return;
    }
    let lease = Lease { id: claimed.lease, worker };
    let unreadable = claimed.unreadable.clone();
    let job = match (unreadable, run::job(&claimed, &partition, &kind, lease)) {
        (None, Ok(job)) => job,
        (Some(why), _) | (_, Err(why)) => {
            return shared.end(batch, id, Completion::Dead(format!("its payload cannot be read: {why}")));
        }
    };
    let labels = [("queue", partition.queue.clone()), ("kind", partition.kind.clone())];
    let waited = (shared.clock.now() - job.enqueued_at).as_seconds_f64().max(0.0);
    metrics::histogram!("rowhouse_jobs_wait_seconds", &labels).record(waited);
    let (sender, stop) = watch::channel(Stop::No);
    let late = run::ended(&job, &kind, Err(run::late(&job)), &*shared.rng);
    let running = Running { stop: sender, until: Instant::now() + job.timeout + run::GRACE, late };
    lock(&shared.running).insert((batch, id), running);
    let started = Instant::now();
    // At every log level, so that no line of the handler's is without the request's id.
    let span =
        tracing::error_span!("job", job_id = id, kind = &*job.kind, request_id = job.request_id.as_deref());
    let run = run::run(&job, &kind, &*handler, stop, &*shared.rng);
    // What a run leaves behind may panic when it is dropped.
    let end = tracing::Instrument::instrument(AssertUnwindSafe(run).catch_unwind(), span).await;
    let end = end.unwrap_or_else(|_| run::ended(&job, &kind, Err(run::panicked()), &*shared.rng));
    let took = started.elapsed();
    held.took(took);
    note(&job, &end, &labels, took);
    // Nobody waits for it any more if the maintainer has ended it.
    if lock(&shared.running).remove(&(batch, id)).is_some() {
        shared.end(batch, id, end);
    }
}

/// Waits for what the job needs before it can begin; nothing once the worker leaves.
async fn admitted(
    shared: &Shared,
    handler: &dyn Handler,
    held: &Held,
) -> Option<(Permit, Vec<OwnedSemaphorePermit>)> {
    let admitted = async { Some((handler.admit().await, held.slot().await?)) };
    tokio::select! {
        biased;
        () = shared.leave() => None,
        admitted = admitted => admitted,
    }
}

fn note(job: &crate::Job, end: &Completion, labels: &[(&'static str, String); 2], took: Duration) {
    let [queue, kind] = labels.clone();
    let labels = [queue, kind, ("outcome", end.name().to_owned())];
    metrics::histogram!("rowhouse_jobs_run_seconds", &labels).record(took);
    match end {
        Completion::Retry(after, error) => {
            tracing::warn!(
                request_id = job.request_id.as_deref(),
                job_id = job.id,
                kind = &*job.kind,
                attempt = job.attempt,
                after,
                error,
                "job failed"
            );
        }
        Completion::Snooze(after, error) => {
            tracing::info!(
                request_id = job.request_id.as_deref(),
                job_id = job.id,
                after,
                error,
                "job put off"
            );
        }
        Completion::Interrupted(error) => {
            tracing::warn!(request_id = job.request_id.as_deref(), job_id = job.id, error, "job cut off");
        }
        Completion::Dead(error) => {
            tracing::error!(
                request_id = job.request_id.as_deref(),
                job_id = job.id,
                kind = &*job.kind,
                attempt = job.attempt,
                error,
                "job is dead"
            );
        }
        _ => {}
    }
}
