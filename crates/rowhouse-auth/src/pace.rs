//! Equal durations of answers, whether something was done for an address or not: all take as long as doing it usually
//! does.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Assumed before the first measurement.
const FIRST: Duration = Duration::from_millis(10);
/// Longest added delay.
const LONGEST: Duration = Duration::from_millis(500);
/// Weight of the latest measurement in the average, as a divisor.
const SMOOTHING: u32 = 8;

/// The average duration of doing it.
#[derive(Debug)]
pub(crate) struct Pace(Mutex<Duration>);

impl Default for Pace {
    fn default() -> Self {
        Self(Mutex::new(FIRST))
    }
}

impl Pace {
    /// Runs `work`; its answer comes after the usual time. `is_done` tells whether its result was the real thing, whose
    /// duration counts.
    pub(crate) async fn keep<T>(&self, work: impl Future<Output = T>, is_done: impl Fn(&T) -> bool) -> T {
        let begun = Instant::now();
        let result = work.await;
        let took = begun.elapsed();
        if is_done(&result) {
            self.note(took);
        }
        tokio::time::sleep(self.rest(took)).await;
        result
    }

    fn note(&self, took: Duration) {
        let mut average = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *average = (*average * (SMOOTHING - 1) + took) / SMOOTHING;
    }

    /// Up to 1.25 times the average, a duration that nearly all stay below.
    fn rest(&self, took: Duration) -> Duration {
        let average = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (average + average / 4).min(LONGEST).saturating_sub(took)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn answers_take_as_long_whether_anything_was_done_or_not() {
        let pace = Pace::default();
        for _ in 0..100 {
            pace.note(8 * MS);
        }
        for took in [Duration::ZERO, 2 * MS, 8 * MS] {
            let all = took + pace.rest(took);
            assert!(all > 9 * MS && all <= 10 * MS + MS / 10, "{all:?}");
        }
        assert_eq!(pace.rest(20 * MS), Duration::ZERO);
    }

    #[test]
    fn delay_is_bounded() {
        let pace = Pace::default();
        for _ in 0..100 {
            pace.note(3000 * MS);
        }
        assert_eq!(pace.rest(Duration::ZERO), LONGEST);
    }
}
