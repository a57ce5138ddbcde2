//! Which round trips are counted, and what happens at which of them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::Break;

/// What happens at which round trip.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    /// Its number; after `text`, how many come in between.
    pub(super) trip: u64,
    /// What the server has to say first.
    pub(super) text: Option<&'static str>,
    pub(super) how: Break,
    /// The process that is killed with its connection.
    pub(super) victim: Option<i32>,
}

impl Plan {
    pub(super) fn strike(self) {
        if let Some(pid) = self.victim {
            // A process that has just ended by itself is found by who waits for it.
            let _gone = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

/// The round trips, and what is planned.
#[derive(Debug)]
pub(super) struct Trips {
    count: AtomicU64,
    plan: Mutex<Option<Plan>>,
    of_requests: bool,
}

impl Trips {
    pub(super) fn new(of_requests: bool) -> Self {
        Self { count: AtomicU64::new(0), plan: Mutex::new(None), of_requests }
    }

    pub(super) fn count(&self) -> u64 {
        self.count.load(Ordering::SeqCst)
    }

    /// Counts one, unless it is another's than a request's and only those are counted; what happens at it.
    pub(super) fn next(&self, is_of_request: bool) -> Option<Plan> {
        if self.of_requests && !is_of_request {
            return None;
        }
        let number = self.count.fetch_add(1, Ordering::SeqCst) + 1;
        self.planned().take_if(|plan| plan.text.is_none() && plan.trip == number)
    }

    /// What happens at what the server says.
    pub(super) fn hear(&self, bytes: &[u8]) -> Option<Plan> {
        let mut planned = self.planned();
        let plan =
            planned.as_mut().filter(|plan| plan.text.is_some_and(|text| holds(bytes, text.as_bytes())))?;
        plan.text = None;
        match plan.trip {
            0 => planned.take(),
            ahead => {
                plan.trip = self.count() + ahead;
                None
            }
        }
    }

    pub(super) fn planned(&self) -> MutexGuard<'_, Option<Plan>> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
