//! Slots for running jobs, and how many jobs to claim ahead. No kind can take all slots, and some are reserved for urgent
//! kinds, so that kinds do not delay each other. Leaves it to the fetcher what to claim.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{JobKind, Registry};

/// Bound of jobs claimed and not ended, however short they are.
const MAX_INFLIGHT: usize = 2_000;
/// So much work is claimed ahead of free slots, so that short jobs do not wait for a round trip.
const AHEAD: Duration = Duration::from_millis(20);
/// One in so many slots is kept for reserved kinds.
const RESERVED_SHARE: usize = 10;
/// One in so many of the others is kept from each kind.
const OTHERS_SHARE: usize = 5;
/// Assumed duration of a run until one has ended, in nanoseconds.
const FIRST_GUESS: u64 = 1_000_000;
/// Runs count as this long at least, and at most.
const SHORTEST_RUN: Duration = Duration::from_micros(5);
const LONGEST_RUN: u64 = 3_600_000_000_000;

/// Slots that some kinds share.
#[derive(Debug)]
struct Pool {
    most: usize,
    permits: Arc<Semaphore>,
    /// Jobs claimed and not ended.
    held: AtomicUsize,
    /// Nanoseconds that runs take, smoothed.
    run_time: AtomicU64,
}

impl Pool {
    fn new(most: usize) -> Arc<Self> {
        let (permits, run_time) = (Arc::new(Semaphore::new(most)), AtomicU64::new(FIRST_GUESS));
        Arc::new(Self { most, permits, held: AtomicUsize::new(0), run_time })
    }

    /// How many more jobs to claim.
    fn room(&self) -> usize {
        let each = Duration::from_nanos(self.run_time.load(Ordering::Relaxed)).max(SHORTEST_RUN);
        let ahead = usize::try_from(AHEAD.as_nanos() / each.as_nanos()).unwrap_or(0);
        let most = self.most.saturating_add(ahead.saturating_mul(self.most)).min(MAX_INFLIGHT.max(self.most));
        most.saturating_sub(self.held.load(Ordering::Relaxed))
    }

    fn took(&self, took: Duration) {
        let new = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX).min(LONGEST_RUN);
        let old = self.run_time.load(Ordering::Relaxed);
        self.run_time.store(old - old / 16 + new / 16, Ordering::Relaxed);
    }
}

/// A claimed job's place, until it is dropped.
#[derive(Debug)]
pub(super) struct Held(Vec<Arc<Pool>>);

impl Held {
    fn new(pools: Vec<Arc<Pool>>) -> Self {
        for pool in &pools {
            pool.held.fetch_add(1, Ordering::Relaxed);
        }
        Self(pools)
    }

    /// Waits for a slot: first in the kind's pool, so that a job waiting there occupies none of the shared ones.
    pub(super) async fn slot(&self) -> Option<Vec<OwnedSemaphorePermit>> {
        let mut slots = Vec::with_capacity(self.0.len());
        for pool in &self.0 {
            slots.push(Arc::clone(&pool.permits).acquire_owned().await.ok()?);
        }
        Some(slots)
    }

    /// Takes the duration of a run into account.
    pub(super) fn took(&self, took: Duration) {
        self.0.iter().for_each(|pool| pool.took(took));
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        for pool in &self.0 {
            pool.held.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// The slots of one worker.
#[derive(Debug)]
pub(super) struct Slots {
    general: Arc<Pool>,
    reserved: Arc<Pool>,
    urgent: HashSet<Arc<str>>,
    kinds: HashMap<Arc<str>, Arc<Pool>>,
}

impl Slots {
    /// `concurrency` slots in all, a part of them for urgent kinds only, if there are any.
    pub(super) fn new(concurrency: usize, registry: &Registry) -> Self {
        let concurrency = concurrency.max(1);
        let (urgent, plain): (Vec<&JobKind>, Vec<&JobKind>) =
            registry.kinds().partition(|kind| kind.is_urgent);
        let reserved = if urgent.is_empty() { 0 } else { (concurrency / RESERVED_SHARE).max(1) };
        let general = concurrency.saturating_sub(reserved).max(1);
        let of_kind = (general - general / OTHERS_SHARE).max(1);
        let most = |kind: &JobKind| kind.concurrency.map_or(of_kind, |most| most.clamp(1, general));
        let kinds = plain.iter().map(|kind| (Arc::clone(&kind.name), Pool::new(most(kind)))).collect();
        let urgent = urgent.iter().map(|kind| Arc::clone(&kind.name)).collect();
        Self { general: Pool::new(general), reserved: Pool::new(reserved), urgent, kinds }
    }

    /// A claimed job takes its place.
    pub(super) fn hold(&self, kind: &str) -> Held {
        match self.kinds.get(kind) {
            Some(of_kind) => Held::new(vec![Arc::clone(of_kind), Arc::clone(&self.general)]),
            None if self.urgent.contains(kind) => Held::new(vec![Arc::clone(&self.reserved)]),
            None => Held::new(vec![Arc::clone(&self.general)]),
        }
    }

    /// How many more jobs to claim in all.
    pub(super) fn room(&self) -> usize {
        self.general.room() + self.reserved.room()
    }

    /// How many more jobs to claim of each kind, not more than its handler has room for.
    pub(super) fn rooms(&self, registry: &Registry) -> BTreeMap<Arc<str>, i32> {
        let (general, reserved) = (self.general.room(), self.reserved.room());
        let mut rooms = registry.rooms();
        for (kind, room) in &mut rooms {
            let own = match self.kinds.get(kind) {
                Some(of_kind) => of_kind.room().min(general),
                None => reserved,
            };
            *room = (*room).min(i32::try_from(own).unwrap_or(i32::MAX));
        }
        rooms
    }
}

#[cfg(test)]
mod tests;
