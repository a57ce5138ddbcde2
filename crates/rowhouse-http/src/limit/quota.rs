//! Quotas by the generic cell rate algorithm (ITU-T I.371): a burst at once, refilled evenly. The only state of a
//! subject is the instant at which its budget is full again.

use std::time::Duration;

/// A number of requests per window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Requests at once, and per window on average; at least one.
    burst: u32,
    window: Duration,
}

/// The decision about one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// Requests that remain.
    pub remaining: u32,
    /// Time until the budget is full.
    pub full_in: Duration,
    /// `None` if the request was allowed.
    pub retry_after: Option<Duration>,
}

impl Allowance {
    /// Sort key: refused before allowed, longest wait first, then fewest remaining.
    pub(super) fn tightness(&self) -> (bool, std::cmp::Reverse<Option<Duration>>, u32) {
        (self.retry_after.is_none(), std::cmp::Reverse(self.retry_after), self.remaining)
    }
}

impl Quota {
    /// `burst` requests, at least one, per window.
    #[must_use]
    pub fn new(burst: u32, window: Duration) -> Self {
        Self { burst: burst.max(1), window: window.max(Duration::from_millis(1)) }
    }

    /// Requests per window.
    #[must_use]
    pub fn burst(self) -> u32 {
        self.burst
    }

    /// The window.
    #[must_use]
    pub fn window(self) -> Duration {
        self.window
    }

    /// The time after which one request more is allowed.
    #[must_use]
    pub fn step(self) -> Duration {
        self.window / self.burst
    }

    /// A multiple in the same window.
    #[must_use]
    pub fn times(self, factor: u32) -> Self {
        Self { burst: self.burst.saturating_mul(factor), ..self }
    }

    /// One request at `now`, of a subject whose budget is full at `full_at`; both are times since 1970. Returns when
    /// it is full after that.
    #[must_use]
    pub fn take(self, full_at: Option<Duration>, now: Duration) -> (Duration, Allowance) {
        let step = self.step();
        let before = full_at.map_or(now, |full_at| full_at.max(now));
        let debt = before + step - now;
        if debt > self.window {
            let retry_after = Some(debt - self.window);
            return (before, Allowance { remaining: 0, full_in: before - now, retry_after });
        }
        let remaining = ((self.window - debt).as_nanos() / step.as_nanos().max(1)) as u32;
        (before + step, Allowance { remaining, full_in: debt, retry_after: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(1_800_000_000 + seconds)
    }

    #[test]
    fn burst_is_allowed_at_once_and_refilled_evenly() {
        let quota = Quota::new(3, Duration::from_secs(30));
        let mut full_at = None;
        for remaining in [2, 1, 0] {
            let (next, allowance) = quota.take(full_at, at(0));
            assert_eq!((allowance.remaining, allowance.retry_after), (remaining, None));
            full_at = Some(next);
        }
        let (unchanged, refused) = quota.take(full_at, at(4));
        assert_eq!((Some(unchanged), refused.retry_after), (full_at, Some(Duration::from_secs(6))));
        assert_eq!(refused.full_in, Duration::from_secs(26));
        let (_, allowed) = quota.take(full_at, at(10));
        assert_eq!((allowed.remaining, allowed.retry_after), (0, None));
        assert_eq!(quota.take(full_at, at(300)).1.remaining, 2);
    }

    #[test]
    fn clock_set_back_neither_refills_nor_panics() {
        let quota = Quota::new(1, Duration::from_secs(30));
        let (full_at, _) = quota.take(None, at(100));
        assert_eq!(quota.take(Some(full_at), at(0)).1.retry_after, Some(Duration::from_secs(130)));
        assert_eq!(Quota::new(0, Duration::ZERO).burst(), 1);
    }
}
