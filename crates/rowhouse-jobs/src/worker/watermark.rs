//! Up to which position everything is stable: no transaction can add a job there any more. Pure.
//!
//! A position is drawn before its row is visible, and perhaps long before; but never before its transaction has its id
//! (whatever inserts into jobs.ready sees to that). So a reading of the sequence is stable once every transaction has
//! ended that had an id one reading later.

use std::collections::VecDeque;

use crate::store::Horizon;

/// Readings that wait for transactions to end; beyond, every second is dropped. (Not the oldest: where some transaction
/// always runs for longer than the readings span, none would ever be stable.)
const MOST: usize = 64;

#[derive(Debug, Default)]
pub(crate) struct Watermark {
    /// Positions read, and the first transaction not begun one reading later.
    waiting: VecDeque<(i64, Option<i64>)>,
    stable: i64,
    last: i64,
}

impl Watermark {
    pub(crate) fn stable(&self) -> i64 {
        self.stable
    }

    /// True if the positions have gone back, so that everything that was known of them is void: a crash takes along
    /// those that had not reached the disk.
    pub(crate) fn read(&mut self, now: Horizon) -> bool {
        let went_back = now.last_position < self.last;
        if went_back {
            self.forget();
        }
        self.last = now.last_position;
        if let Some((_, bound)) = self.waiting.back_mut() {
            bound.get_or_insert(now.xmax);
        }
        while let Some((position, Some(bound))) = self.waiting.front().copied() {
            if now.xmin < bound {
                break;
            }
            self.stable = self.stable.max(position);
            self.waiting.pop_front();
        }
        if self.waiting.len() >= MOST {
            let mut keep = false;
            self.waiting.retain(|_| {
                keep = !keep;
                keep
            });
        }
        self.waiting.push_back((now.last_position, None));
        went_back
    }

    /// A database that was restored or failed over may count from elsewhere.
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests;
