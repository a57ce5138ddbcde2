//! How long to wait before a task is started again.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
/// Short enough for a failed task to be restarted within ten seconds.
const LONGEST: Duration = Duration::from_secs(5);
/// After a run of this length the pauses restart from the first.
const RECOVERED: Duration = Duration::from_secs(60);

/// Pauses that double with each failure.
#[derive(Debug, Clone, Copy)]
pub(super) struct Backoff {
    next: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next: FIRST }
    }
}

impl Backoff {
    /// The pause after a run that took `ran`.
    pub(super) fn pause(&mut self, ran: Duration) -> Duration {
        let pause = if ran >= RECOVERED { FIRST } else { self.next };
        self.next = (pause * 2).min(LONGEST);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_limit_and_restart_after_a_long_run() {
        let mut backoff = Backoff::default();
        let pauses: Vec<_> = (0..8).map(|_| backoff.pause(Duration::ZERO).as_millis()).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(backoff.pause(RECOVERED), FIRST);
        assert_eq!(backoff.pause(Duration::ZERO), 2 * FIRST);
    }
}
