//! How old the last good, verified and drilled backups are, as metrics. What there has never been has no value.

use metrics::gauge;
use rowhouse_module::Metric;
use time::OffsetDateTime;

use crate::store::Listed;

/// What the schedule measures.
pub(crate) const METRICS: [Metric; 6] = [
    Metric {
        name: "rowhouse_backup_last_success_timestamp_seconds",
        help: "When the newest good backup began, in seconds since 1970",
    },
    Metric {
        name: "rowhouse_backup_last_verified_timestamp_seconds",
        help: "When a backup was last read back without damage, in seconds since 1970",
    },
    Metric {
        name: "rowhouse_backup_last_drilled_timestamp_seconds",
        help: "When a backup was last restored in a drill that went well, in seconds since 1970",
    },
    Metric { name: "rowhouse_backup_last_drill_good", help: "1 if the last drill went well, 0 if it failed" },
    Metric {
        name: "rowhouse_backup_stored_bytes",
        help: "Bytes of all backups in the store, without the log",
    },
    Metric { name: "rowhouse_backup_failures_total", help: "Scheduled backups that failed" },
];

/// Sets the gauges.
pub(super) fn show(listed: &[Listed]) {
    let good = || listed.iter().filter(|listed| listed.manifest().is_some());
    let began = good().filter_map(|listed| Some(listed.manifest()?.started_at)).max();
    let verified = good().filter_map(|listed| listed.state.verified.as_ref()?.last_good_at).max();
    let drilled = good().filter_map(|listed| listed.state.drilled.as_ref()?.last_good_at).max();
    if let Some(at) = began {
        gauge!("rowhouse_backup_last_success_timestamp_seconds").set(seconds(at));
    }
    if let Some(at) = verified {
        gauge!("rowhouse_backup_last_verified_timestamp_seconds").set(seconds(at));
    }
    if let Some(at) = drilled {
        gauge!("rowhouse_backup_last_drilled_timestamp_seconds").set(seconds(at));
    }
    let last = good().filter_map(|listed| listed.state.drilled.as_ref()).max_by_key(|record| record.at);
    if let Some(last) = last {
        gauge!("rowhouse_backup_last_drill_good").set(if last.good { 1.0 } else { 0.0 });
    }
    let bytes: u64 = listed.iter().map(|listed| listed.stored_bytes).sum();
    #[expect(clippy::cast_precision_loss, reason = "a gauge")]
    gauge!("rowhouse_backup_stored_bytes").set(bytes as f64);
}

#[expect(clippy::cast_precision_loss, reason = "exact until the year 285 million")]
fn seconds(at: OffsetDateTime) -> f64 {
    at.unix_timestamp() as f64
}
