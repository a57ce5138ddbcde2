//! Background tasks under one supervisor: each has a name and a reported state, and is restarted with growing pauses
//! when it panics, returns or hangs.
//!
//! Leaves the tasks to the modules, and the consequences for readiness to the health report.

mod backoff;
mod fault;
mod heartbeat;
mod status;
mod supervise;

use std::fmt::Display;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use fault::TaskFault;
pub use heartbeat::{Heartbeat, TookTooLong};
pub use status::{TaskState, TaskStatus};

use fault::Faults;
use status::Record;

/// The longest time between two heartbeats that a task may declare. Checked every second, so a hang is detected
/// within nine seconds.
pub const MAX_SILENCE: Duration = Duration::from_secs(8);

type Work = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// A task that runs as long as the process.
#[derive(Clone)]
pub struct BackgroundTask {
    name: &'static str,
    silence: Duration,
    finish: Duration,
    make: Arc<dyn Fn(Heartbeat) -> Work + Send + Sync>,
}

/// What a task's future may return. However it ends, the task is restarted.
pub trait TaskEnd {
    /// The error, if there is one.
    ///
    /// # Errors
    /// Why the task ended.
    fn into_result(self) -> Result<(), String>;
}

impl TaskEnd for () {
    fn into_result(self) -> Result<(), String> {
        Ok(())
    }
}

impl<T, E: Display> TaskEnd for Result<T, E> {
    fn into_result(self) -> Result<(), String> {
        self.map(drop).map_err(|error| error.to_string())
    }
}

impl BackgroundTask {
    /// A task whose future `make` creates, at start and after each failure.
    pub fn new<F>(name: &'static str, make: impl Fn(Heartbeat) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output: TaskEnd> + Send + 'static,
    {
        let make = move |heartbeat| {
            let running = make(heartbeat);
            Box::pin(async move { running.await.into_result() }) as Work
        };
        Self { name, silence: MAX_SILENCE, finish: Duration::ZERO, make: Arc::new(make) }
    }

    /// Sets the time without a heartbeat after which the task counts as hung. At most [`MAX_SILENCE`], which is the
    /// default.
    #[must_use]
    pub fn silence(self, limit: Duration) -> Self {
        Self { silence: limit.min(MAX_SILENCE), ..self }
    }

    /// How long the task may go on after [`Heartbeat::stopping`] has resolved. Zero, the default, ends it at once.
    #[must_use]
    pub fn finish_within(self, limit: Duration) -> Self {
        Self { finish: limit, ..self }
    }

    /// The name in metrics, health and logs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }
}

/// Runs background tasks until it is shut down, or until its last clone is dropped.
#[derive(Clone, Default)]
pub struct Supervisor(Arc<Tasks>);

#[derive(Default)]
struct Tasks {
    stop: watch::Sender<bool>,
    watched: Mutex<Vec<Watched>>,
}

struct Watched {
    record: Arc<Record>,
    faults: Arc<Faults>,
    watching: JoinHandle<()>,
}

impl Supervisor {
    /// Starts the task and keeps it running.
    pub fn spawn(&self, task: BackgroundTask) {
        let record = Arc::new(Record::new(task.name));
        let faults = Arc::<Faults>::default();
        let stop = self.0.stop.subscribe();
        let work = supervise::supervise(task, Arc::clone(&record), Arc::clone(&faults), stop);
        self.0.watched().push(Watched { record, faults, watching: tokio::spawn(work) });
    }

    /// The state of each task, in the order in which they were started.
    #[must_use]
    pub fn statuses(&self) -> Vec<TaskStatus> {
        self.0.watched().iter().map(|watched| watched.record.status()).collect()
    }

    /// Injects a fault into a running task, for tests of its recovery. False if there is no such task.
    #[must_use]
    pub fn inject(&self, name: &str, fault: TaskFault) -> bool {
        let watched = self.0.watched();
        let task = watched.iter().find(|watched| watched.record.status().name == name);
        task.is_some_and(|task| {
            task.faults.give(fault);
            true
        })
    }

    /// Signals every task to stop, waits for each up to its own limit, and aborts those that are not done.
    pub async fn shutdown(&self) {
        self.0.stop.send_replace(true);
        let watched = std::mem::take(&mut *self.0.watched());
        for task in watched {
            let _aborted = task.watching.await;
        }
    }
}

impl Tasks {
    fn watched(&self) -> std::sync::MutexGuard<'_, Vec<Watched>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        self.watched().iter().for_each(|task| task.watching.abort());
    }
}

#[cfg(test)]
mod tests;
