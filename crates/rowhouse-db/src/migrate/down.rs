//! Takes project migrations back, newest first, by the files `…name.down.sql`.

use std::path::Path;

use tokio_postgres::Client;

use super::ledger::{MigrationKind, RunNote};
use super::run::{self, Direction};
use super::script::split;
use super::source::{DOWN, read_down};
use super::{MigrateError, Migration, Step, checked, exclusive};

/// Which migrations are taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DownTarget {
    /// So many, the newest first.
    Steps(usize),
    /// All that were applied after this one; its name with or without `.sql`.
    To(String),
}

/// The files that take the migrations back, in order. All of them are read and checked before the first one runs.
///
/// # Errors
/// [`MigrateError::NoWayBack`], [`MigrateError::NotApplied`], and those of [`super::plan`].
pub async fn plan_down(
    client: &Client,
    folder: &Path,
    migrations: &[Migration],
    target: &DownTarget,
) -> Result<Vec<Migration>, MigrateError> {
    let applied = checked(client, MigrationKind::Project, migrations).await?;
    let names: Vec<&str> = applied.iter().map(|row| row.name.as_str()).collect();
    let count = match target {
        DownTarget::Steps(count) => (*count).min(names.len()),
        DownTarget::To(name) => after(&names, name)?,
    };
    let budget =
        |name: &str| migrations.iter().find(|migration| migration.name == name).map(|m| m.standard_budget);
    let files = names.iter().rev().take(count).map(|name| {
        let file = way_back(folder, name)?;
        Ok(match budget(name) {
            Some(budget) => file.with_lock_budget(budget),
            None => file,
        })
    });
    files.collect()
}

/// Runs them; each removes its migration from the ledger in the same transaction.
///
/// # Errors
/// See [`MigrateError`].
pub async fn take_back(client: &Client, files: &[Migration]) -> Result<Vec<Step>, MigrateError> {
    exclusive(client, async || {
        let steps =
            run::all(client, MigrationKind::Project, Direction::Down, files.iter(), &RunNote::default())
                .await?;
        if !steps.is_empty() {
            client.batch_execute("notify pgrst, 'reload schema'").await?;
        }
        Ok(steps)
    })
    .await
}

/// How many were applied after the one that stays.
fn after(names: &[&str], stays: &str) -> Result<usize, MigrateError> {
    match names.iter().position(|name| *name == stays || name.strip_suffix(".sql") == Some(stays)) {
        Some(at) => Ok(names.len() - at - 1),
        None => Err(MigrateError::NotApplied(stays.to_owned())),
    }
}

fn way_back(folder: &Path, name: &str) -> Result<Migration, MigrateError> {
    // A file without a statement, as `migrate new` writes it, is none.
    let found = read_down(folder, name).map_err(|error| MigrateError::Unreadable(error.to_string()))?;
    let file = found.filter(|file| !split(&file.sql).is_empty()).ok_or_else(|| {
        MigrateError::NoWayBack(name.to_owned(), format!("{}{DOWN}", name.trim_end_matches(".sql")))
    })?;
    file.check()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_behind_the_named_one_are_counted() {
        let names = ["20260101000000_a.sql", "20260102000000_b.sql", "20260103000000_c.sql"];
        assert_eq!(after(&names, "20260101000000_a").unwrap(), 2);
        assert_eq!(after(&names, "20260103000000_c.sql").unwrap(), 0);
        assert!(matches!(after(&names, "20260104000000_d"), Err(MigrateError::NotApplied(_))));
    }
}
