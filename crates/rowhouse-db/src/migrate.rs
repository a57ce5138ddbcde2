//! The migration runner: forward-only, checksummed, applied once however many starters race.
//!
//! Platform migrations come embedded from the crates; project migrations from the project's folder. Which
//! statements they hold is no concern of this file.

mod ledger;
mod source;

use std::time::Instant;

use tokio_postgres::Client;

pub use source::{Migration, SourceError, Statement, read_project};

use crate::error::DbError;
use crate::migrate::ledger::{Applied, Kind};

/// Held while migrations are looked at and applied; the number spells "rowhouse".
const ADVISORY_LOCK: i64 = 0x726f_7768_6f75_7365;

/// Why migrations were not applied.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// An applied migration's text is no longer what was applied.
    #[error(
        "{kind} migration {name} was changed after it was applied; restore its text and add a new migration instead"
    )]
    Drift {
        /// "platform" or "project".
        kind: &'static str,
        /// Its file name.
        name: String,
    },
    /// The database has a platform migration that this program does not know.
    #[error("the database has platform migration {0}, which this version does not know; use a newer version")]
    Newer(String),
    /// The database lacks a platform migration and may not be changed.
    #[error(
        "platform migration {0} is not applied; run `rowhouse migrate up`, or set db.apply_migrations = true"
    )]
    Pending(String),
    /// A project migration that was applied is gone from the folder.
    #[error(
        "project migration {0} was applied and is missing from the migrations folder; bring the file back"
    )]
    Missing(String),
    /// A project migration sorts before one that is applied already.
    #[error(
        "project migration {name} sorts before {last}, which is applied already; give it a later time stamp"
    )]
    OutOfOrder {
        /// The late one.
        name: String,
        /// The newest applied one.
        last: String,
    },
    /// PostgreSQL refused a statement; that migration is rolled back, those before it stay.
    #[error("migration {name} failed: {cause}{}", place(.line))]
    Failed {
        /// Its file name.
        name: String,
        /// What PostgreSQL said.
        cause: DbError,
        /// Line of the file, when PostgreSQL named a position.
        line: Option<usize>,
    },
    /// The ledger could not be read or written.
    #[error(transparent)]
    Database(#[from] DbError),
}

impl From<tokio_postgres::Error> for MigrateError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Database(error.into())
    }
}

fn place(line: &Option<usize>) -> String {
    line.map(|line| format!(" (line {line})")).unwrap_or_default()
}

/// One step of a finished run, or of a plan.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Step {
    /// File name without folder.
    pub name: String,
    /// How long it took; absent in a plan.
    pub millis: Option<u64>,
}

/// Applies the platform's migrations as `rowhouse_owner`.
///
/// # Errors
/// See [`MigrateError`].
pub async fn apply_platform(client: &Client, migrations: &[Migration]) -> Result<Vec<Step>, MigrateError> {
    locked(client, async || {
        ledger::ensure(client).await?;
        let applied = ledger::read(client, Kind::Platform).await?;
        if let Some(unknown) = applied.iter().find(|a| migrations.iter().all(|m| m.name != a.name)) {
            return Err(MigrateError::Newer(unknown.name.clone()));
        }
        apply(client, Kind::Platform, migrations, &applied).await
    })
    .await
}

/// Refuses a database that lacks platform migrations, or has some this program does not know.
///
/// # Errors
/// [`MigrateError::Pending`], [`MigrateError::Newer`], [`MigrateError::Drift`].
pub async fn require_platform(client: &Client, migrations: &[Migration]) -> Result<(), MigrateError> {
    let there: bool =
        client.query_one("select to_regclass('rowhouse.migrations') is not null", &[]).await?.get(0);
    let applied = if there { ledger::read(client, Kind::Platform).await? } else { Vec::new() };
    if let Some(unknown) = applied.iter().find(|a| migrations.iter().all(|m| m.name != a.name)) {
        return Err(MigrateError::Newer(unknown.name.clone()));
    }
    if let Some(pending) = first_pending(migrations, &applied) {
        return Err(MigrateError::Pending(pending.name.clone()));
    }
    match applied.iter().zip(migrations).find(|(a, m)| a.checksum != m.checksum()) {
        Some((changed, _)) => Err(MigrateError::Drift { kind: "platform", name: changed.name.clone() }),
        None => Ok(()),
    }
}

/// Applies the project's migrations as `rowhouse_project`.
///
/// # Errors
/// See [`MigrateError`].
pub async fn apply_project(client: &Client, migrations: &[Migration]) -> Result<Vec<Step>, MigrateError> {
    locked(client, async || {
        let applied = ledger::read(client, Kind::Project).await?;
        if let Some(missing) = applied.iter().find(|a| migrations.iter().all(|m| m.name != a.name)) {
            return Err(MigrateError::Missing(missing.name.clone()));
        }
        if let (Some(last), Some(late)) = (applied.last(), first_pending(migrations, &applied))
            && late.name < last.name
        {
            return Err(MigrateError::OutOfOrder { name: late.name.clone(), last: last.name.clone() });
        }
        let steps = apply(client, Kind::Project, migrations, &applied).await?;
        if !steps.is_empty() {
            client.batch_execute("notify pgrst, 'reload schema'").await?;
        }
        Ok(steps)
    })
    .await
}

/// Loads development data unless that has happened before in this database; true if it did now. Without data the
/// occasion is noted as well, so that a seed written later does not surprise.
///
/// # Errors
/// See [`MigrateError`].
pub async fn apply_seed(client: &Client, seed: Option<String>) -> Result<bool, MigrateError> {
    let seed = Migration { name: "seed.sql".to_owned(), sql: seed.unwrap_or_default() };
    locked(client, async || {
        if !ledger::read(client, Kind::Seed).await?.is_empty() {
            return Ok(false);
        }
        apply_one(client, Kind::Seed, &seed).await?;
        Ok(!seed.sql.is_empty())
    })
    .await
}

/// The project's migrations with whether each is applied.
///
/// # Errors
/// See [`MigrateError`].
pub async fn project_status(
    client: &Client,
    migrations: &[Migration],
) -> Result<Vec<(String, bool)>, MigrateError> {
    ledger::ensure(client).await?;
    let applied = ledger::read(client, Kind::Project).await?;
    let status = migrations.iter().map(|m| (m.name.clone(), applied.iter().any(|a| a.name == m.name)));
    Ok(status.collect())
}

fn first_pending<'a>(migrations: &'a [Migration], applied: &[Applied]) -> Option<&'a Migration> {
    migrations.iter().find(|m| applied.iter().all(|a| a.name != m.name))
}

async fn locked<T>(
    client: &Client,
    work: impl AsyncFnOnce() -> Result<T, MigrateError>,
) -> Result<T, MigrateError> {
    client.execute("select pg_advisory_lock($1)", &[&ADVISORY_LOCK]).await?;
    let result = work().await;
    client.execute("select pg_advisory_unlock($1)", &[&ADVISORY_LOCK]).await?;
    result
}

async fn apply(
    client: &Client,
    kind: Kind,
    migrations: &[Migration],
    applied: &[Applied],
) -> Result<Vec<Step>, MigrateError> {
    let mut steps = Vec::new();
    for migration in migrations {
        match applied.iter().find(|a| a.name == migration.name) {
            Some(found) if found.checksum != migration.checksum() => {
                return Err(MigrateError::Drift { kind: kind.as_str(), name: migration.name.clone() });
            }
            Some(_) => {}
            None => steps.push(apply_one(client, kind, migration).await?),
        }
    }
    Ok(steps)
}

async fn apply_one(client: &Client, kind: Kind, migration: &Migration) -> Result<Step, MigrateError> {
    let started = Instant::now();
    if let Err(error) = run(client, kind, migration).await {
        let line = error.as_db_error().and_then(|e| e.position()).and_then(|p| migration.line_at(p));
        // Outside a transaction this is a warning, nothing more.
        let _ended_already = client.batch_execute("rollback; reset role; reset all").await;
        return Err(MigrateError::Failed { name: migration.name.clone(), cause: error.into(), line });
    }
    let millis = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    tracing::info!(kind = kind.as_str(), name = migration.name, millis, "migration applied");
    Ok(Step { name: migration.name.clone(), millis: Some(millis) })
}

/// Text and ledger row commit together, unless the file asks to run outside a transaction.
async fn run(client: &Client, kind: Kind, migration: &Migration) -> Result<(), tokio_postgres::Error> {
    let (begin, commit) = if migration.is_transactional() { ("begin", "commit") } else { ("", "") };
    client.batch_execute(&format!("{begin}; set role {}", kind.role())).await?;
    client.batch_execute(&migration.sql).await?;
    client.batch_execute("reset role").await?;
    ledger::record(client, kind, migration).await?;
    // What a text sets for its session must not decide what the next one means.
    client.batch_execute(&format!("{commit}; reset all")).await
}
