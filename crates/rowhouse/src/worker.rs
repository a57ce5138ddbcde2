//! The worker inside this process: that it lives as long as the program does, whatever the database does.
//!
//! Which kinds of jobs there are is said in `declared`; how jobs are claimed and settled is left to `rowhouse-jobs`.

mod declared;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rowhouse_db::{Control, Heard};
use rowhouse_jobs::config::ConfigError;
use rowhouse_jobs::{Pulse, Wake, Worker, WorkerParts, schedule};
use rowhouse_kernel::settings::DbSettings;
use rowhouse_kernel::{SharedClock, SharedRng};
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;

use crate::app::Parts;
use crate::outcome::CannotRun;
use declared::{Declared, RELEASE};

/// The channel on which the database says that a running job is to be stopped.
pub(crate) const CHANNEL: &str = "rowhouse_jobs";
/// One connection for claiming, two for settling, one each for keeping and for releasing what is due, one to spare.
const CONNECTIONS: u32 = 6;
/// How often schedules are looked at.
const SCHEDULE_TICK: Duration = Duration::from_secs(1);
/// How long the program's start waits for the worker's.
const PATIENCE: Duration = Duration::from_secs(5);
/// Pauses between two attempts to start while the database is away.
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(4);
/// A worker whose beats the database has not taken for this long is not well.
const SILENCE: Duration = Duration::from_secs(8);
/// How long looking for jobs to stop may take.
const LOOK: Duration = Duration::from_secs(1);

/// What it takes to start a worker, again and again.
struct Starter {
    control: Control,
    declared: Declared,
    concurrency: usize,
    clock: SharedClock,
    rng: SharedRng,
}

impl Starter {
    fn parts(&self) -> WorkerParts {
        WorkerParts {
            control: self.control.clone(),
            registry: self.declared.registry.clone(),
            concurrency: self.concurrency,
            release: RELEASE.to_owned(),
            clock: Arc::clone(&self.clock),
            rng: Arc::clone(&self.rng),
        }
    }

    /// Tries until it works.
    async fn insist(self) -> Worker {
        let mut pause = SHORTEST;
        loop {
            // What is declared is written down before the first job can meet it.
            let started = match self.declared.write(&self.control, &self.clock, &self.rng).await {
                Ok(()) => Worker::start(self.parts()).await.map_err(ConfigError::from),
                Err(error) => Err(error),
            };
            match started {
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
    wake: Arc<OnceLock<Wake>>,
    task: JoinHandle<()>,
}

impl Working {
    /// Starts it, with connections of its own. That the database is away is no error: it is tried again.
    ///
    /// # Errors
    /// If the URL cannot be read, or what is declared names what does not exist.
    pub(crate) async fn start(parts: &Parts, heard: broadcast::Receiver<Heard>) -> Result<Self, CannotRun> {
        let settings = DbSettings { control_pool_size: CONNECTIONS, ..parts.settings.db.clone() };
        let starter = Starter {
            control: Control::open(&parts.control_url, &settings)?,
            declared: Declared::from_parts(parts)?,
            concurrency: usize::from(parts.settings.jobs.concurrency),
            clock: Arc::clone(&parts.clock),
            rng: Arc::clone(&parts.rng),
        };
        // A mistake in the declarations is the operator's to hear now; an absent database only takes longer.
        if let Err(ConfigError::Mistakes(mistakes)) =
            starter.declared.write(&starter.control, &starter.clock, &starter.rng).await
        {
            return Err(CannotRun(mistakes));
        }
        let (leave, leaving) = watch::channel(None);
        let (pulse, wake) = (Arc::default(), Arc::default());
        let (started, mut first) = watch::channel(false);
        let born = Born { pulse: Arc::clone(&pulse), wake: Arc::clone(&wake), started };
        let task = tokio::spawn(live(starter, heard, leaving, born));
        let _later = tokio::time::timeout(PATIENCE, first.wait_for(|started| *started)).await;
        Ok(Self { leave, pulse, wake, task })
    }

    /// Says whether the database has heard from the worker lately.
    pub(crate) fn check(&self) -> Arc<dyn Fn() -> bool + Send + Sync> {
        let pulse = Arc::clone(&self.pulse);
        Arc::new(move || pulse.get().is_some_and(|pulse| pulse.age() < SILENCE))
    }

    /// Makes the worker look at once, after a commit that has enqueued jobs of that kind.
    pub(crate) fn waker(&self, kind: &'static str) -> Arc<dyn Fn() + Send + Sync> {
        let wake = Arc::clone(&self.wake);
        Arc::new(move || {
            if let Some(wake) = wake.get() {
                wake.wake_for(kind);
            }
        })
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

/// Enqueues what schedules have due, for ever.
async fn fire(control: Control, clock: SharedClock, rng: SharedRng) {
    let mut tick = tokio::time::interval(SCHEDULE_TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if let Err(error) = schedule::run_due(&control, &clock, &rng).await {
            tracing::warn!(%error, "schedules cannot be fired");
        }
    }
}

/// Fires schedules until it is dropped.
struct Firing(JoinHandle<()>);

impl Drop for Firing {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What is told of a worker once it lives.
struct Born {
    pulse: Arc<OnceLock<Pulse>>,
    wake: Arc<OnceLock<Wake>>,
    started: watch::Sender<bool>,
}

async fn live(
    starter: Starter,
    mut heard: broadcast::Receiver<Heard>,
    mut leaving: watch::Receiver<Option<Duration>>,
    born: Born,
) {
    let firing = fire(starter.control.clone(), Arc::clone(&starter.clock), Arc::clone(&starter.rng));
    let worker = tokio::select! {
        worker = starter.insist() => worker,
        _ = told(&mut leaving) => return,
    };
    let _only_once = (born.pulse.set(worker.pulse()), born.wake.set(worker.wake()));
    born.started.send_replace(true);
    let firing = Firing(tokio::spawn(firing));
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
    drop(firing);
    worker.stop(patience).await;
}

async fn told(leaving: &mut watch::Receiver<Option<Duration>>) -> Duration {
    let told = leaving.wait_for(Option::is_some).await;
    told.ok().and_then(|patience| *patience).unwrap_or_default()
}
