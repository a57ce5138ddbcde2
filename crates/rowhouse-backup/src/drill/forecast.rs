//! How long a restore will take, from past drills: what a restore takes by size, and how the size grows.

use serde::Serialize;
use time::OffsetDateTime;

use super::Report;

/// What people wait for at most.
pub(crate) const LIMIT_SECONDS: f64 = 1800.0;
/// How far ahead it looks: to the next drill of the usual schedule.
const AHEAD_DAYS: f64 = 30.0;
/// Sizes that differ less say nothing about what a restore takes by size.
const DIFFERENT: f64 = 1.25;
const DAY_SECONDS: f64 = 86_400.0;

/// Restoring and checking, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Forecast {
    /// At the present size.
    pub(crate) now_seconds: f64,
    /// At the size in 30 days, if it grows as it did.
    pub(crate) in_30_days_seconds: f64,
    /// Whether that is above the limit of 30 minutes.
    pub(crate) is_above_limit: bool,
}

/// Bytes of a cluster, and when.
pub(crate) type Size = (OffsetDateTime, u64);

impl Forecast {
    /// From good drills, the newest first, and the sizes over time, in any order; none without a drill.
    pub(crate) fn of(drills: &[&Report], sizes: &[Size]) -> Option<Self> {
        let newest = drills.first()?;
        let times: Vec<(f64, f64)> = drills.iter().map(|one| (float(one.bytes), one.rto_seconds)).collect();
        let last = sizes.iter().max_by_key(|(at, _)| *at).map_or(newest.bytes, |(_, bytes)| *bytes);
        let now_seconds = seconds(&times, float(last));
        let later = seconds(&times, float(last) + growth(sizes) * AHEAD_DAYS);
        Some(Self { now_seconds, in_30_days_seconds: later, is_above_limit: later > LIMIT_SECONDS })
    }
}

/// Bytes a day, between the oldest and the newest.
fn growth(sizes: &[Size]) -> f64 {
    let (first, last) = (sizes.iter().min_by_key(|(at, _)| *at), sizes.iter().max_by_key(|(at, _)| *at));
    let (Some((from, before)), Some((to, after))) = (first, last) else { return 0.0 };
    let days = (*to - *from).as_seconds_f64() / DAY_SECONDS;
    if days < 1.0 { 0.0 } else { ((float(*after) - float(*before)) / days).max(0.0) }
}

/// On the line of least squares; if all were of one size, in proportion to the newest.
fn seconds(times: &[(f64, f64)], bytes: f64) -> f64 {
    let Some((newest_bytes, newest_seconds)) = times.first() else { return 0.0 };
    let sizes = || times.iter().map(|(bytes, _)| *bytes);
    let (least, most) = (sizes().fold(f64::INFINITY, f64::min), sizes().fold(0.0, f64::max));
    if most < least * DIFFERENT {
        return newest_seconds * (bytes / newest_bytes.max(1.0)).max(1.0);
    }
    let count = float(times.len() as u64);
    let (mean_bytes, mean_seconds) =
        (sizes().sum::<f64>() / count, times.iter().map(|(_, seconds)| seconds).sum::<f64>() / count);
    let covariance: f64 = times.iter().map(|(b, s)| (b - mean_bytes) * (s - mean_seconds)).sum();
    let variance: f64 = times.iter().map(|(b, _)| (b - mean_bytes).powi(2)).sum();
    // A larger one takes no less, whatever a few drills say.
    let slope = (covariance / variance).max(0.0);
    (mean_seconds + slope * (bytes - mean_bytes)).max(0.0)
}

#[expect(clippy::cast_precision_loss, reason = "sizes up to petabytes")]
fn float(bytes: u64) -> f64 {
    bytes as f64
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::{growth, seconds};

    const GIB: u64 = 1 << 30;
    const G: f64 = 1_073_741_824.0;

    #[test]
    fn time_follows_the_size_by_what_drills_of_several_sizes_took() {
        // 10 s, and 20 s for each GiB.
        let drills = [(3.0 * G, 70.0), (2.0 * G, 50.0), (G, 30.0)];
        assert!((seconds(&drills, 5.0 * G) - 110.0).abs() < 1e-6);
        assert!((seconds(&drills[..1], 6.0 * G) - 140.0).abs() < 1e-6, "one size: in proportion");
        assert!((seconds(&drills[..1], G) - 70.0).abs() < 1e-6, "and no less for a smaller one");
        assert!((seconds(&[(2.0 * G, 10.0), (G, 30.0)], 4.0 * G) - 20.0).abs() < 1e-6, "never falling");
    }

    #[test]
    fn growth_is_by_the_day_and_unknown_within_one() {
        let sizes = [(datetime!(2026-11-11 00:00 UTC), 3 * GIB), (datetime!(2026-11-01 00:00 UTC), GIB)];
        assert!((growth(&sizes) - 0.2 * G).abs() < 1e-3);
        assert!(growth(&sizes[..1]).abs() < f64::EPSILON);
        assert!(growth(&[]).abs() < f64::EPSILON);
    }
}
