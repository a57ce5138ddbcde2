//! The worker inside this process: which kinds of jobs it can run, and that it lives as long as the program does,
//! whatever the database does. How jobs are claimed and settled is left to `rowhouse-jobs`.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rowhouse_db::{Control, Heard};
use rowhouse_jobs::{Handler, HandlerFuture, Job, Kind, Pulse, Registry, Worker, WorkerParts};
use rowhouse_kernel::settings::DbSettings;
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;

use crate::app::Parts;
use crate::outcome::CannotRun;

/// The channel on which the database says that a running job is to be stopped.
pub(crate) const CHANNEL: &str = "rowhouse_jobs";
/// One connection for claiming, two for settling, one each for keeping and for releasing what is due, one to spare.
const CONNECTIONS: u32 = 6;
/// Jobs that this process runs at once.
const CONCURRENCY: usize = 50;
/// How long the program's start waits for the worker's.
const PATIENCE: Duration = Duration::from_secs(5);
/// Pauses between two attempts to start while the database is away.
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(4);
/// A worker whose beats the database has not taken for this long is not well.
const SILENCE: Duration = Duration::from_secs(8);
/// How long looking for jobs to stop may take.
const LOOK: Duration = Duration::from_secs(1);

/// Every kind of job that this program can run by itself; a room adds its own here.
///
/// # Errors
/// If `[mail]` cannot work.
pub(crate) fn registry(parts: &Parts) -> Result<Registry, CannotRun> {
    let mut registry = Registry::new();
    registry.add(Kind::new("jobs.noop"), Noop);
    crate::mail::delivery(parts)?.register(&mut registry);
    Ok(registry)
}

/// `jobs.noop`: for benchmarks, and for seeing that the worker works.
struct Noop;

impl Handler for Noop {
    fn run<'a>(&'a self, _job: &'a Job) -> HandlerFuture<'a> {
        Box::pin(std::future::ready(Ok(None)))
    }
}

/// What it takes to start a worker, again and again.
struct Starter {
    control: Control,
    registry: Registry,
    clock: rowhouse_kernel::SharedClock,
    rng: rowhouse_kernel::SharedRng,
}

impl Starter {
    fn parts(&self) -> WorkerParts {
        WorkerParts {
            control: self.control.clone(),
            registry: self.registry.clone(),
            concurrency: CONCURRENCY,
            release: env!("CARGO_PKG_VERSION").to_owned(),
            clock: Arc::clone(&self.clock),
            rng: Arc::clone(&self.rng),
        }
    }

    /// Tries until it works.
    async fn insist(self) -> Worker {
        let mut pause = SHORTEST;
        loop {
            match Worker::start(self.parts()).await {
                Ok(worker) => return worker,
                Err(error) => tracing::warn!(%error, "the worker cannot start yet"),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST);
        }
    }
}

/// A worker that is, or will be as soon as the database is there.
pub(crate) struct Working {
    leave: watch::Sender<Option<Duration>>,
    pulse: Arc<OnceLock<Pulse>>,
    task: JoinHandle<()>,
}

impl Working {
    /// Starts it, with connections of its own. That the database is away is no error: it is tried again.
    ///
    /// # Errors
    /// If the URL cannot be read.
    pub(crate) async fn start(parts: &Parts, heard: broadcast::Receiver<Heard>) -> Result<Self, CannotRun> {
        let settings = DbSettings { control_pool_size: CONNECTIONS, ..parts.settings.db.clone() };
        let starter = Starter {
            control: Control::open(&parts.control_url, &settings)?,
            registry: registry(parts)?,
            clock: Arc::clone(&parts.clock),
            rng: Arc::clone(&parts.rng),
        };
        let (leave, leaving) = watch::channel(None);
        let pulse = Arc::new(OnceLock::new());
        let (started, mut first) = watch::channel(false);
        let task = tokio::spawn(live(starter, heard, leaving, Arc::clone(&pulse), started));
        let _later = tokio::time::timeout(PATIENCE, first.wait_for(|started| *started)).await;
        Ok(Self { leave, pulse, task })
    }

    /// Says whether the database has heard from the worker lately.
    pub(crate) fn check(&self) -> Arc<dyn Fn() -> bool + Send + Sync> {
        let pulse = Arc::clone(&self.pulse);
        Arc::new(move || pulse.get().is_some_and(|pulse| pulse.age() < SILENCE))
    }

    /// Claims nothing more, gives back what has not begun, waits for what runs, and signs out, all within `limit`.
    pub(crate) async fn leave(&self, limit: Duration) {
        // The last part of the time is for telling the database how it ended.
        self.leave.send_replace(Some(limit.mul_f32(0.8)));
        let ended = tokio::time::timeout(limit, self.leave.closed()).await;
        if ended.is_err() {
            tracing::warn!("the worker could not sign out in time; others will take over its jobs");
        }
        self.task.abort();
    }

    /// Ends it as a crash would.
    pub(crate) fn stop(&self) {
        self.task.abort();
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn live(
    starter: Starter,
    mut heard: broadcast::Receiver<Heard>,
    mut leaving: watch::Receiver<Option<Duration>>,
    pulse: Arc<OnceLock<Pulse>>,
    started: watch::Sender<bool>,
) {
    let worker = tokio::select! {
        worker = starter.insist() => worker,
        _ = told(&mut leaving) => return,
    };
    let _only_once = pulse.set(worker.pulse());
    started.send_replace(true);
    let patience = loop {
        tokio::select! {
            patience = told(&mut leaving) => break patience,
            heard = heard.recv() => match heard {
                Ok(Heard::Notice { channel, .. }) if channel != CHANNEL => {}
                Err(broadcast::error::RecvError::Closed) => break Duration::ZERO,
                // A look that comes to nothing is made up for by the worker's own every second.
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {
                    let _gave_up = tokio::time::timeout(LOOK, worker.look_for_cancellations()).await;
                }
            },
        }
    };
    worker.stop(patience).await;
}

async fn told(leaving: &mut watch::Receiver<Option<Duration>>) -> Duration {
    let told = leaving.wait_for(Option::is_some).await;
    told.ok().and_then(|patience| *patience).unwrap_or_default()
}
