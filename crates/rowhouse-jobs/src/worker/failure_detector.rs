//! Which workers have fallen silent, by what this one has seen itself: a beat that stays the same. Only time in which it
//! reached the database counts, so an outage makes nobody dead. Pure.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use time::OffsetDateTime;
use uuid::Uuid;

/// A worker and its last beat, on the database's clock.
pub(crate) type Heartbeat = (Uuid, OffsetDateTime);

#[derive(Debug)]
pub(crate) struct FailureDetector {
    /// Silent for this long a worker counts as dead.
    silence: Duration,
    /// More than this between two looks is no observation.
    gap: Duration,
    looked: Option<Instant>,
    seen: HashMap<Uuid, (OffsetDateTime, Duration)>,
}

impl FailureDetector {
    pub(crate) fn new(silence: Duration, gap: Duration) -> Self {
        Self { silence, gap, looked: None, seen: HashMap::new() }
    }

    /// A look at everybody's beats; gives those that are dead.
    pub(crate) fn look(&mut self, now: Instant, beats: Vec<Heartbeat>) -> Vec<Heartbeat> {
        let since = self.looked.replace(now).map_or(Duration::ZERO, |looked| now.duration_since(looked));
        let passed = if since > self.gap { Duration::ZERO } else { since };
        let before = std::mem::take(&mut self.seen);
        self.seen.extend(beats.iter().map(|(worker, beat)| {
            let silent = match before.get(worker) {
                Some((seen, silent)) if seen == beat => *silent + passed,
                _ => Duration::ZERO,
            };
            (*worker, (*beat, silent))
        }));
        let dead = |worker: &Uuid| self.seen.get(worker).is_some_and(|(_, silent)| *silent >= self.silence);
        beats.into_iter().filter(|(worker, _)| dead(worker)).collect()
    }
}

#[cfg(test)]
mod tests;
