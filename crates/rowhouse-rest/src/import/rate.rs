//! The least rate at which an import's body has to arrive. An import holds a transaction and one of few streams; a
//! client that sends a little now and then must not hold them for as long as an import may take.

use std::time::Duration;

/// The rate is averaged over this time.
const PERIOD: Duration = Duration::from_secs(60);

/// Counts only the time spent waiting for the client, not that of the database.
pub(super) struct Rate {
    /// Bytes a second.
    least: u64,
    waited: Duration,
    bytes: u64,
}

/// The body has arrived too slowly.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooSlow;

impl Rate {
    pub(super) fn new(least: u64) -> Self {
        Self { least, waited: Duration::ZERO, bytes: 0 }
    }

    /// Counts `bytes` for which the client has taken `waited`.
    ///
    /// # Errors
    /// A period has ended with too few bytes.
    pub(super) fn count(&mut self, waited: Duration, bytes: usize) -> Result<(), TooSlow> {
        self.waited += waited;
        self.bytes = self.bytes.saturating_add(bytes as u64);
        if self.waited < PERIOD {
            return Ok(());
        }
        let enough = self.bytes >= self.least.saturating_mul(self.waited.as_secs());
        *self = Self::new(self.least);
        if enough { Ok(()) } else { Err(TooSlow) }
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, PERIOD, Rate, TooSlow};

    #[test]
    fn rate_is_that_of_a_period_of_waiting() {
        let mut rate = Rate::new(1024);
        assert_eq!(rate.count(Duration::from_secs(29), 20), Ok(()));
        assert_eq!(rate.count(Duration::from_secs(29), 20), Ok(()));
        assert_eq!(rate.count(Duration::from_secs(2), 0), Err(TooSlow));
    }

    #[test]
    fn pauses_and_bursts_are_averaged() {
        let mut rate = Rate::new(1024);
        for _ in 0..10 {
            assert_eq!(rate.count(Duration::ZERO, 61_440), Ok(()));
            assert_eq!(rate.count(Duration::from_secs(30), 0), Ok(()));
            assert_eq!(rate.count(Duration::from_secs(30), 0), Ok(()));
        }
        // An earlier burst does not count.
        assert_eq!(rate.count(Duration::ZERO, 1_000_000), Ok(()));
        assert_eq!(rate.count(PERIOD, 0), Ok(()));
        assert_eq!(rate.count(PERIOD, 0), Err(TooSlow));
    }

    #[test]
    fn zero_demands_nothing() {
        assert_eq!(Rate::new(0).count(PERIOD * 10, 0), Ok(()));
    }
}
