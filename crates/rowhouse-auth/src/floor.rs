//! Minimum duration of refused sign-ins: that of the slowest kind of hash, so that timing reveals neither whether an
//! address is known nor from where its hash was imported.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rowhouse_crypto::password::HashKind;

/// Most kinds whose durations are stored; imports bring a handful.
const MAX_KINDS: usize = 64;
/// Longest added delay, however slow an imported hash is.
const LONGEST: Duration = Duration::from_secs(1);
/// Weight of the latest comparison in the average, as a divisor.
const SMOOTHING: u32 = 8;

/// Average durations of comparisons, by kind of hash.
#[derive(Debug, Default)]
pub(crate) struct Floor(Mutex<BTreeMap<HashKind, Duration>>);

impl Floor {
    /// Adds a comparison to the average of its kind.
    pub(crate) fn note(&self, kind: HashKind, took: Duration) {
        let mut times = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(average) = times.get_mut(&kind) {
            *average = (*average * (SMOOTHING - 1) + took) / SMOOTHING;
        } else if times.len() < MAX_KINDS {
            times.insert(kind, took);
        }
    }

    /// The remaining delay of a refusal whose comparison took `took`: up to 1.25 times the slowest average, a
    /// duration that nearly every comparison stays below.
    pub(crate) fn rest(&self, took: Duration) -> Duration {
        let times = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let slowest = times.values().max().copied().unwrap_or_default().min(LONGEST);
        (slowest + slowest / 4).saturating_sub(took)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn refusal_takes_equally_long_for_every_kind_of_hash() {
        let floor = Floor::default();
        assert_eq!(floor.rest(50 * MS), Duration::ZERO);
        floor.note(HashKind::Current, 40 * MS);
        floor.note(HashKind::Bcrypt { cost: 10 }, 80 * MS);
        for took in [Duration::ZERO, 40 * MS, 80 * MS, 100 * MS] {
            assert_eq!(took + floor.rest(took), 100 * MS);
        }
        assert_eq!(floor.rest(130 * MS), Duration::ZERO);
    }

    #[test]
    fn one_slow_comparison_moves_the_average_little_and_none_moves_it_beyond_the_limit() {
        let floor = Floor::default();
        floor.note(HashKind::Current, 40 * MS);
        floor.note(HashKind::Current, 120 * MS);
        assert_eq!(floor.rest(Duration::ZERO), 50 * MS * 5 / 4);
        floor.note(HashKind::Bcrypt { cost: 15 }, 3000 * MS);
        assert_eq!(floor.rest(Duration::ZERO), LONGEST * 5 / 4);
    }
}
