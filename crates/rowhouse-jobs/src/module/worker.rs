//! The worker inside a process: that it lives as long as the process does, whatever the database does.
//!
//! Which kinds of jobs there are is said in `declared`; how jobs are fetched and completed is left to `crate::worker`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rowhouse_db::{Control, Heard};
use rowhouse_http::Heartbeat;
use rowhouse_kernel::settings::{DbSettings, JobsSettings};
use rowhouse_kernel::{SharedClock, SharedRng};
use rowhouse_module::{Assembly, CannotRun};
use tokio::sync::broadcast;

use super::CHANNEL;
use super::declared::{Declared, RELEASE};
use crate::config::ConfigError;
use crate::schedule::{self, DatabaseClock};
use crate::{Pulse, Wake, Worker, WorkerParts};

/// One connection for fetching, two for completing, one each for maintaining and for releasing what is due, one to spare.
const CONNECTIONS: u32 = 6;
/// What sends letters: people wait for them.
const LETTERS: &[&str] = &["mail.write", "mail.deliver"];
/// How often schedules are looked at.
const SCHEDULE_TICK: Duration = Duration::from_secs(1);
/// Pauses between two attempts to start while the database is away.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(4);
/// A worker whose heartbeats the database has not taken for this long is not well.
const SILENCE: Duration = Duration::from_secs(8);
/// How long looking for jobs to stop may take.
const LOOK_TIMEOUT: Duration = Duration::from_secs(1);
/// The part of the drain timeout that jobs get; the rest is for telling the database how they ended.
const DRAIN_SHARE: f32 = 0.8;

/// What it takes to start a worker, again and again.
#[derive(Clone)]
pub(super) struct Starter {
    control: Control,
    declared: Declared,
    concurrency: usize,
    clock: SharedClock,
    /// What schedules go by.
    database_clock: Arc<DatabaseClock>,
    rng: SharedRng,
}

impl Starter {
    /// With connections of its own.
    pub(super) fn new(assembly: &Assembly, declared: Declared) -> Result<Self, CannotRun> {
        let origin = &assembly.origin;
        let database = origin.settings.get::<DbSettings>();
        let settings = DbSettings { control_pool_size: CONNECTIONS, ..(*database).clone() };
        Ok(Self {
            control: Control::open(&origin.urls.control, &settings)?,
            declared,
            concurrency: usize::from(origin.settings.get::<JobsSettings>().concurrency),
            clock: Arc::clone(&origin.clock),
            database_clock: DatabaseClock::new(&origin.clock),
            rng: Arc::clone(&origin.rng),
        })
    }

    /// A mistake in the declarations is the operator's to hear at the start; an absent database only takes longer.
    pub(super) async fn refuse_mistakes(&self) -> Result<(), CannotRun> {
        match self.write().await {
            Err(ConfigError::Mistakes(mistakes)) => Err(CannotRun(mistakes)),
            _ => Ok(()),
        }
    }

    async fn write(&self) -> Result<(), ConfigError> {
        self.database_clock.measure(&self.control).await?;
        let clock: SharedClock = Arc::clone(&self.database_clock) as SharedClock;
        self.declared.write(&self.control, &clock, &self.rng).await
    }

    fn parts(&self) -> WorkerParts {
        WorkerParts {
            control: self.control.clone(),
            registry: self.declared.registry.clone(),
            concurrency: self.concurrency,
            reserved_kinds: LETTERS,
            release: RELEASE.to_owned(),
            clock: Arc::clone(&self.clock),
            rng: Arc::clone(&self.rng),
        }
    }

    /// Tries until it works.
    async fn start(&self) -> Worker {
        let mut pause = SHORTEST_PAUSE;
        loop {
            // What is declared is written down before the first job can meet it.
            let started = match self.write().await {
                Ok(()) => Worker::start(self.parts()).await.map_err(ConfigError::from),
                Err(error) => Err(error),
            };
            match started {
                Ok(worker) => return worker,
                Err(error) => tracing::warn!(%error, "the worker cannot start yet"),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Whether this machine's clock is right.
    pub(super) fn check_clock(&self) -> Result<(), String> {
        if self.database_clock.is_wrong() {
            return Err(format!("this machine's clock is off by {:?}", self.database_clock.skew()));
        }
        Ok(())
    }

    /// Enqueues what schedules have due, until it is dropped.
    async fn fire_schedules(&self) {
        let mut tick = tokio::time::interval(SCHEDULE_TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            if let Err(error) = schedule::lead(&self.control, &self.database_clock, &self.rng).await {
                tracing::warn!(%error, "schedules cannot be fired");
            }
        }
    }
}

/// The worker that runs now, if there is one.
#[derive(Default)]
pub(super) struct Working(Mutex<Option<(Pulse, Wake)>>);

impl Working {
    fn set(&self, worker: Option<(Pulse, Wake)>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = worker;
    }

    /// Makes the worker look at once for jobs of that kind.
    pub(super) fn wake(&self, kind: &'static str) {
        if let Some((_, wake)) = &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            wake.wake_for(kind);
        }
    }

    /// Whether the database has heard from the worker lately.
    pub(super) fn check(&self) -> Result<(), String> {
        match &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            None => Err("the worker has not started yet".to_owned()),
            Some((pulse, _)) if pulse.age() >= SILENCE => {
                Err("the database has not heard from the worker lately".to_owned())
            }
            Some(_) => Ok(()),
        }
    }
}

/// Runs a worker until the process stops; then fetches nothing more, gives back what has not begun, waits for what runs,
/// and signs out.
pub(super) async fn live(
    starter: Starter,
    heard: broadcast::Receiver<Heard>,
    working: Arc<Working>,
    heartbeat: Heartbeat,
    drain_timeout: Duration,
) {
    let started = async {
        tokio::select! { worker = starter.start() => Some(worker), () = heartbeat.stopping() => None }
    };
    let Some(worker) = heartbeat.idle(started).await else { return };
    working.set(Some((worker.pulse(), worker.wake())));
    let firing = starter.fire_schedules();
    let until_stopped = async {
        tokio::select! {
            () = firing => {}
            () = cancel_jobs(&worker, heard) => {}
            () = heartbeat.stopping() => {}
        }
    };
    heartbeat.idle(until_stopped).await;
    heartbeat.idle(worker.stop(drain_timeout.mul_f32(DRAIN_SHARE))).await;
    working.set(None);
}

/// Looks for jobs to stop whenever the database says so, until the hub is gone.
async fn cancel_jobs(worker: &Worker, mut heard: broadcast::Receiver<Heard>) {
    loop {
        match heard.recv().await {
            Ok(Heard::Notice { channel, .. }) if channel != CHANNEL => {}
            Err(broadcast::error::RecvError::Closed) => return,
            // A look that comes to nothing is made up for by the worker's own every second.
            Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {
                let _gave_up = tokio::time::timeout(LOOK_TIMEOUT, worker.look_for_cancellations()).await;
            }
        }
    }
}
