//! Quotas as they are typed: `METRIC=[SOFT:]HARD[/PERIOD]`. Leaves their bounds to `flow`.

use std::num::ParseIntError;

use crate::store::quota::{Period, Quota};

/// Instead of a number.
const UNLIMITED: &str = "unlimited";
/// Counted from memberships, so without a period.
const USERS: &str = "users";

/// How a quota is written, for errors.
const FORM: &str =
    "expected METRIC=[SOFT:]HARD[/PERIOD], such as api_calls=8000:10000/month or storage=unlimited/none";

/// Reads one.
pub(super) fn read(text: &str) -> Result<Quota, String> {
    let (metric, rest) = text.split_once('=').ok_or(FORM)?;
    let (limits, period) = match rest.split_once('/') {
        Some((limits, "none")) => (limits, Period::None),
        Some((limits, "day")) => (limits, Period::Day),
        Some((limits, "month")) => (limits, Period::Month),
        Some(_) => return Err("expected the period day, month or none".to_owned()),
        None if metric == USERS => (rest, Period::None),
        None => (rest, Period::default()),
    };
    let (soft, hard) = match limits.split_once(':') {
        Some((soft, hard)) => (Some(soft), hard),
        None => (None, limits),
    };
    let hard_limit =
        (hard != UNLIMITED).then(|| hard.parse()).transpose().map_err(|_: ParseIntError| FORM)?;
    let soft_limit = soft.map(str::parse).transpose().map_err(|_: ParseIntError| FORM)?;
    Ok(Quota { metric: metric.to_owned(), soft_limit, hard_limit, period })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas_are_read_as_they_are_typed() {
        let quota = |metric: &str, limits: (Option<i64>, Option<i64>), period| Quota {
            metric: metric.to_owned(),
            soft_limit: limits.0,
            hard_limit: limits.1,
            period,
        };
        for (text, expected) in [
            ("users=5", quota("users", (None, Some(5)), Period::None)),
            ("api_calls=10000", quota("api_calls", (None, Some(10_000)), Period::Month)),
            ("api_calls=8:10/day", quota("api_calls", (Some(8), Some(10)), Period::Day)),
            ("storage=8:unlimited/none", quota("storage", (Some(8), None), Period::None)),
        ] {
            assert_eq!(read(text), Ok(expected), "{text}");
        }
        for text in ["users", "users=", "users=many", "x=1:2:3", "x=1/week", "x=:5"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
