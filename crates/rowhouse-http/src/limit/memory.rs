//! A store of counters in this process's memory, exact and bounded.
//!
//! A subject whose budget is full again equals one that was never seen, and is removed. When the store is full, the
//! subject that is closest to a full budget is evicted: it gains least, and subjects at their limit stay. A new
//! subject always finds room, so a flood locks nobody out.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use time::OffsetDateTime;

use super::{Allowance, Charge, RateKey};

/// Most subjects below their full budget; about 40 MB.
const MAX_SUBJECTS: usize = 200_000;
/// Subjects removed per request: more than a request adds, so that the store shrinks after a flood.
const FORGOTTEN_AT_ONCE: usize = 8;

/// Counters in memory.
#[derive(Debug)]
pub(super) struct MemoryRates {
    counts: Mutex<Counts>,
    most: usize,
}

impl Default for MemoryRates {
    fn default() -> Self {
        Self { counts: Mutex::default(), most: MAX_SUBJECTS }
    }
}

/// When each subject's budget is full again, in time since 1970.
#[derive(Debug, Default)]
struct Counts {
    full_at: HashMap<RateKey, Duration>,
    by_time: BTreeSet<(Duration, RateKey)>,
}

impl Counts {
    /// For each charge, when it is full again after one request, and the allowance.
    fn look(&self, charges: &[Charge], now: Duration) -> Vec<(Duration, Allowance)> {
        let take = |charge: &Charge| charge.quota.take(self.full_at.get(&charge.key).copied(), now);
        charges.iter().map(take).collect()
    }

    fn take(&mut self, charges: &[Charge], now: Duration, most: usize) -> Vec<Allowance> {
        self.forget(now);
        let taken = self.look(charges, now);
        let refused = taken.iter().any(|(_, allowance)| allowance.retry_after.is_some());
        if !refused {
            charges
                .iter()
                .zip(&taken)
                .for_each(|(charge, (full_at, _))| self.put(&charge.key, *full_at, most));
        }
        taken.into_iter().map(|(_, allowance)| allowance).collect()
    }

    fn put(&mut self, key: &RateKey, full_at: Duration, most: usize) {
        match self.full_at.insert(key.clone(), full_at) {
            Some(before) => {
                self.by_time.remove(&(before, key.clone()));
            }
            None if self.full_at.len() > most => self.remove_first(),
            None => {}
        }
        self.by_time.insert((full_at, key.clone()));
    }

    fn forget(&mut self, now: Duration) {
        for _ in 0..FORGOTTEN_AT_ONCE {
            match self.by_time.first() {
                Some((full_at, _)) if *full_at <= now => self.remove_first(),
                _ => return,
            }
        }
    }

    fn remove_first(&mut self) {
        if let Some((_, key)) = self.by_time.pop_first() {
            self.full_at.remove(&key);
        }
    }
}

impl MemoryRates {
    #[cfg(test)]
    pub(super) fn with_room_for(most: usize) -> Self {
        Self { most, ..Self::default() }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        let counts = self.counts();
        assert_eq!(counts.full_at.len(), counts.by_time.len());
        counts.full_at.len()
    }

    /// Counts one request against every charge, or against none if one of them does not allow it. Returns the allowance of
    /// each, in the same order.
    pub(super) fn take(&self, charges: &[Charge], now: OffsetDateTime) -> Vec<Allowance> {
        self.counts().take(charges, since_1970(now), self.most)
    }

    /// The allowance that one request would get, without counting it.
    pub(super) fn look(&self, charges: &[Charge], now: OffsetDateTime) -> Vec<Allowance> {
        let allowances = self.counts().look(charges, since_1970(now));
        allowances.into_iter().map(|(_, allowance)| allowance).collect()
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn since_1970(now: OffsetDateTime) -> Duration {
    now.unix_timestamp_nanos().try_into().map_or(Duration::ZERO, Duration::from_nanos)
}
