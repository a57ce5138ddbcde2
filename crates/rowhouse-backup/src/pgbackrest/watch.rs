//! How old the newest backup of pgBackRest is, as a metric, and whether it answers, as a health check. When backups are made is
//! its own schedule's decision.

use std::time::Duration;

use metrics::gauge;
use rowhouse_db::Control;
use rowhouse_module::{Assembly, CannotRun};

use super::{Backup, PgBackRest};
use crate::source::Source;
use crate::standing::left_behind;
use crate::state;
use crate::trouble::{self, Turned, Turns};

/// How often it is asked: its repository may be a bucket.
const PAUSE: Duration = Duration::from_mins(10);

/// Adds the task and its health check.
///
/// # Errors
/// If the project's secrets cannot be read.
pub(crate) fn start(assembly: &mut Assembly, adapter: PgBackRest) -> Result<(), CannotRun> {
    let origin = &assembly.origin;
    let (project, url) = (origin.project.as_ref(), &origin.urls.direct);
    let slot = Source::new(&origin.settings, project, url, &*origin.rng, &origin.clock)?.slot;
    let watch = Watch { adapter, control: origin.database.control.clone(), slot };
    trouble::start(assembly, "backup.pgbackrest", "pgbackrest", watch);
    Ok(())
}

struct Watch {
    adapter: PgBackRest,
    control: Control,
    /// Of this program's own backups, which there may have been before.
    slot: String,
}

impl Turns for Watch {
    async fn turn(&self) -> Turned {
        let turned = self.look().await;
        // Whether the database answers is a check of its own.
        let has_slot = state::read(&self.control, &self.slot).await.is_ok_and(|state| state.has_slot);
        match turned.trouble {
            None if has_slot => Turned::failed(left_behind(&self.slot), PAUSE),
            _ => turned,
        }
    }
}

impl Watch {
    async fn look(&self) -> Turned {
        let backups = match self.adapter.backups().await {
            Ok(backups) => backups,
            Err(error) => return Turned::failed(error.to_string(), PAUSE),
        };
        let good = backups.iter().filter(|backup| backup.is_good());
        let Some(newest) = good.map(Backup::started_at).max() else {
            return Turned::failed(format!("the stanza {} has no backup", self.adapter.stanza()), PAUSE);
        };
        #[expect(clippy::cast_precision_loss, reason = "exact until the year 285 million")]
        gauge!("rowhouse_backup_last_success_timestamp_seconds").set(newest.unix_timestamp() as f64);
        Turned::well(PAUSE)
    }
}
