//! The worker: claims jobs, runs them, and tells the database how they ended.
//!
//! Three loops share one state. The *fetcher* takes as many jobs as there is room for and starts them. The *completer*
//! report ends in batches, so that a commit is shared by all that ended meanwhile. The *maintainer* shows that the worker
//! lives, takes over from workers that do not, and learns what has changed.

mod batch;
mod completer;
pub(crate) mod failure_detector;
mod fetch_connection;
mod fetcher;
mod maintainer;
pub(crate) mod partition;
mod run;
mod slot;
mod watermark;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rowhouse_db::{Control, DbError};
use rowhouse_kernel::{SharedClock, SharedRng, new_id};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::Registry;
use crate::store::{self, Identity};
use batch::{Batches, Completion};
use partition::Partitions;
use run::Stop;
use slot::Slots;

/// Idle connections are closed at most so often.
const FORGET_EVERY: Duration = Duration::from_secs(10);

/// What a worker is made of.
pub struct WorkerParts {
    /// Connections of its own: claiming keeps one, settling takes two, keeping one.
    pub control: Control,
    /// What it can run.
    pub registry: Registry,
    /// Jobs running at once.
    pub concurrency: usize,
    /// Kinds that people wait for: some slots are kept for them.
    pub reserved_kinds: &'static [&'static str],
    /// This program's version.
    pub release: String,
    /// For ids.
    pub clock: SharedClock,
    /// For ids and jitter.
    pub rng: SharedRng,
}

/// A running worker.
pub struct Worker {
    shared: Arc<Shared>,
    fetcher: JoinHandle<()>,
    tasks: Vec<JoinHandle<()>>,
}

/// When the database has last heard from a worker.
#[derive(Clone)]
pub struct Pulse(Arc<Shared>);

impl Pulse {
    /// How long ago.
    #[must_use]
    pub fn age(&self) -> Duration {
        lock(&self.0.beaten).elapsed()
    }
}

/// Tells a worker that there may be work, right after a commit that enqueued some.
#[derive(Clone)]
pub struct Wake(Arc<Shared>);

impl Wake {
    /// Makes the worker look now instead of at its next poll.
    pub fn wake(&self) {
        self.0.wake.notify_one();
    }

    /// Looks for cancelled jobs now; called when the channel `rowhouse_jobs` speaks.
    pub async fn look_for_cancellations(&self) {
        maintainer::cancel(&self.0).await;
    }

    /// Makes it look now, unless jobs of that kind would get nowhere now.
    pub fn wake_for(&self, kind: &str) {
        if self.0.registry.get(kind).is_some_and(|(_, handler)| handler.room() > 0) {
            self.wake();
        }
    }
}

/// A run under way, by batch and job.
pub(crate) struct Running {
    stop: watch::Sender<Stop>,
    /// If it has not ended by then, it ends as `late`.
    until: Instant,
    late: Completion,
}

pub(crate) struct Shared {
    control: Control,
    registry: Registry,
    slots: Slots,
    clock: SharedClock,
    rng: SharedRng,
    release: String,
    host: String,
    /// This worker's name in the database; another after it has been declared dead.
    worker: Mutex<Uuid>,
    /// When the database last heard from it.
    beaten: Mutex<std::time::Instant>,
    partitions: Mutex<Partitions>,
    batches: Mutex<Batches>,
    running: Mutex<HashMap<(u64, i64), Running>>,
    wake: Notify,
    ended: Notify,
    room: Notify,
    /// When connections were last closed because one gave no answer.
    forgotten: Mutex<Option<Instant>>,
    leaving: watch::Sender<bool>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Worker {
    /// Registers the kinds, signs the worker in and starts it.
    ///
    /// # Errors
    /// The database's.
    pub async fn start(parts: WorkerParts) -> Result<Self, DbError> {
        // They exist from the start, so that a first increase is seen as one.
        for name in ["rowhouse_jobs_rescued_total", "rowhouse_jobs_refused_total", "rowhouse_jobs_lost_total"]
        {
            metrics::counter!(name).increment(0);
        }
        store::register_kinds(&parts.control, &parts.registry).await?;
        let shared = Arc::new(Shared::new(parts));
        shared.sign_in().await?;
        let fetcher = tokio::spawn(fetcher::run(Arc::clone(&shared)));
        let tasks = vec![
            tokio::spawn(completer::run(Arc::clone(&shared))),
            tokio::spawn(completer::run(Arc::clone(&shared))),
            tokio::spawn(maintainer::beat(Arc::clone(&shared))),
            tokio::spawn(maintainer::tend(Arc::clone(&shared))),
            tokio::spawn(maintainer::look_back(Arc::clone(&shared))),
            tokio::spawn(maintainer::close_idle(Arc::clone(&shared))),
            tokio::spawn(maintainer::release_due(Arc::clone(&shared))),
        ];
        Ok(Self { shared, fetcher, tasks })
    }

    /// A handle that wakes it.
    #[must_use]
    pub fn wake(&self) -> Wake {
        Wake(Arc::clone(&self.shared))
    }

    /// A handle that says whether it lives.
    #[must_use]
    pub fn pulse(&self) -> Pulse {
        Pulse(Arc::clone(&self.shared))
    }

    /// This worker's id in `jobs.workers`.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.shared.worker()
    }

    /// Jobs claimed and not yet ended.
    #[must_use]
    pub fn inflight(&self) -> usize {
        lock(&self.shared.batches).inflight()
    }

    /// Whether one of its loops has ended, which none does before [`Worker::stop`].
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.fetcher.is_finished() || self.tasks.iter().any(JoinHandle::is_finished)
    }

    /// Looks for cancelled jobs now; called when the channel `rowhouse_jobs` speaks.
    pub fn look_for_cancellations(&self) -> impl Future<Output = ()> + Send + use<> {
        let shared = Arc::clone(&self.shared);
        async move { maintainer::cancel(&shared).await }
    }

    /// Claims nothing more, gives back what has not begun, and waits up to `timeout` for what runs; the rest is stopped
    /// and will be run again elsewhere.
    pub async fn stop(mut self, timeout: Duration) {
        self.shared.leaving.send_replace(true);
        self.shared.wake.notify_one();
        self.shared.room.notify_one();
        let completed = tokio::time::timeout(timeout, async {
            // The answer to its last claim may be under way.
            let _ended = (&mut self.fetcher).await;
            self.shared.all_complete().await;
        })
        .await;
        if completed.is_err() {
            self.shared.stop_running(Stop::Leaving);
            // What is not told within this time is rescued by others.
            let _told = tokio::time::timeout(Duration::from_secs(5), self.shared.all_complete()).await;
        }
        self.fetcher.abort();
        self.tasks.iter().for_each(JoinHandle::abort);
        if let Ok(client) = self.shared.control.connection().await {
            let gone = store::sign_out(&client, self.shared.worker()).await;
            tracing::debug!(?gone, "worker signed out");
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.fetcher.abort();
        self.tasks.iter().for_each(JoinHandle::abort);
        self.shared.stop_running(Stop::Lost);
    }
}

impl Shared {
    fn new(parts: WorkerParts) -> Self {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let slots = Slots::new(parts.concurrency, &parts.registry, parts.reserved_kinds);
        Self {
            worker: Mutex::new(new_id(&*parts.clock, &*parts.rng)),
            control: parts.control,
            registry: parts.registry,
            slots,
            clock: parts.clock,
            rng: parts.rng,
            release: parts.release,
            host: host.trim().to_owned(),
            beaten: Mutex::new(std::time::Instant::now()),
            partitions: Mutex::default(),
            batches: Mutex::default(),
            running: Mutex::default(),
            wake: Notify::new(),
            ended: Notify::new(),
            room: Notify::new(),
            forgotten: Mutex::default(),
            leaving: watch::channel(false).0,
        }
    }

    fn worker(&self) -> Uuid {
        *lock(&self.worker)
    }

    fn is_leaving(&self) -> bool {
        *self.leaving.borrow()
    }

    /// Waits until the worker leaves.
    async fn leave(&self) {
        let mut leaving = self.leaving.subscribe();
        let _left = leaving.wait_for(|leaving| *leaving).await;
    }

    async fn sign_in(&self) -> Result<(), DbError> {
        let who = Identity { worker: self.worker(), release: self.release.clone(), host: self.host.clone() };
        store::sign_in(&*self.control.connection().await?, &who).await
    }

    /// Another worker has taken our jobs: what still runs is stopped, and nothing of it is told.
    async fn register_anew(&self) -> Result<(), DbError> {
        // First the name, so that no claim under the old one begins any more.
        *lock(&self.worker) = new_id(&*self.clock, &*self.rng);
        self.stop_running(Stop::Lost);
        let lost = lock(&self.batches).forget();
        tracing::warn!(lost, "this worker was declared dead; it begins anew");
        metrics::counter!("rowhouse_jobs_lost_total").increment(lost as u64);
        self.room.notify_one();
        self.sign_in().await
    }

    fn stop_running(&self, why: Stop) {
        for run in lock(&self.running).values() {
            run.stop.send_replace(why);
        }
    }

    /// Ends runs in the name of handlers that block their threads.
    fn end_overdue(&self) {
        let now = Instant::now();
        let overdue: Vec<_> = lock(&self.running).extract_if(|_, run| run.until < now).collect();
        for ((batch, job), run) in overdue {
            tracing::error!(job_id = job, "a handler blocks its thread beyond its job's time");
            self.end(batch, job, run.late);
        }
    }

    /// Work with the database that is worth waiting for so long. A connection without an answer is of no use to others.
    async fn within<T>(
        &self,
        timeout: Duration,
        work: impl Future<Output = Result<T, DbError>>,
    ) -> Result<T, DbError> {
        if let Ok(done) = tokio::time::timeout(timeout, work).await {
            return done;
        }
        let mut forgotten = lock(&self.forgotten);
        // Once is enough: where everything is slow, new connections make it slower.
        if forgotten.is_none_or(|last| last.elapsed() > FORGET_EVERY) {
            self.control.forget_idle();
            *forgotten = Some(Instant::now());
        }
        Err(DbError::Unavailable(format!("no answer within {timeout:?}").into()))
    }

    /// Notes how a job ended and makes room for another.
    fn end(&self, batch: u64, job: i64, end: Completion) {
        let whole = lock(&self.batches).end(batch, job, end, Instant::now());
        if whole {
            self.ended.notify_one();
        }
        self.room.notify_one();
    }

    async fn all_complete(&self) {
        let mut tick = tokio::time::interval(Duration::from_millis(10));
        loop {
            tick.tick().await;
            let batches = lock(&self.batches);
            if batches.is_complete() {
                return;
            }
        }
    }
}
