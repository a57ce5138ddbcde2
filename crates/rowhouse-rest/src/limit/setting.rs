//! Parses values of settings as PostgreSQL does: durations and numbers.

use std::time::Duration;

/// `statement_timeout`: a number, perhaps with a fraction and a unit; without a unit milliseconds. Zero: no limit.
/// `None` if malformed; of PostgreSQL's forms only octal and hexadecimal numbers are not supported.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let scale = match &text[digits.len()..] {
        "us" => 0.001,
        "" | "ms" => 1.0,
        "s" => 1_000.0,
        "min" => 60_000.0,
        "h" => 3_600_000.0,
        "d" => 86_400_000.0,
        _ => return None,
    };
    let milliseconds = digits.trim_end().parse::<f64>().ok()? * scale;
    // Anything above zero is a limit of at least a millisecond.
    let milliseconds = if milliseconds > 0.0 { milliseconds.round().max(1.0) } else { milliseconds };
    Duration::try_from_secs_f64(milliseconds / 1_000.0).ok()
}

/// A whole number of at least 1.
pub(super) fn rows(text: &str) -> Option<i64> {
    text.trim().parse().ok().filter(|rows| *rows >= 1)
}

/// A finite number above 0.
pub(super) fn cost(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|cost: &f64| cost.is_finite() && *cost > 0.0)
}
