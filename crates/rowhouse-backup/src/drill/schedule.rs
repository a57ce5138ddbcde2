//! Runs a drill at the times of `backup.drill_schedule`, in a process of its own, and says how the last one went. Leaves the drill
//! to `rowhouse drill run`.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use metrics::gauge;
use rowhouse_db::Control;
use rowhouse_jobs::Cron;
use rowhouse_kernel::{SharedClock, SharedRng};
use rowhouse_module::{Assembly, CannotRun, Metric, Project};
use time::OffsetDateTime;
use tokio::process::Command;

use super::program::own_program;
use super::{Forecast, reports};
use crate::key_file::{self, read_key};
use crate::settings::BackupSettings;
use crate::source::Source;
use crate::state;
use crate::store::{Listed, Record, Store};
use crate::trouble::{self, Turned, Turns, alone};

/// How often the time is compared with the schedule, and when a drill that could not run is tried again.
const PAUSE: Duration = Duration::from_mins(5);
const RETRY: Duration = Duration::from_hours(6);
/// A drill that takes longer is given up.
const LIMIT: Duration = Duration::from_hours(12);
/// Held by whoever runs a scheduled drill; any other number would do.
const LOCK: i64 = 0x726f_7768_6472_696c;

/// What the schedule measures.
pub(crate) const METRICS: [Metric; 1] = [Metric {
    name: "rowhouse_backup_restore_forecast_seconds",
    help: "How long a restore with its checks will take in 30 days, from past drills and how backups grow",
}];

/// Adds the task and its health check.
///
/// # Errors
/// If the project's secrets cannot be read, or the schedule is none.
pub(crate) fn start(assembly: &mut Assembly) -> Result<(), CannotRun> {
    let origin = &assembly.origin;
    let Some(project) = origin.project.clone() else { return Ok(()) };
    let settings = origin.settings.get::<BackupSettings>();
    let cron =
        settings.drill_cron().map_err(|why| CannotRun::because(format!("backup.drill_schedule: {why}")))?;
    let Some(cron) = cron else { return Ok(()) };
    // A medium may be mounted later: nothing else depends on it.
    let key_file = key_file::of_drills(&settings, project.root());
    if let Some(Err(error)) = key_file.as_deref().map(read_key) {
        tracing::warn!("{}", key_file::mistake(&error));
    }
    let source =
        Source::new(&origin.settings, Some(&project), &origin.urls.direct, &*origin.rng, &origin.clock)?;
    let work = Work {
        source,
        control: origin.database.control.clone(),
        cron,
        settings,
        key_file,
        project,
        clock: Arc::clone(&origin.clock),
        rng: Arc::clone(&origin.rng),
    };
    trouble::start(assembly, "backup.drill", "backup.drill_schedule", work);
    Ok(())
}

struct Work {
    source: Source,
    control: Control,
    cron: Cron,
    settings: Arc<BackupSettings>,
    /// With the key that opens the store, unless it is the server's.
    key_file: Option<PathBuf>,
    project: Project,
    clock: SharedClock,
    rng: SharedRng,
}

/// What came of looking.
enum Looked {
    /// What is wrong with the last drill.
    Done(Option<String>),
    /// A drill was due and could not run, or its result is not kept.
    Failed(CannotRun),
}

impl Turns for Work {
    async fn turn(&self) -> Turned {
        let why = |error: CannotRun| format!("no scheduled drill was run: {error}");
        // What could not be looked at is looked at again soon; a drill that could not run takes its time.
        match self.look().await {
            Ok(Looked::Done(trouble)) => Turned { trouble, pause: PAUSE },
            Ok(Looked::Failed(error)) => Turned::failed(why(error), RETRY),
            Err(error) => Turned::failed(why(error), PAUSE),
        }
    }
}

impl Work {
    /// Runs a drill if it is time.
    async fn look(&self) -> Result<Looked, CannotRun> {
        // Whether the database answers is a check of its own.
        if !state::read(&self.control, &self.source.slot).await.is_ok_and(|state| state.has_slot) {
            return Ok(Looked::Done(None));
        }
        let store = Store::open(&self.settings, &self.project, self.clock.clone(), self.rng.clone()).await?;
        let mut listed = store.list().await?;
        if self.is_due(&listed)
            && let Some(_lock) = alone(&self.source, LOCK).await?
        {
            // Whoever had it may have run the drill meanwhile.
            listed = store.list().await?;
            if self.is_due(&listed) {
                let began = self.clock.now();
                if let Err(error) = self.drill().await {
                    return Ok(Looked::Failed(error));
                }
                listed = store.list().await?;
                if !is_recorded(&listed, began) {
                    return Ok(Looked::Failed(unrecorded(&store)));
                }
            }
        }
        self.show(&listed)?;
        Ok(Looked::Done(last(&listed).filter(|record| !record.good).map(|_| {
            "the last drill has failed: `rowhouse drill list` names its report; run `rowhouse drill run` once it is mended"
                .to_owned()
        })))
    }

    fn is_due(&self, listed: &[Listed]) -> bool {
        is_due(&self.cron, listed, self.clock.now())
    }

    /// A drill that finds something wrong has run: its record says so.
    async fn drill(&self) -> Result<(), CannotRun> {
        let mut command = Command::new(own_program()?);
        command.args(["drill", "run", "--json", "--dir"]).arg(self.project.root());
        if let Some(file) = &self.key_file {
            command.arg("--escrow-key").arg(file);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        let late = |_| CannotRun::because(format!("not done within {LIMIT:?}"));
        let output = tokio::time::timeout(LIMIT, command.output()).await.map_err(late)??;
        match output.status.code() {
            Some(0) => Ok(()),
            Some(1) => {
                tracing::warn!("the scheduled drill has failed: `rowhouse drill list` names its report");
                Ok(())
            }
            _ => {
                let said = String::from_utf8_lossy(&output.stderr);
                Err(CannotRun::because(said.lines().next_back().unwrap_or("it was killed").to_owned()))
            }
        }
    }

    fn show(&self, listed: &[Listed]) -> Result<(), CannotRun> {
        let drills = reports(&self.project, &self.settings, &self.rng)?;
        let good: Vec<_> = drills
            .iter()
            .filter(|(report, signed)| report.is_good && *signed)
            .map(|(report, _)| report)
            .collect();
        let sizes: Vec<_> =
            listed.iter().filter_map(Listed::manifest).map(|one| (one.started_at, one.bytes())).collect();
        if let Some(forecast) = Forecast::of(&good, &sizes) {
            gauge!("rowhouse_backup_restore_forecast_seconds").set(forecast.in_30_days_seconds);
        }
        Ok(())
    }
}

fn unrecorded(store: &Store) -> CannotRun {
    CannotRun::because(format!(
        "one was run, and its result is not kept with the backup in {}: `rowhouse drill list` has its report; see that the \
         store can be written to",
        store.place()
    ))
}

/// The newest record of a drill.
fn last(listed: &[Listed]) -> Option<&Record> {
    listed.iter().filter_map(|one| one.state.drilled.as_ref()).max_by_key(|record| record.at)
}

/// Whether a drill that began then has left a record. One that has not would be due again at once.
fn is_recorded(listed: &[Listed], began: OffsetDateTime) -> bool {
    last(listed).is_some_and(|record| record.at >= began)
}

/// Whether a time of the schedule has passed since the last drill, or since there is a backup.
fn is_due(cron: &Cron, listed: &[Listed], now: OffsetDateTime) -> bool {
    let first = || listed.iter().filter_map(Listed::manifest).map(|manifest| manifest.started_at).min();
    let since = last(listed).map(|record| record.at).or_else(first);
    since.and_then(|since| cron.next_after(since)).is_some_and(|next| next <= now)
}

#[cfg(test)]
mod tests {
    use rowhouse_jobs::Cron;
    use serde_json::Value;
    use time::OffsetDateTime;
    use time::macros::datetime;

    use super::{is_due, is_recorded};
    use crate::manifest::BackupId;
    use crate::store::{BackupState, Condition, Listed, Record};

    /// A backup that was drilled then.
    fn drilled(at: OffsetDateTime) -> Listed {
        let drilled = Record { at, good: false, last_good_at: None, details: Value::Null };
        let state = BackupState { verified: None, drilled: Some(drilled) };
        let id = BackupId::at(at, [1, 2, 3]);
        Listed { id, condition: Condition::Incomplete, stored_bytes: 1, modified: at, state }
    }

    #[test]
    fn drill_whose_result_the_store_has_not_kept_counts_as_failed() {
        let (before, began) = (datetime!(2026-11-01 04:00 UTC), datetime!(2026-12-01 04:00 UTC));
        assert!(!is_recorded(&[], began));
        assert!(!is_recorded(&[drilled(before)], began), "that is the last one");
        assert!(is_recorded(&[drilled(before), drilled(datetime!(2026-12-01 04:07 UTC))], began));
    }

    #[test]
    fn drill_is_due_once_a_month_has_begun_since_the_last_whatever_came_of_it() {
        let cron = Cron::parse("0 4 1 * *", "UTC").unwrap();
        let one = drilled(datetime!(2026-11-28 02:00 UTC));
        assert!(!is_due(&cron, std::slice::from_ref(&one), datetime!(2026-12-01 03:59 UTC)));
        assert!(is_due(&cron, &[one], datetime!(2026-12-01 04:00 UTC)));
        assert!(!is_due(&cron, &[], datetime!(2026-12-01 04:00 UTC)), "there is nothing to restore");
    }
}
