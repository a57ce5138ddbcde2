//! The position below which no transaction can add a job any more. Pure.
//!
//! A position is drawn from the sequence before its row is visible, but only after its transaction has an id (every
//! function that inserts into `jobs.ready` assigns one first). So a reading of the sequence is stable once all transactions
//! have ended that had an id at the following reading.

use std::collections::VecDeque;

use crate::store::Horizon;

/// Readings that wait for transactions to end; at this number every second one is dropped. (Not the oldest: if some
/// transaction always runs longer than the readings span, none would ever become stable.)
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

    /// True if the sequence has gone back, so that earlier positions mean nothing: a crash loses the values that had not
    /// reached the disk.
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

    /// Starts over: a restored or failed-over database may have another sequence.
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests;
