//! A circuit breaker in front of the relay. Closed: as many SMTP sessions at once as there are connections. Open,
//! after the relay could not be used: none until the pause is over. Half-open: one probe, whose result closes or
//! opens it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, SemaphorePermit};

/// Pauses between two probes while the relay cannot be used: the first, doubled each time up to the last.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed,
    /// No session before `until`; `failures` probes in a row have failed.
    Open {
        until: Instant,
        failures: u32,
    },
    /// One probe is under way.
    HalfOpen {
        failures: u32,
    },
}

/// Shared by all deliveries of a process.
#[derive(Debug)]
pub(crate) struct CircuitBreaker {
    state: Mutex<State>,
    permits: Semaphore,
    connections: usize,
    waiting: AtomicUsize,
}

/// The right to one session, until it is dropped.
#[derive(Debug)]
pub(crate) struct Permit<'b> {
    breaker: &'b CircuitBreaker,
    _permit: SemaphorePermit<'b>,
    is_probe: bool,
}

impl CircuitBreaker {
    /// A closed breaker, for this many sessions at once.
    pub(crate) fn new(connections: u16) -> Self {
        let connections = usize::from(connections.max(1));
        Self {
            state: Mutex::new(State::Closed),
            permits: Semaphore::new(connections),
            connections,
            waiting: AtomicUsize::new(0),
        }
    }

    /// How many more jobs the worker should fetch: one per free connection and two that wait for each connection, so that
    /// none is idle.
    pub(crate) fn room(&self, now: Instant) -> usize {
        match *self.state() {
            State::Closed => {
                let free = self.permits.available_permits() + 2 * self.connections;
                free.saturating_sub(self.waiting.load(Ordering::Relaxed))
            }
            State::Open { until, .. } if until <= now => 1,
            State::Open { .. } | State::HalfOpen { .. } => 0,
        }
    }

    /// How many times in a row the relay could not be used.
    pub(crate) fn failures(&self) -> u32 {
        match *self.state() {
            State::Closed => 0,
            State::Open { failures, .. } | State::HalfOpen { failures } => failures,
        }
    }

    /// Waits for a connection; none while the relay cannot be used.
    pub(crate) async fn acquire(&self) -> Option<Permit<'_>> {
        let _waiting = Waiting::new(&self.waiting);
        let permit = self.permits.acquire().await.ok()?;
        let is_probe = self.admit(Instant::now())?;
        Some(Permit { breaker: self, _permit: permit, is_probe })
    }

    /// Whether a session may begin, and if so whether it is the probe.
    fn admit(&self, now: Instant) -> Option<bool> {
        let mut state = self.state();
        match *state {
            State::Closed => Some(false),
            State::Open { until, failures } if until <= now => {
                *state = State::HalfOpen { failures };
                Some(true)
            }
            State::Open { .. } | State::HalfOpen { .. } => None,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sessions that began together fail together, and count as one failure.
    fn open(&self, now: Instant, is_probe: bool) {
        let mut state = self.state();
        let failures = match *state {
            State::Closed => 0,
            State::HalfOpen { failures } if is_probe => failures,
            State::Open { .. } | State::HalfOpen { .. } => return,
        };
        let pause = SHORTEST.saturating_mul(1 << failures.min(10)).min(LONGEST);
        *state = State::Open { until: now + pause, failures: failures + 1 };
    }
}

impl Permit<'_> {
    /// The relay has answered.
    pub(crate) fn succeeded(self) {
        *self.breaker.state() = State::Closed;
    }

    /// The relay cannot be used.
    pub(crate) fn failed(self) {
        self.breaker.open(Instant::now(), self.is_probe);
    }
}

impl Drop for Permit<'_> {
    /// A probe that ends without a result (its job was cancelled) lets the next mail probe at once.
    fn drop(&mut self) {
        let mut state = self.breaker.state();
        if let State::HalfOpen { failures } = *state
            && self.is_probe
        {
            *state = State::Open { until: Instant::now(), failures };
        }
    }
}

/// Counts one waiter for as long as it lives.
struct Waiting<'b>(&'b AtomicUsize);

impl<'b> Waiting<'b> {
    fn new(count: &'b AtomicUsize) -> Self {
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
