//! The times of a schedule: a cron pattern in a time zone. Leaves enqueueing at those times to `schedule`.

use std::sync::Arc;

use croner::Cron as Pattern;
use croner::parser::{CronParser, Year};
use jiff::{Timestamp, Zoned, tz::TimeZone};
use time::OffsetDateTime;

/// A cron pattern read in a time zone.
///
/// Patterns have five fields (minute, hour, day of month, month, day of week) or six, with seconds before them; also
/// `@daily` and the other nicknames, `L`, `W` and `#`. When the clocks go forward, a pattern of fixed times
/// fires right after the gap and one of intervals goes on; when they go back, the former fires once and the
/// latter in both hours.
#[derive(Debug, Clone)]
pub struct Cron {
    pattern: Arc<Pattern>,
    zone: TimeZone,
}

impl Cron {
    /// Reads a pattern, and a zone of the IANA database such as `Europe/Berlin`.
    ///
    /// # Errors
    /// Which of the two is wrong, and how.
    pub fn parse(pattern: &str, zone: &str) -> Result<Self, CronError> {
        let zone = TimeZone::get(zone).map_err(|_| CronError::Zone(zone.to_owned()))?;
        let wrong = |why: String| CronError::Pattern(pattern.to_owned(), why);
        let read = CronParser::builder().year(Year::Disallowed).build().parse(pattern);
        let read = read.map_err(|error| wrong(error.to_string().trim_end_matches('.').to_owned()))?;
        let cron = Self { pattern: Arc::new(read), zone };
        // "30 February" parses and has no occurrence.
        match cron.next_after(SOME_DAY) {
            Some(_) => Ok(cron),
            None => Err(wrong("it never comes".to_owned())),
        }
    }

    /// The first time after `moment`, if there is one in the range that the library searches.
    #[must_use]
    pub fn next_after(&self, moment: OffsetDateTime) -> Option<OffsetDateTime> {
        let next = self.pattern.find_next_occurrence(&self.local(moment)?, false).ok()?;
        OffsetDateTime::from_unix_timestamp(next.timestamp().as_second()).ok()
    }

    /// The last time before `moment`, if there is one in the range that the library searches.
    #[must_use]
    pub fn last_before(&self, moment: OffsetDateTime) -> Option<OffsetDateTime> {
        let last = self.pattern.find_previous_occurrence(&self.local(moment)?, false).ok()?;
        OffsetDateTime::from_unix_timestamp(last.timestamp().as_second()).ok()
    }

    fn local(&self, moment: OffsetDateTime) -> Option<Zoned> {
        let moment = Timestamp::from_nanosecond(moment.unix_timestamp_nanos()).ok()?;
        Some(moment.to_zoned(self.zone.clone()))
    }
}

/// Start of the search for a first occurrence when a pattern is parsed; any instant would do.
const SOME_DAY: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

/// Why there is no [`Cron`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CronError {
    /// The pattern cannot be parsed, or has no occurrence.
    #[error("invalid cron pattern \"{0}\": {1}")]
    Pattern(String, String),
    /// The zone is not in the database.
    #[error("unknown time zone \"{0}\"; names are those of the IANA database, such as Europe/Berlin")]
    Zone(String),
}

#[cfg(test)]
mod tests;
