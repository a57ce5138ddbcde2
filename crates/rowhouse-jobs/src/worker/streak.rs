//! For how long the database has been within reach without a gap. Pure.

use std::time::{Duration, Instant};

#[derive(Debug)]
pub(crate) struct Streak {
    /// Longer than this between two beats is a gap.
    gap: Duration,
    first: Option<Instant>,
    last: Option<Instant>,
}

impl Streak {
    pub(crate) fn new(gap: Duration) -> Self {
        Self { gap, first: None, last: None }
    }

    /// A beat at `now`.
    pub(crate) fn go_on(&mut self, now: Instant) {
        if self.length(now).is_zero() {
            self.first = Some(now);
        }
        self.last = Some(now);
    }

    /// How long it is at `now`; nothing if it has broken.
    pub(crate) fn length(&self, now: Instant) -> Duration {
        match (self.first, self.last) {
            (Some(first), Some(last)) if now.duration_since(last) <= self.gap => now.duration_since(first),
            _ => Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests;
