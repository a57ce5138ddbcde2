//! The worker: claims jobs, runs them, and writes their outcomes to the database.
//!
//! Each part owns its state and reaches the others through their handles only. The *fetcher* owns the partitions, claims as
//! many jobs as there are free slots and hands them to the *runner*, which owns the slots and the runs. The *completer* owns
//! the batches and writes outcomes together, so that one commit serves all jobs that ended meanwhile. The *maintainer* writes
//! the heartbeat, rescues the jobs of workers without one, and refreshes the list of partitions.

mod batch;
mod completer;
mod context;
pub(crate) mod failure_detector;
mod fetch_connection;
mod fetcher;
mod maintainer;
pub(crate) mod partition;
mod run;
mod runner;
mod slot;
mod trouble;
mod watermark;

use std::sync::Arc;
use std::time::{Duration, Instant};

use rowhouse_db::{Control, DbError};
use rowhouse_kernel::{SharedClock, SharedRng, new_id};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::{Registry, store};
use completer::Completer;
use context::Context;
use fetcher::{Fetcher, FetcherHandle};
use maintainer::Maintainer;
use run::Stop;
use runner::Runner;
use slot::Slots;

/// How long a worker that has stopped its runs goes on writing their outcomes. Other workers rescue the rest.
const LAST_REPORTS: Duration = Duration::from_secs(5);

/// What a worker is made of.
pub struct WorkerParts {
    /// A pool of its own: the fetcher keeps one connection, the completer uses two, the maintainer one.
    pub control: Control,
    /// What it can run.
    pub registry: Registry,
    /// Jobs running at once.
    pub concurrency: usize,
    /// This program's version.
    pub release: String,
    /// For ids.
    pub clock: SharedClock,
    /// For ids and jitter.
    pub rng: SharedRng,
}

/// A running worker.
pub struct Worker {
    context: Arc<Context>,
    leaving: watch::Sender<bool>,
    completer: Arc<Completer>,
    runner: Arc<Runner>,
    maintainer: Arc<Maintainer>,
    handle: FetcherHandle,
    fetcher: JoinHandle<()>,
    tasks: Vec<JoinHandle<()>>,
}

/// When the last heartbeat of a worker was committed, and what the worker fails at.
#[derive(Clone)]
pub struct Pulse {
    beaten: watch::Receiver<Instant>,
    context: Arc<Context>,
}

impl Pulse {
    /// How long ago.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.beaten.borrow().elapsed()
    }

    /// What the worker has tried in vain for at least so long: fetching, reporting ends, releasing what is due, rescuing.
    #[must_use]
    pub fn troubles(&self, limit: Duration) -> Vec<&'static str> {
        self.context.troubles.lasting(limit)
    }
}

/// Wakes a worker right after a commit that enqueued jobs.
#[derive(Clone)]
pub struct Wake {
    context: Arc<Context>,
    fetcher: FetcherHandle,
    maintainer: Arc<Maintainer>,
}

impl Wake {
    /// Makes the fetcher poll now.
    pub fn wake(&self) {
        self.fetcher.wake();
    }

    /// Looks for cancelled jobs now; called at a notification on the channel `rowhouse_jobs`.
    pub async fn look_for_cancellations(&self) {
        self.maintainer.cancel().await;
    }

    /// Makes the fetcher poll now, unless the handler of that kind admits no job at present.
    pub fn wake_for(&self, kind: &str) {
        if self.context.registry.get(kind).is_some_and(|(_, handler)| handler.room() > 0) {
            self.wake();
        }
    }
}

impl Worker {
    /// Registers the kinds and the worker, and starts its loops.
    ///
    /// # Errors
    /// The database's.
    pub async fn start(parts: WorkerParts) -> Result<Self, DbError> {
        // A counter that appears with its first increase shows no increase to `rate()`.
        for name in ["rowhouse_jobs_rescued_total", "rowhouse_jobs_refused_total", "rowhouse_jobs_lost_total"]
        {
            metrics::counter!(name).increment(0);
        }
        store::register_kinds(&parts.control, &parts.registry).await?;
        let slots = Slots::new(parts.concurrency, &parts.registry);
        let (worker, id) = watch::channel(new_id(&*parts.clock, &*parts.rng));
        let (leaving, left) = watch::channel(false);
        let context = Arc::new(Context::new(parts, id, left));
        let completer = Arc::new(Completer::new(Arc::clone(&context)));
        let runner = Arc::new(Runner::new(Arc::clone(&context), Arc::clone(&completer), slots));
        let (fetcher, handle) = Fetcher::new(&context, &completer, &runner);
        let maintainer = Arc::new(Maintainer::new(&context, worker, handle.clone(), &completer, &runner));
        maintainer.sign_in().await?;
        let tasks = spawn(&completer, &maintainer);
        let fetcher = tokio::spawn(fetcher.run());
        Ok(Self { context, leaving, completer, runner, maintainer, handle, fetcher, tasks })
    }

    /// A handle that wakes it.
    #[must_use]
    pub fn wake(&self) -> Wake {
        Wake {
            context: Arc::clone(&self.context),
            fetcher: self.handle.clone(),
            maintainer: Arc::clone(&self.maintainer),
        }
    }

    /// A handle for its last heartbeat.
    #[must_use]
    pub fn pulse(&self) -> Pulse {
        Pulse { beaten: self.maintainer.beaten(), context: Arc::clone(&self.context) }
    }

    /// This worker's id in `jobs.workers`.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.context.worker()
    }

    /// Jobs claimed and not yet ended.
    #[must_use]
    pub fn inflight(&self) -> usize {
        self.completer.inflight()
    }

    /// Whether one of its loops has ended, which none does before [`Worker::stop`].
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.fetcher.is_finished() || self.tasks.iter().any(JoinHandle::is_finished)
    }

    /// Looks for cancelled jobs now; called at a notification on the channel `rowhouse_jobs`.
    pub fn look_for_cancellations(&self) -> impl Future<Output = ()> + Send + use<> {
        let maintainer = Arc::clone(&self.maintainer);
        async move { maintainer.cancel().await }
    }

    /// Claims nothing more, gives back what has not begun, and waits up to `timeout` for what runs; the rest is stopped
    /// and released for other workers.
    pub async fn stop(mut self, timeout: Duration) {
        self.leaving.send_replace(true);
        self.handle.wake();
        self.context.room.notify_one();
        let completed = tokio::time::timeout(timeout, async {
            // The fetcher may still receive the jobs of its last claim.
            let _ended = (&mut self.fetcher).await;
            self.completer.all_complete().await;
        })
        .await;
        if completed.is_err() {
            self.runner.stop_all(Stop::Leaving);
            let _reported = tokio::time::timeout(LAST_REPORTS, self.completer.all_complete()).await;
        }
        self.abort();
        self.maintainer.sign_out().await;
    }

    fn abort(&self) {
        self.fetcher.abort();
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.abort();
        self.runner.stop_all(Stop::Lost);
    }
}

/// The loops besides the fetcher's.
fn spawn(completer: &Arc<Completer>, maintainer: &Arc<Maintainer>) -> Vec<JoinHandle<()>> {
    vec![
        tokio::spawn(Arc::clone(completer).run()),
        tokio::spawn(Arc::clone(completer).run()),
        tokio::spawn(Arc::clone(maintainer).beat()),
        tokio::spawn(Arc::clone(maintainer).tend()),
        tokio::spawn(Arc::clone(maintainer).look_back()),
        tokio::spawn(Arc::clone(maintainer).close_idle()),
        tokio::spawn(Arc::clone(maintainer).release_due()),
    ]
}
