//! Dates and sizes in a search. Pure.

use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, OffsetDateTime, PrimitiveDateTime};

/// A date, with or without a time; without an offset in UTC.
pub(super) fn date(text: &str) -> Result<OffsetDateTime, String> {
    let text = text.replace('/', "-").replacen(' ', "t", 1).to_uppercase();
    let day = format_description!("[year]-[month]-[day]");
    let minute = format_description!("[year]-[month]-[day]T[hour]:[minute]");
    let second = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]");
    let at_once = |time: PrimitiveDateTime| time.assume_utc();
    OffsetDateTime::parse(&text, &Rfc3339)
        .or_else(|_| PrimitiveDateTime::parse(&text, &second).map(at_once))
        .or_else(|_| PrimitiveDateTime::parse(&text, &minute).map(at_once))
        .or_else(|_| Date::parse(&text, &day).map(|day| day.midnight().assume_utc()))
        .map_err(|_| {
            format!(
                "before: and after: expect a date as 2026-05-04 or \"2026-05-04 13:30\" (UTC), not {text}"
            )
        })
}

/// A number of bytes, with an optional unit k, kb, m or mb (powers of 1024).
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    let wrong = || format!("larger: and smaller: expect a size as 500, 10kb or 1.5m, not {text}");
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let factor = match unit.trim() {
        "" | "b" => 1.0,
        "k" | "kb" => 1024.0,
        "m" | "mb" => 1024.0 * 1024.0,
        _ => return Err(wrong()),
    };
    let number: f64 = text[..text.len() - unit.len()].parse().map_err(|_| wrong())?;
    let bytes = number * factor;
    if bytes.is_finite() && bytes < 1e15 { Ok(bytes as u64) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::{bytes, date};

    #[test]
    fn dates_with_and_without_times_are_read() {
        for text in [
            "2026-05-04",
            "2026/05/04",
            "2026-05-04 00:00",
            "2026-05-04t02:00:00+02:00",
            "2026-05-04 00:00:00",
        ] {
            assert_eq!(date(text).unwrap(), datetime!(2026-05-04 0:00 UTC), "{text}");
        }
        for text in ["", "yesterday", "04.05.2026", "2026-13-01"] {
            assert!(date(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_have_units() {
        for (text, expected) in [("500", 500), ("1k", 1024), ("1.5kb", 1536), ("2m", 2 * 1024 * 1024)] {
            assert_eq!(bytes(text).unwrap(), expected, "{text}");
        }
        for text in ["", "k", "1x", "-1", "1.2.3", "9999999999999999m"] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }
}
