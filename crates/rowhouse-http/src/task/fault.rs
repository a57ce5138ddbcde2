//! Fault injection for tests of the supervisor.

use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

/// A fault of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskFault {
    /// It panics.
    Panic,
    /// It returns.
    Return,
    /// It stops making progress.
    Hang,
}

/// The next fault of a task.
#[derive(Debug, Default)]
pub(super) struct Faults {
    next: Mutex<Option<TaskFault>>,
    given: Notify,
}

impl Faults {
    pub(super) fn give(&self, fault: TaskFault) {
        *self.next.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault);
        self.given.notify_one();
    }

    /// Waits for the next fault.
    pub(super) async fn next(&self) -> TaskFault {
        loop {
            let fault = self.next.lock().unwrap_or_else(PoisonError::into_inner).take();
            match fault {
                None => self.given.notified().await,
                Some(fault) => return fault,
            }
        }
    }
}

impl TaskFault {
    /// Runs the fault instead of the task's own work.
    pub(super) async fn befall(self) -> Result<(), String> {
        match self {
            Self::Panic => std::panic::resume_unwind(Box::new("a fault was injected")),
            Self::Return => Ok(()),
            Self::Hang => std::future::pending().await,
        }
    }
}
