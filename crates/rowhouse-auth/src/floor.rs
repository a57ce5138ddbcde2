//! How long a refused password takes to be answered: as long as for the slowest kind of hash, so that the time does not
//! say whether an address is known or from where its hash was imported.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rowhouse_crypto::password::Kind;

/// Kinds whose times are remembered; imports bring a handful.
const MAX_KINDS: usize = 64;
/// No refusal takes longer by this than its own comparison, however slow a hash somebody has imported.
const LONGEST: Duration = Duration::from_secs(1);
/// Weight of the latest comparison in the average, as a divisor.
const SMOOTHING: u32 = 8;

/// Average times of comparisons, by kind.
#[derive(Debug, Default)]
pub(crate) struct Floor(Mutex<BTreeMap<Kind, Duration>>);

impl Floor {
    /// Takes a comparison into the average of its kind.
    pub(crate) fn note(&self, kind: Kind, took: Duration) {
        let mut times = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(average) = times.get_mut(&kind) {
            *average = (*average * (SMOOTHING - 1) + took) / SMOOTHING;
        } else if times.len() < MAX_KINDS {
            times.insert(kind, took);
        }
    }

    /// What a refusal has to wait whose comparison took `took`: until a quarter beyond the slowest average, which nearly
    /// every comparison of that kind stays below, too.
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
    fn every_kind_is_refused_at_the_same_time() {
        let floor = Floor::default();
        assert_eq!(floor.rest(50 * MS), Duration::ZERO);
        floor.note(Kind::Current, 40 * MS);
        floor.note(Kind::Bcrypt { cost: 10 }, 80 * MS);
        for took in [Duration::ZERO, 40 * MS, 80 * MS, 100 * MS] {
            assert_eq!(took + floor.rest(took), 100 * MS);
        }
        assert_eq!(floor.rest(130 * MS), Duration::ZERO);
    }

    #[test]
    fn one_slow_comparison_moves_the_average_little_and_none_moves_it_beyond_the_limit() {
        let floor = Floor::default();
        floor.note(Kind::Current, 40 * MS);
        floor.note(Kind::Current, 120 * MS);
        assert_eq!(floor.rest(Duration::ZERO), 50 * MS * 5 / 4);
        floor.note(Kind::Bcrypt { cost: 15 }, 3000 * MS);
        assert_eq!(floor.rest(Duration::ZERO), LONGEST * 5 / 4);
    }
}
