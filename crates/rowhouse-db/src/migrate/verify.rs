//! Whether the database is what its migrations say: all applied, their conditions true, nothing changed beside them.

use std::time::Duration;

use tokio_postgres::Client;

use super::ledger::MigrationKind;
use super::object::{self, SchemaDrift};
use super::{MigrateError, Migration, checked, pending};
use crate::error::DbError;
use crate::session::{PROJECT_SEARCH_PATH, SET_SEARCH_PATH};

/// How long a condition may take.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Verified {
    /// Migrations that are not applied.
    pub pending: Vec<String>,
    /// Every condition of the applied ones.
    pub conditions: Vec<Condition>,
    /// What was changed beside the migrations.
    pub drift: Vec<SchemaDrift>,
}

/// A condition of a migration, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Condition {
    /// The migration's file name.
    pub migration: String,
    /// Line of the file, from 1.
    pub line: usize,
    /// Its SQL.
    pub sql: String,
    /// True, false, or unknown: null or an error.
    pub holds: Option<bool>,
    /// Why it is unknown.
    pub error: Option<String>,
}

impl Verified {
    /// Nothing is pending, every condition is true, and nothing has drifted.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.pending.is_empty()
            && self.drift.is_empty()
            && self.conditions.iter().all(|condition| condition.holds == Some(true))
    }
}

/// Reads, and changes nothing.
///
/// # Errors
/// Those of [`super::plan`]: a changed or missing file is an error of its own.
pub async fn verify(
    client: &Client,
    platform: &[Migration],
    project: &[Migration],
) -> Result<Verified, MigrateError> {
    let mut missing: Vec<String> = Vec::new();
    for (kind, migrations) in [(MigrationKind::Platform, platform), (MigrationKind::Project, project)] {
        let applied = checked(client, kind, migrations).await?;
        missing.extend(pending(migrations, &applied).map(|migration| migration.name.clone()));
    }
    client.batch_execute(&format!("begin read only; {SET_SEARCH_PATH}")).await?;
    let drift = object::drift(client).await;
    client.batch_execute("rollback").await?;
    let mut conditions = Vec::new();
    for migration in project.iter().filter(|migration| !missing.contains(&migration.name)) {
        for (line, sql) in migration.conditions() {
            conditions.push(condition(client, migration, line, sql).await?);
        }
    }
    Ok(Verified { pending: missing, conditions, drift: drift? })
}

/// As the role that migrations run as, which sees all rows, in a transaction that cannot write.
async fn condition(
    client: &Client,
    migration: &Migration,
    line: usize,
    sql: &str,
) -> Result<Condition, MigrateError> {
    let begin = format!(
        "begin read only; {PROJECT_SEARCH_PATH}; set local role {}; set local statement_timeout = {}",
        MigrationKind::Project.role(),
        TIME_LIMIT.as_millis()
    );
    client.batch_execute(&begin).await?;
    let answer = client.query_one(&format!("select ({sql})::boolean"), &[]).await;
    client.batch_execute("rollback").await?;
    let (holds, error) = match answer {
        Ok(row) => (row.get(0), None),
        Err(error) => (None, Some(DbError::from(error).to_string())),
    };
    Ok(Condition { migration: migration.name.clone(), line, sql: sql.to_owned(), holds, error })
}
