//! The migration runner: checksummed, applied once even if several processes start at the same time, and taken back by files
//! of the project.
//!
//! Platform migrations come embedded from the crates; project migrations from the project's folder. Their content is
//! left to the crates and the project.

mod down;
mod error;
mod extension;
mod follow;
mod ledger;
mod lock;
mod object;
mod run;
mod script;
mod source;
mod verify;
mod watch;

use tokio_postgres::Client;

pub use down::{DownTarget, plan_down, take_back};
pub use error::{MigrateError, RefusedStatement};
pub use extension::create_extensions;
pub use follow::{Process, database_time, wait_for_processes};
pub use lock::exclusive;
pub use object::{ObjectChange, SchemaDrift};
pub use source::{Migration, SourceError, Statement, read_project};
pub use verify::{Condition, Verified, verify};
pub use watch::watched;

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
        apply(client, MigrationKind::Platform, migrations).await
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
    exclusive(client, async || {
        checked(client, MigrationKind::Project, migrations).await?;
        create_extensions(client, migrations).await?;
        object::record_given(client).await?;
        let steps = apply(client, MigrationKind::Project, migrations).await?;
        if !steps.is_empty() {
            client.batch_execute("notify pgrst, 'reload schema'").await?;
        }
        Ok(steps)
    })
    .await
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
        run::all(client, MigrationKind::Seed, Direction::Up, std::iter::once(&seed)).await?;
        Ok(!seed.sql.is_empty())
    })
    .await
}

async fn apply(
    client: &Client,
    kind: MigrationKind,
    migrations: &[Migration],
) -> Result<Vec<Step>, MigrateError> {
    let applied = checked(client, kind, migrations).await?;
    run::all(client, kind, Direction::Up, pending(migrations, &applied)).await
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
    let is_applied = |name: &str| applied.iter().any(|a| a.name == name);
    migrations.iter().map(|m| Planned { name: m.name.clone(), applied: is_applied(&m.name) }).collect()
}
