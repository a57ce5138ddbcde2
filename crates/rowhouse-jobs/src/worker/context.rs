//! What all parts of a worker share and none changes: the pool, the kinds, time and randomness, and the worker's id. Leaves
//! mutable state to the part that owns it.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rowhouse_db::{Control, DbError};
use rowhouse_kernel::{SharedClock, SharedRng};
use tokio::sync::{Notify, watch};
use uuid::Uuid;

use super::WorkerParts;
use super::trouble::{Duty, Troubles};
use crate::Registry;

/// Idle connections are closed at most so often.
const FORGET_EVERY: Duration = Duration::from_secs(10);

/// The same for all parts of a worker.
pub(super) struct Context {
    pub(super) control: Control,
    pub(super) registry: Registry,
    pub(super) clock: SharedClock,
    pub(super) rng: SharedRng,
    pub(super) release: String,
    /// The registry's names, as statements take them.
    pub(super) kinds: Vec<String>,
    /// Tells the fetcher that there may be room for more.
    pub(super) room: Notify,
    /// For the worker's health.
    pub(super) troubles: Troubles,
    worker: watch::Receiver<Uuid>,
    leaving: watch::Receiver<bool>,
    /// When connections were last closed because one gave no answer.
    forgotten: Mutex<Option<Instant>>,
}

impl Context {
    pub(super) fn new(
        parts: WorkerParts,
        worker: watch::Receiver<Uuid>,
        leaving: watch::Receiver<bool>,
    ) -> Self {
        let kinds = parts.registry.kinds().map(|kind| kind.name.to_string()).collect();
        Self {
            control: parts.control,
            registry: parts.registry,
            clock: parts.clock,
            rng: parts.rng,
            release: parts.release,
            kinds,
            room: Notify::new(),
            troubles: Troubles::default(),
            worker,
            leaving,
            forgotten: Mutex::default(),
        }
    }

    /// The worker's id in the database; another after it has been declared dead. The maintainer changes it.
    pub(super) fn worker(&self) -> Uuid {
        *self.worker.borrow()
    }

    /// Whether the worker is to end.
    pub(super) fn is_leaving(&self) -> bool {
        *self.leaving.borrow()
    }

    /// Waits until it is.
    pub(super) async fn leave(&self) {
        let mut leaving = self.leaving.clone();
        let _left = leaving.wait_for(|leaving| *leaving).await;
    }

    /// Runs `work` with a timeout. After one, idle connections are closed: the server at their other end may be gone.
    pub(super) async fn within<T>(
        &self,
        timeout: Duration,
        work: impl Future<Output = Result<T, DbError>>,
    ) -> Result<T, DbError> {
        if let Ok(done) = tokio::time::timeout(timeout, work).await {
            return done;
        }
        let mut forgotten = self.forgotten.lock().unwrap_or_else(PoisonError::into_inner);
        // At most once in `FORGET_EVERY`: if the server is only slow, new connections make it slower.
        if forgotten.is_none_or(|last| last.elapsed() > FORGET_EVERY) {
            self.control.forget_idle();
            *forgotten = Some(Instant::now());
        }
        Err(DbError::Unavailable(format!("no answer within {timeout:?}").into()))
    }

    /// The same for what the worker has to do all the time; its health reports lasting failures.
    pub(super) async fn perform<T>(
        &self,
        duty: Duty,
        timeout: Duration,
        work: impl Future<Output = Result<T, DbError>>,
    ) -> Result<T, DbError> {
        let done = self.within(timeout, work).await;
        self.troubles.note(duty, done.is_ok());
        done
    }
}
