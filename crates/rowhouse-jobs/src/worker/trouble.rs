//! What a worker has not managed to do lately, for its health: it may live and yet fetch nothing.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What the database is asked for all the time, in words that say what fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Duty {
    Fetch,
    Report,
    ReleaseDue,
    Tend,
}

impl Duty {
    fn failing(self) -> &'static str {
        match self {
            Self::Fetch => "jobs cannot be fetched",
            Self::Report => "how jobs ended cannot be told",
            Self::ReleaseDue => "jobs that are due cannot be made ready",
            Self::Tend => "jobs of dead workers cannot be rescued",
        }
    }
}

/// Since when each duty fails.
#[derive(Debug, Default)]
pub(super) struct Troubles(Mutex<BTreeMap<Duty, Instant>>);

impl Troubles {
    /// Records how an attempt ended.
    pub(super) fn note(&self, duty: Duty, has_succeeded: bool) {
        let mut since = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match has_succeeded {
            true => drop(since.remove(&duty)),
            false => drop(since.entry(duty).or_insert_with(Instant::now)),
        }
    }

    /// What has failed for at least so long, without a success in between.
    pub(super) fn lasting(&self, limit: Duration) -> Vec<&'static str> {
        let since = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        since.iter().filter(|(_, since)| since.elapsed() >= limit).map(|(duty, _)| duty.failing()).collect()
    }
}
