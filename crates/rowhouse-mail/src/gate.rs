//! Who may talk to the relay now. Not more at once than it has connections; and none after it could not be used, but for
//! one that tries again after a while: what holds for one mail then holds for all, and asking for each would only cost.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, SemaphorePermit};

/// Pauses between two tries while the relay cannot be used: the first, doubled each time up to the last.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// Until then nobody tries; so many tries have failed.
    Shut {
        until: Instant,
        failures: u32,
    },
    /// One tries.
    Trying {
        failures: u32,
    },
}

/// The way to the relay.
#[derive(Debug)]
pub(crate) struct Gate {
    state: Mutex<State>,
    permits: Semaphore,
    connections: usize,
    waiting: AtomicUsize,
}

/// The right to one conversation, until it is dropped.
#[derive(Debug)]
pub(crate) struct Pass<'g> {
    gate: &'g Gate,
    _permit: SemaphorePermit<'g>,
    is_try: bool,
}

impl Gate {
    /// An open one, for so many conversations at once.
    pub(crate) fn new(connections: u16) -> Self {
        let connections = usize::from(connections.max(1));
        Self {
            state: Mutex::new(State::Open),
            permits: Semaphore::new(connections),
            connections,
            waiting: AtomicUsize::new(0),
        }
    }

    /// How many more mails it makes sense to bring: as many as can be talked about, and as many again that wait, so that
    /// no connection is idle.
    pub(crate) fn room(&self, now: Instant) -> usize {
        match *self.state() {
            State::Open => {
                let free = self.permits.available_permits() + 2 * self.connections;
                free.saturating_sub(self.waiting.load(Ordering::Relaxed))
            }
            State::Shut { until, .. } if until <= now => 1,
            State::Shut { .. } | State::Trying { .. } => 0,
        }
    }

    /// Waits for a connection; none while the relay cannot be used.
    pub(crate) async fn enter(&self) -> Option<Pass<'_>> {
        let _waiting = Waiting::new(&self.waiting);
        let permit = self.permits.acquire().await.ok()?;
        let is_try = self.admit(Instant::now())?;
        Some(Pass { gate: self, _permit: permit, is_try })
    }

    /// Whether somebody may pass, and if so whether as the one who tries.
    fn admit(&self, now: Instant) -> Option<bool> {
        let mut state = self.state();
        match *state {
            State::Open => Some(false),
            State::Shut { until, failures } if until <= now => {
                *state = State::Trying { failures };
                Some(true)
            }
            State::Shut { .. } | State::Trying { .. } => None,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Conversations that began together fail together, and count as one.
    fn shut(&self, now: Instant, is_try: bool) {
        let mut state = self.state();
        let failures = match *state {
            State::Open => 0,
            State::Trying { failures } if is_try => failures,
            State::Shut { .. } | State::Trying { .. } => return,
        };
        let pause = SHORTEST.saturating_mul(1 << failures.min(10)).min(LONGEST);
        *state = State::Shut { until: now + pause, failures: failures + 1 };
    }
}

impl Pass<'_> {
    /// The relay has answered.
    pub(crate) fn succeeded(self) {
        *self.gate.state() = State::Open;
    }

    /// The relay cannot be used.
    pub(crate) fn failed(self) {
        self.gate.shut(Instant::now(), self.is_try);
    }
}

impl Drop for Pass<'_> {
    /// A try that ends without a verdict (its job was cancelled) leaves it to the next.
    fn drop(&mut self) {
        let mut state = self.gate.state();
        if let State::Trying { failures } = *state
            && self.is_try
        {
            *state = State::Shut { until: Instant::now(), failures };
        }
    }
}

/// Counts one that waits, however its waiting ends.
struct Waiting<'g>(&'g AtomicUsize);

impl<'g> Waiting<'g> {
    fn new(count: &'g AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
