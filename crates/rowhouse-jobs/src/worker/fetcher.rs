//! Takes jobs as there is room, and starts them.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use rowhouse_db::DbError;
use tokio::sync::watch;
use uuid::Uuid;

use super::batch::Completion;
use super::fetch_connection::FetchConnection;
use super::run::{self, Stop};
use super::{Running, Shared, lock};
use crate::Lease;
use crate::store::{Claimed, Room};

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
/// Jobs claimed and not ended, however short they are.
const MOST_INFLIGHT: usize = 2_000;
/// Jobs ended of which the database does not know yet: where it takes claims and no ends, claiming has to wait.
const MAX_UNREPORTED: usize = 10_000;
/// Bytes of payloads of what is claimed, and of results and errors that are not told yet; and of one claim.
const MOST_BYTES: usize = 64 << 20;
const MOST_CLAIMED_BYTES: usize = 8 << 20;
/// Jobs are claimed ahead of their turn for so much work, so that quick ones do not wait for a round trip.
const AHEAD: Duration = Duration::from_millis(20);

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
        let (inflight, unreported, bytes) = {
            let batches = lock(&self.batches);
            (batches.inflight(), batches.unreported(), batches.bytes())
        };
        let bytes = MOST_BYTES.saturating_sub(bytes);
        if unreported >= MAX_UNREPORTED {
            return Room { jobs: 0, bytes };
        }
        let each = Duration::from_nanos(self.run_time.load(Ordering::Relaxed)).max(Duration::from_micros(5));
        let ahead = AHEAD.as_nanos() / each.as_nanos();
        let ahead = usize::try_from(ahead).unwrap_or(0).saturating_mul(self.concurrency);
        let most = (self.concurrency + ahead).min(MOST_INFLIGHT.max(self.concurrency));
        Room { jobs: most.saturating_sub(inflight), bytes }
    }

    /// Takes the duration of a run into account.
    fn took(&self, took: Duration) {
        let new = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX).min(3_600_000_000_000);
        let old = self.run_time.load(Ordering::Relaxed);
        self.run_time.store(old - old / 16 + new / 16, Ordering::Relaxed);
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
            tokio::spawn(one(Arc::clone(shared), worker, batch, job));
        }
    }
}

fn is_plain(options: &serde_json::Value) -> bool {
    options.get("unique_key").is_none() && options.get("parent").is_none()
}

/// One job from its claim to its end.
async fn one(shared: Arc<Shared>, worker: Uuid, batch: u64, claimed: Claimed) {
    let Ok(_permit) = Arc::clone(&shared.permits).acquire_owned().await else { return };
    let id = claimed.id;
    if !lock(&shared.batches).holds(batch) {
        return;
    }
    if shared.is_leaving() {
        return shared.end(batch, id, Completion::Release);
    }
    let partition = lock(&shared.partitions).row(claimed.partition).cloned();
    let known =
        partition.and_then(|partition| Some((shared.registry.get(&partition.kind)?.clone(), partition)));
    let Some(((kind, handler), partition)) = known else {
        return shared.end(batch, id, Completion::Release);
    };
    if let Some(why) = claimed.unreadable {
        return shared.end(batch, id, Completion::Dead(format!("its payload cannot be read: {why}")));
    }
    let lease = Lease { id: claimed.lease, worker };
    let job = run::job(claimed, &partition, &kind, lease);
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
    shared.took(took);
    note(&job, &end, &labels, took);
    // Nobody waits for it any more if the maintainer has ended it.
    if lock(&shared.running).remove(&(batch, id)).is_some() {
        shared.end(batch, id, end);
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
