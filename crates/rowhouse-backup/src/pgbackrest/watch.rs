//! How old the newest backup of pgBackRest is, as a metric, and whether it answers, as a health check. When backups are made is
//! its own schedule's decision.

use std::time::Duration;

use metrics::gauge;
use rowhouse_module::Assembly;

use super::{Backup, PgBackRest};
use crate::trouble::{self, Turned, Turns};

/// How often it is asked: its repository may be a bucket.
const PAUSE: Duration = Duration::from_mins(10);

/// Adds the task and its health check.
pub(crate) fn start(assembly: &mut Assembly, adapter: PgBackRest) {
    trouble::start(assembly, "backup.pgbackrest", "pgbackrest", adapter);
}

impl Turns for PgBackRest {
    async fn turn(&self) -> Turned {
        let backups = match self.backups().await {
            Ok(backups) => backups,
            Err(error) => return Turned::failed(error.to_string(), PAUSE),
        };
        let good = backups.iter().filter(|backup| backup.is_good());
        let Some(newest) = good.map(Backup::started_at).max() else {
            return Turned::failed(format!("the stanza {} has no backup", self.stanza()), PAUSE);
        };
        #[expect(clippy::cast_precision_loss, reason = "exact until the year 285 million")]
        gauge!("rowhouse_backup_last_success_timestamp_seconds").set(newest.unix_timestamp() as f64);
        Turned::well(PAUSE)
    }
}
