//! Time as an argument.

use std::sync::Arc;

use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

/// Where "now" comes from.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// The current instant in UTC.
    fn now(&self) -> OffsetDateTime;
}

/// Reads an instant of RFC 3339, in UTC. None for other text, and for an instant beyond the year 9999 of UTC, which a driver
/// of PostgreSQL cannot convert.
#[must_use]
pub fn parse_instant(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok()?.checked_to_offset(UtcOffset::UTC)
}

/// A shared clock, as it is passed to every component.
pub type SharedClock = Arc<dyn Clock>;

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc()
    }
}

/// A clock that stands still until a test moves it.
#[cfg(feature = "test-util")]
#[derive(Debug)]
pub struct FakeClock(std::sync::Mutex<OffsetDateTime>);

#[cfg(feature = "test-util")]
impl FakeClock {
    /// A clock standing at `start`.
    #[must_use]
    pub fn at(start: OffsetDateTime) -> Arc<Self> {
        Arc::new(Self(std::sync::Mutex::new(start)))
    }

    /// Moves the clock by `step` (backwards if negative).
    pub fn advance(&self, step: time::Duration) {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner) += step;
    }
}

#[cfg(feature = "test-util")]
impl Clock for FakeClock {
    fn now(&self) -> OffsetDateTime {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::parse_instant;

    #[test]
    fn instant_is_in_utc_and_within_its_years() {
        let read = |text| parse_instant(text).map(|at| at.to_string());
        let noon = Some("2026-01-31 12:00:00.0 +00:00:00".to_owned());
        assert_eq!((read("2026-01-31T14:00:00+02:00"), read("2026-01-31T12:00:00Z")), (noon.clone(), noon));
        for text in ["9999-12-31T23:59:59.999999999-23:59", "infinity", ""] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
