//! The state of a task, for health and metrics.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use metrics::{Counter, Gauge, counter, gauge};
use tokio::time::Instant;

/// A restarted task counts as up after running this long, so that one that fails at once never does.
pub(super) const STEADY: Duration = Duration::from_secs(2);
/// Longest stored error text, in bytes.
const MAX_ERROR_BYTES: usize = 300;

/// Whether a task runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskState {
    /// It runs.
    Up,
    /// It has failed and has not run steadily since.
    Restarting {
        /// Time since the first of the consecutive failures.
        since: Duration,
    },
    /// It was stopped.
    Stopped,
}

/// The status of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskStatus {
    /// The task's name.
    pub name: &'static str,
    /// Whether it runs.
    pub state: TaskState,
    /// How often it has been restarted.
    pub restarts: u64,
    /// Why it was last restarted; kept after it has recovered. For operators only.
    pub last_error: Option<String>,
}

impl TaskStatus {
    /// Whether it runs.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.state == TaskState::Up
    }
}

/// The shared record that the supervisor writes and the status reads.
pub(super) struct Record {
    name: &'static str,
    state: Mutex<State>,
    up: Gauge,
    restarted: Counter,
}

#[derive(Default)]
struct State {
    failing_since: Option<Instant>,
    stopped: bool,
    restarts: u64,
    last_error: Option<String>,
}

impl Record {
    pub(super) fn new(name: &'static str) -> Self {
        let up = gauge!("task_up", "task" => name);
        up.set(1);
        let restarted = counter!("task_restarts_total", "task" => name);
        Self { name, state: Mutex::default(), up, restarted }
    }

    pub(super) fn failed(&self, error: &str) {
        tracing::error!(task = self.name, error, "a background task has failed and is started again");
        self.up.set(0);
        self.restarted.increment(1);
        let mut state = self.state();
        state.failing_since.get_or_insert_with(Instant::now);
        state.restarts += 1;
        state.last_error = Some(error[..error.floor_char_boundary(MAX_ERROR_BYTES)].to_owned());
    }

    /// Called periodically while the task runs.
    pub(super) fn running(&self, ran: Duration) {
        if ran >= STEADY && self.state().failing_since.take().is_some() {
            self.up.set(1);
            tracing::info!(task = self.name, "a background task is up again");
        }
    }

    pub(super) fn stopped(&self) {
        self.up.set(0);
        self.state().stopped = true;
    }

    pub(super) fn status(&self) -> TaskStatus {
        let state = self.state();
        let of_life = match state.failing_since {
            _ if state.stopped => TaskState::Stopped,
            Some(first) => TaskState::Restarting { since: first.elapsed() },
            None => TaskState::Up,
        };
        TaskStatus {
            name: self.name,
            state: of_life,
            restarts: state.restarts,
            last_error: state.last_error.clone(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
