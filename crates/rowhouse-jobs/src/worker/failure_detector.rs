//! Detects workers whose heartbeat has stopped, by what this worker has read itself: a heartbeat that does not change. Only
//! time during which this worker reached the database counts, so that an outage of the database makes no worker dead. Pure.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use time::OffsetDateTime;
use uuid::Uuid;

/// A worker and its last heartbeat, on the database's clock.
pub(crate) type Heartbeat = (Uuid, OffsetDateTime);

#[derive(Debug)]
pub(crate) struct FailureDetector {
    /// Silent for this long a worker counts as dead.
    silence: Duration,
    /// A longer time between two looks is not counted.
    gap: Duration,
    looked: Option<Instant>,
    seen: HashMap<Uuid, (OffsetDateTime, Duration)>,
}

impl FailureDetector {
    pub(crate) fn new(silence: Duration, gap: Duration) -> Self {
        Self { silence, gap, looked: None, seen: HashMap::new() }
    }

    /// Takes the heartbeats of all other workers; returns those that are dead.
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
