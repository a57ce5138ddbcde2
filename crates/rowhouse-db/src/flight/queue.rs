//! Flights that wait, in order; a shared send may take them.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::shared_send::Waiter;

#[derive(Default)]
pub(super) struct Queue(Mutex<Waiting>);

#[derive(Default)]
pub(super) struct Waiting {
    pub(super) waiters: VecDeque<Waiter>,
    /// How many there have been.
    count: u64,
}

/// A waiter in a queue; removed when its request is dropped.
pub(super) struct Queued<'a> {
    queue: &'a Queue,
    number: u64,
}

impl Queue {
    pub(super) fn push(&self, mut waiter: Waiter) -> Queued<'_> {
        let mut waiting = self.lock();
        let number = waiting.count;
        waiting.count += 1;
        waiter.number = number;
        waiting.waiters.push_back(waiter);
        Queued { queue: self, number }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queued<'_> {
    /// The waiter, unless a shared send has taken it.
    pub(super) fn take_back(&self) -> Option<Waiter> {
        let mut waiting = self.queue.lock();
        let at = waiting.waiters.binary_search_by_key(&self.number, |waiter| waiter.number).ok()?;
        waiting.waiters.remove(at)
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        // Outside the lock: a waiter gives back its share.
        drop(self.take_back());
    }
}
