//! The migration runner: checksummed, applied once even if several processes start at the same time, and taken back by files
//! of the project.
//!
//! Platform migrations come embedded from the crates; project migrations from the project's folder. Their content is
//! left to the crates and the project.

mod directive;
mod down;
mod error;
mod extension;
mod follow;
mod header;
mod ledger;
mod lock;
mod object;
mod repair;
mod round_trip;
mod run;
mod script;
mod settings;
mod smoke;
mod source;
mod trace;
mod verify;
mod watch;

use tokio_postgres::Client;

pub use directive::BadDirective;
pub use down::{DownTarget, plan_down, take_back};
pub use error::{MigrateError, RefusedStatement};
pub use extension::create_extensions;
pub use follow::{Process, database_time, wait_for_processes};
pub use header::Phase;
pub use ledger::{Linted, Record, RunNote};
pub use lock::exclusive;
pub use object::{ObjectChange, SchemaDrift, adjust, fingerprint};
pub use round_trip::{FileTrip, TripOutcome, round_trip};
pub use settings::MigrateSettings;
pub use smoke::{RestorePoint, Smoke, record_smoke, restore_point, smoke};
pub use source::{Migration, SourceError, Statement, read_project};
pub use trace::{FileTrace, HeldLock, Measured, StatementTrace, TableRows, TableTrace, copy_rows, trace};
pub use verify::{Condition, Verified, verify};
pub use watch::{Progress, watched};

use crate::migrate::ledger::{Applied, MigrationKind};
use crate::migrate::run::Direction;

/// One step of a finished run.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Step {
    /// File name without folder.
    pub name: String,
    /// How long it took.
    pub millis: Option<u64>,
}

/// A migration, and whether it is applied.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Planned {
    /// File name without folder.
    pub name: String,
    /// Whether it is applied.
    pub applied: bool,
    /// Who applied it, and when; none while it is pending.
    pub record: Option<Record>,
    /// Its part in a larger change, if it says so.
    pub phase: Option<Phase>,
    /// Whether it says that it can be taken back.
    pub reversible: Option<bool>,
    /// How long it may hold others up, in milliseconds.
    pub lock_budget_millis: u64,
}

/// The dry run of applying.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Plan {
    /// The platform's migrations.
    pub platform: Vec<Planned>,
    /// The project's.
    pub project: Vec<Planned>,
    /// Extensions that would be created before.
    pub extensions: Vec<String>,
}

impl Plan {
    /// What would be applied, in order.
    pub fn pending(&self) -> impl Iterator<Item = &str> {
        let all = self.platform.iter().chain(&self.project);
        all.filter(|migration| !migration.applied).map(|migration| migration.name.as_str())
    }
}

/// Makes the checks of [`apply_platform`] and [`apply_project`], and changes nothing.
///
/// # Errors
/// See [`MigrateError`].
pub async fn plan(
    client: &Client,
    platform: &[Migration],
    project: &[Migration],
) -> Result<Plan, MigrateError> {
    let missing = extension::missing(client, project).await?;
    Ok(Plan {
        platform: planned(platform, &checked(client, MigrationKind::Platform, platform).await?),
        project: planned(project, &checked(client, MigrationKind::Project, project).await?),
        extensions: missing.into_iter().map(|(_, name)| name).collect(),
    })
}

/// Applies the platform's migrations as `rowhouse_owner`.
///
/// # Errors
/// See [`MigrateError`].
pub async fn apply_platform(client: &Client, migrations: &[Migration]) -> Result<Vec<Step>, MigrateError> {
    exclusive(client, async || {
        ledger::ensure(client).await?;
        apply(client, MigrationKind::Platform, migrations, &RunNote::default()).await
    })
    .await
}

/// Refuses a database that lacks platform migrations, or has some this program does not know.
///
/// # Errors
/// [`MigrateError::Pending`], [`MigrateError::Newer`], [`MigrateError::Drift`].
pub async fn require_platform(client: &Client, migrations: &[Migration]) -> Result<(), MigrateError> {
    let applied = checked(client, MigrationKind::Platform, migrations).await?;
    match pending(migrations, &applied).next() {
        Some(pending) => Err(MigrateError::Pending(pending.name.clone())),
        None => Ok(()),
    }
}

/// Applies the project's migrations as `rowhouse_project`.
///
/// # Errors
/// See [`MigrateError`].
pub async fn apply_project(client: &Client, migrations: &[Migration]) -> Result<Vec<Step>, MigrateError> {
    apply_project_noted(client, migrations, &RunNote::default()).await
}

/// The same, with what the ledger keeps about the run.
///
/// # Errors
/// See [`MigrateError`].
pub async fn apply_project_noted(
    client: &Client,
    migrations: &[Migration],
    note: &RunNote,
) -> Result<Vec<Step>, MigrateError> {
    exclusive(client, async || {
        checked(client, MigrationKind::Project, migrations).await?;
        create_extensions(client, migrations).await?;
        object::record_given(client).await?;
        let steps = apply(client, MigrationKind::Project, migrations, note).await?;
        if !steps.is_empty() {
            client.batch_execute("notify pgrst, 'reload schema'").await?;
        }
        Ok(steps)
    })
    .await
}

/// Records a file whose objects are there already, in a database where none of the project's is applied.
///
/// # Errors
/// See [`MigrateError`].
pub async fn record_applied(client: &Client, migration: &Migration) -> Result<(), MigrateError> {
    exclusive(client, async || {
        let alone = std::slice::from_ref(migration);
        checked(client, MigrationKind::Project, alone).await?;
        object::record_present(client).await?;
        Ok(ledger::record(client, MigrationKind::Project, migration, 0, &RunNote::default()).await?)
    })
    .await
}

/// How the project's objects in one database differ from those that another one gives.
///
/// # Errors
/// The database's.
pub async fn difference(given: &Client, found: &Client) -> Result<Vec<SchemaDrift>, MigrateError> {
    Ok(object::compare(&object::of_session(given).await?, &object::of_session(found).await?))
}

/// Loads development data once per database; true if it did now. Without data that is recorded as well, so that a
/// seed written later is not applied unexpectedly.
///
/// # Errors
/// See [`MigrateError`].
pub async fn apply_seed(client: &Client, seed: Option<String>) -> Result<bool, MigrateError> {
    let seed = Migration::new("seed.sql", &seed.unwrap_or_default());
    exclusive(client, async || {
        if !ledger::read(client, MigrationKind::Seed).await?.is_empty() {
            return Ok(false);
        }
        seed.check()?;
        let note = RunNote::default();
        run::all(client, MigrationKind::Seed, Direction::Up, std::iter::once(&seed), &note).await?;
        Ok(!seed.sql.is_empty())
    })
    .await
}

async fn apply(
    client: &Client,
    kind: MigrationKind,
    migrations: &[Migration],
    note: &RunNote,
) -> Result<Vec<Step>, MigrateError> {
    let applied = checked(client, kind, migrations).await?;
    run::all(client, kind, Direction::Up, pending(migrations, &applied), note).await
}

/// The applied migrations, if they agree with `migrations` and the rest can be applied.
async fn checked(
    client: &Client,
    kind: MigrationKind,
    migrations: &[Migration],
) -> Result<Vec<Applied>, MigrateError> {
    let applied = ledger::find(client, kind).await?;
    if let Some(unknown) = applied.iter().find(|a| migrations.iter().all(|m| m.name != a.name)) {
        let name = unknown.name.clone();
        return Err(match kind {
            MigrationKind::Platform => MigrateError::Newer(name),
            MigrationKind::Project | MigrationKind::Seed => MigrateError::Missing(name),
        });
    }
    for migration in migrations {
        let found = applied.iter().find(|a| a.name == migration.name);
        if found.is_some_and(|found| found.checksum != migration.checksum()) {
            return Err(MigrateError::Drift { kind: kind.as_str(), name: migration.name.clone() });
        }
    }
    if kind == MigrationKind::Project
        && let (Some(last), Some(late)) = (applied.last(), pending(migrations, &applied).next())
        && late.name < last.name
    {
        return Err(MigrateError::OutOfOrder { name: late.name.clone(), last: last.name.clone() });
    }
    pending(migrations, &applied).try_for_each(Migration::check)?;
    Ok(applied)
}

fn pending<'a>(migrations: &'a [Migration], applied: &[Applied]) -> impl Iterator<Item = &'a Migration> {
    migrations.iter().filter(|m| applied.iter().all(|a| a.name != m.name))
}

fn planned(migrations: &[Migration], applied: &[Applied]) -> Vec<Planned> {
    let planned = |migration: &Migration| {
        let found = applied.iter().find(|applied| applied.name == migration.name);
        Planned {
            name: migration.name.clone(),
            applied: found.is_some(),
            record: found.map(|found| found.record.clone()),
            phase: migration.phase(),
            reversible: migration.reversible(),
            lock_budget_millis: u64::try_from(migration.lock_budget().as_millis()).unwrap_or(u64::MAX),
        }
    };
    migrations.iter().map(planned).collect()
}
