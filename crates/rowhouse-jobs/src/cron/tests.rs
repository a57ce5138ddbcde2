use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

use super::{Cron, CronError};

fn at(text: &str) -> OffsetDateTime {
    OffsetDateTime::parse(text, &Rfc3339).unwrap()
}

/// The next `count` times after `from`, in UTC.
fn times(pattern: &str, zone: &str, from: &str, count: usize) -> Vec<String> {
    let cron = Cron::parse(pattern, zone).unwrap();
    let mut now = at(from);
    let mut found = Vec::new();
    for _ in 0..count {
        now = cron.next_after(now).unwrap();
        found.push(now.to_offset(UtcOffset::UTC).format(&Rfc3339).unwrap());
    }
    found
}

#[test]
fn pattern_is_read_in_its_zone() {
    let noon = times("0 12 * * *", "America/New_York", "2026-01-15T00:00:00Z", 1);
    assert_eq!(noon, ["2026-01-15T17:00:00Z"]);
    assert_eq!(times("0 12 * * *", "UTC", "2026-01-15T12:00:00Z", 1), ["2026-01-16T12:00:00Z"]);
}

#[test]
fn daily_time_inside_the_gap_fires_right_after_it() {
    // Berlin, 29 March 2026: 02:00 becomes 03:00 (01:00 UTC).
    let found = times("30 2 * * *", "Europe/Berlin", "2026-03-28T02:00:00Z", 2);
    assert_eq!(found, ["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]);
}

#[test]
fn daily_time_that_occurs_twice_fires_once() {
    // Berlin, 25 October 2026: 03:00 becomes 02:00 (01:00 UTC).
    let found = times("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2);
    assert_eq!(found, ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]);
}

#[test]
fn interval_continues_through_both_clock_changes() {
    let forward = times("*/30 * * * *", "Europe/Berlin", "2026-03-29T00:29:00Z", 3);
    assert_eq!(forward, ["2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z"]);
    let back = times("*/30 * * * *", "Europe/Berlin", "2026-10-24T23:59:00Z", 5);
    let expected = ["00:00", "00:30", "01:00", "01:30", "02:00"].map(|t| format!("2026-10-25T{t}:00Z"));
    assert_eq!(back, expected);
}

#[test]
fn looking_back_finds_what_looking_ahead_found() {
    let spans =
        [("2026-03-27T00:00:00Z", "2026-03-31T00:00:00Z"), ("2026-10-23T00:00:00Z", "2026-10-27T00:00:00Z")];
    for pattern in ["30 2 * * *", "0 2,3 * * *", "*/30 * * * *", "15 */2 * * *", "0 0 * * MON"] {
        let cron = Cron::parse(pattern, "Europe/Berlin").unwrap();
        for (from, to) in spans {
            let (from, to) = (at(from), at(to));
            let ahead: Vec<_> = std::iter::successors(cron.next_after(from), |t| cron.next_after(*t))
                .take_while(|t| *t < to)
                .collect();
            let mut back: Vec<_> = std::iter::successors(cron.last_before(to), |t| cron.last_before(*t))
                .take_while(|t| *t > from)
                .collect();
            back.reverse();
            assert_eq!(ahead, back, "{pattern}");
        }
    }
}

#[test]
fn leap_day_comes_every_four_years_but_not_in_2100() {
    let found = times("0 0 29 2 *", "UTC", "2092-03-01T00:00:00Z", 2);
    assert_eq!(found, ["2096-02-29T00:00:00Z", "2104-02-29T00:00:00Z"]);
}

#[test]
fn last_day_and_seconds_and_nicknames_are_understood() {
    assert_eq!(times("0 0 L * *", "UTC", "2026-02-01T00:00:00Z", 1), ["2026-02-28T00:00:00Z"]);
    assert_eq!(times("*/10 * * * * *", "UTC", "2026-02-01T00:00:01Z", 1), ["2026-02-01T00:00:10Z"]);
    assert_eq!(times("@hourly", "UTC", "2026-02-01T00:00:01Z", 1), ["2026-02-01T01:00:00Z"]);
}

#[test]
fn invalid_pattern_or_zone_is_refused_with_the_reason() {
    for pattern in ["", "* * *", "61 * * * *", "0 0 30 2 *", "every day", "* * * * * * * *", "*/0 * * * *"] {
        assert!(matches!(Cron::parse(pattern, "UTC"), Err(CronError::Pattern(..))), "{pattern}");
    }
    assert_eq!(Cron::parse("* * * * *", "Mars/Olympus").unwrap_err(), CronError::Zone("Mars/Olympus".into()));
}
