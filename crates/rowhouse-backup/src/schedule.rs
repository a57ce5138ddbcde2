//! Makes a backup at the times of `backup.schedule`, reads it back and removes old ones; reports how old the last ones are.
//!
//! Leaves making it to `method`, and the times to the cron patterns of jobs.

mod age;

use std::sync::Arc;
use std::time::Duration;

use metrics::counter;
use rowhouse_db::{Control, DbError};
use rowhouse_jobs::Cron;
use rowhouse_kernel::{SharedClock, SharedRng};
use rowhouse_module::{Assembly, CannotRun, Project};
use time::OffsetDateTime;

use crate::manifest::{BackupKind, Manifest};
use crate::method::{Making, Method};
use crate::receiver::Status;
use crate::settings::{BackupMethod, BackupSettings};
use crate::source::Source;
use crate::state;
use crate::store::{Condition, Listed, Store, find_server_key};
use crate::trouble::{self, Turned, Turns, alone};

pub(crate) use age::METRICS;

/// How often the time is compared with the schedule.
const PAUSE: Duration = Duration::from_mins(1);
/// When it is tried again after a failure.
const RETRY: Duration = Duration::from_mins(10);
/// Held by whoever makes a scheduled backup; any other number would do.
const LOCK: i64 = 0x726f_7768_6261_636b;
/// A backup without a manifest is taken for one that is being made, for so long.
const UNDER_WAY: time::Duration = time::Duration::hours(6);
const LABEL: &str = "scheduled";

/// Adds the task and its health check. Without a project's folder there is nothing that could be backed up whole.
///
/// # Errors
/// If the project's secrets cannot be read, or the schedule is none.
pub(crate) fn start(assembly: &mut Assembly, status: &Arc<Status>) -> Result<(), CannotRun> {
    let origin = &assembly.origin;
    let Some(project) = origin.project.clone() else { return Ok(()) };
    let settings = origin.settings.get::<BackupSettings>();
    let source =
        Source::new(&origin.settings, Some(&project), &origin.urls.direct, &*origin.rng, &origin.clock)?;
    let work = Work {
        source,
        control: origin.database.control.clone(),
        cron: settings.cron().map_err(|why| CannotRun::because(format!("backup.schedule: {why}")))?,
        settings,
        project,
        clock: Arc::clone(&origin.clock),
        rng: Arc::clone(&origin.rng),
        status: Arc::clone(status),
    };
    // The first failure has to be an increase.
    counter!("rowhouse_backup_failures_total").absolute(0);
    trouble::start(assembly, "backup.schedule", "backup.schedule", work);
    Ok(())
}

struct Work {
    source: Source,
    control: Control,
    cron: Cron,
    settings: Arc<BackupSettings>,
    project: Project,
    clock: SharedClock,
    rng: SharedRng,
    /// The receiver's.
    status: Arc<Status>,
}

impl Turns for Work {
    async fn turn(&self) -> Turned {
        match self.make().await {
            Ok(trouble) => Turned { trouble, pause: PAUSE },
            Err(error) => {
                counter!("rowhouse_backup_failures_total").increment(1);
                Turned::failed(format!("no scheduled backup was made: {error}"), RETRY)
            }
        }
    }
}

impl Work {
    /// Makes a backup if it is time, and backups are on: the slot says so, or the settings want dumps. What is wrong with the last.
    async fn make(&self) -> Result<Option<String>, CannotRun> {
        // Whether the database answers is a check of its own.
        let has_slot = state::read(&self.control, &self.source.slot).await.is_ok_and(|state| state.has_slot);
        let method = match self.settings.method {
            BackupMethod::Logical => Some(Method::Logical { reason: "backup.method is logical".to_owned() }),
            BackupMethod::Auto | BackupMethod::Physical => has_slot.then_some(Method::Physical),
        };
        // A store that nobody has used has no key, and gets none.
        if method.is_none() && find_server_key(&self.settings, &self.project)?.is_none() {
            return Ok(None);
        }
        let store = Store::open(&self.settings, &self.project, self.clock.clone(), self.rng.clone()).await?;
        let mut listed = self.list(&store).await?;
        self.show(&listed);
        let Some(method) = method else { return Ok(None) };
        listed = of(&method, listed);
        if is_due(&self.cron, &listed, self.clock.now())
            && let Some(_lock) = alone(&self.source, LOCK).await?
        {
            // Whoever had it may have made the backup meanwhile.
            listed = of(&method, self.list(&store).await?);
            if is_due(&self.cron, &listed, self.clock.now()) {
                self.back_up(store, &method).await?;
                return Ok(None);
            }
        }
        Ok(damaged(&listed))
    }

    /// A backup counts when it has been read back.
    async fn back_up(&self, store: Store, method: &Method) -> Result<(), CannotRun> {
        let Self { settings, source, project, clock, .. } = self;
        let made = Making { settings, source, store: &store, project, clock }.create(method, LABEL).await?;
        let found = store.verify(Some(&made.id), &mut |_| {}).await?;
        if let Some(damage) = found.damage.first() {
            let (object, why) = (&damage.object, &damage.why);
            return Err(CannotRun::because(format!("backup {} was read back: {object}: {why}", made.id)));
        }
        store.prune(&self.settings, false).await?;
        self.show(&self.list(&store).await?);
        Ok(())
    }

    /// What is of this project. Where the database does not answer, which is a check of its own, every dump is taken for one.
    async fn list(&self, store: &Store) -> Result<Vec<Listed>, CannotRun> {
        let listed = store.list().await?;
        let asked = async {
            let client = self.control.connection().await?;
            Ok::<String, DbError>(client.query_one("select current_database()::text", &[]).await?.get(0))
        };
        Ok(match asked.await {
            Ok(database) => own(&database, listed),
            Err(_) => listed,
        })
    }

    /// How old backups are, also while none are made.
    fn show(&self, listed: &[Listed]) {
        age::show(listed);
        let newest =
            listed.iter().filter_map(Listed::manifest).filter_map(|manifest| manifest.start_lsn).max();
        if let Some(start) = newest {
            self.status.backed_up(start);
        }
    }
}

/// Without finished backups of the other kind: a dump before a migration is no reason to make no physical one.
fn of(method: &Method, mut listed: Vec<Listed>) -> Vec<Listed> {
    let kind = match method {
        Method::Physical => BackupKind::Physical,
        Method::Logical { .. } => BackupKind::Logical,
    };
    listed.retain(|listed| listed.manifest().is_none_or(|manifest| manifest.kind == kind));
    listed
}

/// Without dumps of other databases.
fn own(database: &str, mut listed: Vec<Listed>) -> Vec<Listed> {
    let is_own =
        |one: &Listed| one.manifest().and_then(Manifest::dumped).is_none_or(|dumped| dumped == database);
    listed.retain(is_own);
    listed
}

/// Whether a time of the schedule has passed since the last good backup began. Times that nobody was there for count once.
fn is_due(cron: &Cron, listed: &[Listed], now: OffsetDateTime) -> bool {
    let is_under_way =
        |one: &Listed| matches!(one.condition, Condition::Incomplete) && one.modified + UNDER_WAY > now;
    // One of the future was made while the clock was wrong.
    let times = listed.iter().filter_map(Listed::manifest).map(|manifest| manifest.started_at);
    match times.filter(|at| *at <= now).max() {
        Some(last) => cron.next_after(last).is_some_and(|next| next <= now),
        // The first one is made by `backup create`; an empty store may be another project's, or not mounted.
        None => !listed.is_empty() && !listed.iter().any(is_under_way),
    }
}

/// A backup in which damage was found counts for the schedule, or each attempt would add another; it is no good one.
fn damaged(listed: &[Listed]) -> Option<String> {
    let finished = listed.iter().filter(|one| one.manifest().is_some());
    let newest = finished.max_by_key(|one| one.manifest().map(|manifest| manifest.started_at))?;
    newest.is_damaged().then(|| {
        format!(
            "the newest backup, {}, is damaged: `rowhouse backup verify` says where; run `rowhouse backup create` once the \
             store is mended",
            newest.id
        )
    })
}

#[cfg(test)]
mod tests;
