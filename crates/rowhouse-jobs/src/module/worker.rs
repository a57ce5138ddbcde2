//! The worker inside a process: that it lives as long as the process does, whatever the database does.
//!
//! Which kinds of jobs there are is said in `declared`; how jobs are fetched and completed is left to `crate::worker`.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rowhouse_db::{Control, DbSettings, Following, ListenHub, follow};
use rowhouse_http::Heartbeat;
use rowhouse_kernel::{Operation, SharedClock, SharedRng};
use rowhouse_module::{Assembly, CannotRun};
use tokio_postgres::Client;

use super::CHANNEL;
use super::declared::{Declared, RELEASE};
use crate::config::ConfigError;
use crate::schedule::{self, DatabaseClock};
use crate::settings::JobsSettings;
use crate::sql_handler;
use crate::{Pulse, Wake, Worker, WorkerParts};

/// One connection for fetching, two for completing, one each for maintaining and for releasing what is due, one to spare.
const CONNECTIONS: u32 = 6;
/// How often schedules are looked at.
const SCHEDULE_TICK: Duration = Duration::from_secs(1);
/// Pauses between two attempts to start while the database is away.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(4);
/// A worker whose heartbeats the database has not taken, or that has fetched or reported nothing it tried to, for this long
/// is not well.
const SILENCE: Duration = Duration::from_secs(8);
/// A look that comes to nothing is made up for by the worker's own every second.
const CANCELLATIONS: Following = Following {
    channel: CHANNEL,
    ignored: &[],
    debounce: Duration::ZERO,
    retry: Duration::from_secs(1),
    limit: Duration::from_secs(1),
};
/// How long one attempt to start may take.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// How long firing schedules may take; the next tick goes on where it was left.
const FIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// How often it is looked whether all parts of the worker run.
const CHECK: Duration = Duration::from_secs(1);
/// How long the worker may take to write the last outcomes and to sign out, after `drain_timeout`.
const SIGN_OUT_TIMEOUT: Duration = Duration::from_secs(10);
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
            control: Control::open_named("rowhouse-jobs", &origin.urls.control, &settings)?,
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

    /// Names functions of declared kinds that jobs will not find.
    pub(super) async fn warn_of_functions(&self) {
        let settings = self.declared.settings.clone();
        let find = async move |client: &Client| sql_handler::mistakes(client, &settings).await;
        match self.control.statement(&Operation::system("jobs_check_functions"), find).await {
            Ok(mistakes) => mistakes.iter().for_each(|mistake| tracing::warn!("{mistake}")),
            Err(error) => tracing::warn!(%error, "whether jobs find their functions cannot be found out"),
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
            release: RELEASE.to_owned(),
            clock: Arc::clone(&self.clock),
            rng: Arc::clone(&self.rng),
        }
    }

    /// Tries until it works; nothing once the process is to stop.
    async fn start(&self, working: &Working, heartbeat: &Heartbeat) -> Option<Worker> {
        let mut pause = SHORTEST_PAUSE;
        loop {
            let attempt = async {
                tokio::select! {
                    started = heartbeat.within(START_TIMEOUT, self.attempt()) => Some(started),
                    () = heartbeat.stopping() => None,
                }
            };
            match attempt.await? {
                Ok(Ok(worker)) => return Some(worker),
                Ok(Err(error)) => working.waits(error.to_string()),
                Err(late) => working.waits(late.to_string()),
            }
            heartbeat.sleep(pause).await;
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

    /// What is declared is written down before the first job can meet it.
    async fn attempt(&self) -> Result<Worker, ConfigError> {
        self.write().await?;
        Ok(Worker::start(self.parts()).await?)
    }

    /// Enqueues what schedules have due while a worker runs, until it is dropped.
    pub(super) async fn fire_schedules(self, working: Arc<Working>, heartbeat: Heartbeat) {
        loop {
            heartbeat.sleep(SCHEDULE_TICK).await;
            if working.wake_handle().is_none() {
                continue;
            }
            let firing = schedule::lead(&self.control, &self.database_clock, &self.rng);
            match tokio::time::timeout(FIRE_TIMEOUT, firing).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => tracing::warn!(%error, "schedules cannot be fired"),
                Err(_) => tracing::warn!(
                    "schedules cannot be fired: the database takes longer than {FIRE_TIMEOUT:?}"
                ),
            }
        }
    }
}

/// The worker that runs now, if there is one.
#[derive(Default)]
pub(super) struct Working {
    worker: Mutex<Option<(Pulse, Wake)>>,
    /// Why the last attempt to start one failed.
    waits_for: Mutex<Option<String>>,
}

impl Working {
    fn set(&self, worker: Option<(Pulse, Wake)>) {
        *self.worker() = worker;
        *self.waits_for.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn worker(&self) -> MutexGuard<'_, Option<(Pulse, Wake)>> {
        self.worker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Logged once, however often it is tried.
    fn waits(&self, why: String) {
        let mut waits_for = self.waits_for.lock().unwrap_or_else(PoisonError::into_inner);
        if waits_for.as_ref() != Some(&why) {
            tracing::warn!("the worker cannot start yet: {why}");
            *waits_for = Some(why);
        }
    }

    /// Makes the worker look at once for jobs of that kind.
    pub(super) fn wake(&self, kind: &'static str) {
        if let Some(wake) = self.wake_handle() {
            wake.wake_for(kind);
        }
    }

    fn wake_handle(&self) -> Option<Wake> {
        self.worker().as_ref().map(|(_, wake)| wake.clone())
    }

    /// Whether the database has heard from the worker lately, and the worker does its work.
    pub(super) fn check(&self) -> Result<(), String> {
        match &*self.worker() {
            None => Err(match &*self.waits_for.lock().unwrap_or_else(PoisonError::into_inner) {
                None => "the worker has not started yet".to_owned(),
                Some(why) => format!("the worker has not started yet: {why}"),
            }),
            Some((pulse, _)) if pulse.age() >= SILENCE => {
                Err("the database has not heard from the worker lately".to_owned())
            }
            Some((pulse, _)) => match pulse.troubles(SILENCE).as_slice() {
                [] => Ok(()),
                troubles => Err(format!("for more than {SILENCE:?}: {}; see the log", troubles.join(", "))),
            },
        }
    }
}

/// Runs a worker until the process stops; then fetches nothing more, gives back what has not begun, waits for what runs,
/// and signs out.
pub(super) async fn live(
    starter: Starter,
    working: Arc<Working>,
    heartbeat: Heartbeat,
    drain_timeout: Duration,
) -> Result<(), &'static str> {
    let Some(worker) = starter.start(&working, &heartbeat).await else { return Ok(()) };
    working.set(Some((worker.pulse(), worker.wake())));
    let watched = async {
        while !worker.has_failed() {
            heartbeat.sleep(CHECK).await;
        }
    };
    tokio::select! {
        () = watched => return Err("a part of the worker has ended"),
        () = heartbeat.stopping() => {}
    }
    let limit = drain_timeout.mul_f32(DRAIN_SHARE);
    let _late = heartbeat.within(limit + SIGN_OUT_TIMEOUT, worker.stop(limit)).await;
    working.set(None);
    Ok(())
}

/// Looks for jobs to stop whenever the database says so, until it is dropped.
pub(super) async fn cancel_jobs(hub: ListenHub, working: Arc<Working>, heartbeat: Heartbeat) {
    let look = || async {
        if let Some(wake) = working.wake_handle() {
            wake.look_for_cancellations().await;
        }
        Ok::<(), Infallible>(())
    };
    follow(&hub, CANCELLATIONS, look, || heartbeat.beat()).await;
}

#[cfg(test)]
mod tests {
    use super::Working;

    #[test]
    fn check_says_why_no_worker_has_started() {
        let working = Working::default();
        assert_eq!(working.check(), Err("the worker has not started yet".to_owned()));
        working.waits("this database is a copy".to_owned());
        let why = "the worker has not started yet: this database is a copy";
        assert_eq!(working.check(), Err(why.to_owned()));
        working.set(None);
        assert_eq!(working.check(), Err("the worker has not started yet".to_owned()));
    }
}
