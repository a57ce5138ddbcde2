//! How old the last good, verified and drilled backups are, as metrics. What there has never been has no value.

use metrics::gauge;
use rowhouse_module::Metric;
use time::OffsetDateTime;

use crate::store::{Listed, Record};

/// What the schedule measures.
pub(crate) const METRICS: [Metric; 5] = [
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
    let verified = good().filter_map(|listed| went_well(listed.state.verified.as_ref())).max();
    let drilled = good().filter_map(|listed| went_well(listed.state.drilled.as_ref())).max();
    if let Some(at) = began {
        gauge!("rowhouse_backup_last_success_timestamp_seconds").set(seconds(at));
    }
    if let Some(at) = verified {
        gauge!("rowhouse_backup_last_verified_timestamp_seconds").set(seconds(at));
    }
    if let Some(at) = drilled {
        gauge!("rowhouse_backup_last_drilled_timestamp_seconds").set(seconds(at));
    }
    let bytes: u64 = listed.iter().map(|listed| listed.stored_bytes).sum();
    #[expect(clippy::cast_precision_loss, reason = "a gauge")]
    gauge!("rowhouse_backup_stored_bytes").set(bytes as f64);
}

fn went_well(record: Option<&Record>) -> Option<OffsetDateTime> {
    record.filter(|record| record.good).map(|record| record.at)
}

#[expect(clippy::cast_precision_loss, reason = "exact until the year 285 million")]
fn seconds(at: OffsetDateTime) -> f64 {
    at.unix_timestamp() as f64
}
