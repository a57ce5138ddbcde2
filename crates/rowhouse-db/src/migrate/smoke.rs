//! Around a run: a named restore point before it, and queries after it that have to succeed.

use std::time::Duration;

use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};

use super::ledger::MigrationKind;
use super::{MigrateError, Migration};
use crate::error::DbError;
use crate::session::PROJECT_SEARCH_PATH;

/// How long a query may take.
const TIME_LIMIT: Duration = Duration::from_secs(60);
/// The login may not, or the server keeps too little WAL for it.
const NOT_POSSIBLE: [&str; 2] = ["42501", "55000"];

/// A point to which a backup can be restored.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct RestorePoint {
    /// Its name, for `recovery_target_name`.
    pub name: String,
    /// Where it is in the WAL.
    pub lsn: String,
}

/// Names the moment before `first` is applied; none where the login may not, or the server cannot.
///
/// # Errors
/// The database's.
pub async fn restore_point(client: &Client, first: &str) -> Result<Option<RestorePoint>, DbError> {
    let stem = first.trim_end_matches(".sql");
    let point = client.query_one(include_str!("../../sql/restore_point.sql"), &[&stem]).await;
    match point.map_err(DbError::from) {
        Ok(row) => Ok(Some(RestorePoint { name: row.get(0), lsn: row.get(1) })),
        Err(error) if error.code().is_some_and(|code| NOT_POSSIBLE.contains(&code)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A query of a migration, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Smoke {
    /// The migration's file name.
    pub migration: String,
    /// Line of the file, from 1.
    pub line: usize,
    /// Its SQL.
    pub sql: String,
    /// Why it failed; none if it succeeded.
    pub error: Option<String>,
}

/// Runs the queries of all the migrations, as the role that they run as, in transactions that cannot write. One fails by an
/// error, and by `false` or null as its first value.
///
/// # Errors
/// The database's; a failing query is a result.
pub async fn smoke(client: &Client, migrations: &[Migration]) -> Result<Vec<Smoke>, MigrateError> {
    let mut smokes = Vec::new();
    for migration in migrations {
        for (line, sql) in migration.smokes() {
            let begin = format!(
                "begin read only; {PROJECT_SEARCH_PATH}; set local role {}; set local statement_timeout = {}",
                MigrationKind::Project.role(),
                TIME_LIMIT.as_millis()
            );
            client.batch_execute(&begin).await?;
            let answer = client.query(sql, &[]).await;
            client.batch_execute("rollback").await?;
            let error = match answer {
                Ok(rows) if rows.first().is_some_and(is_false) => Some("the answer is not true".to_owned()),
                Ok(_) => None,
                Err(error) => Some(DbError::from(error).to_string()),
            };
            smokes.push(Smoke { migration: migration.name.clone(), line, sql: sql.to_owned(), error });
        }
    }
    Ok(smokes)
}

/// Whether the first value is a boolean, and not true.
fn is_false(row: &Row) -> bool {
    let is_boolean = row.columns().first().is_some_and(|column| *column.type_() == Type::BOOL);
    is_boolean && row.get::<_, Option<bool>>(0) != Some(true)
}

/// Keeps in the ledger what came of the queries after the run that applied these. Once they succeed, no earlier run is a failed one.
///
/// # Errors
/// The database's.
pub async fn record_smoke(client: &Client, names: &[String], has_passed: bool) -> Result<(), DbError> {
    let sql = "update rowhouse.migrations set smoke = $2 where kind = 'project'
               and (name = any ($1) or $2 = 'passed' and smoke = 'failed')";
    let smoke = if has_passed { "passed" } else { "failed" };
    client.execute(sql, &[&names, &smoke]).await?;
    Ok(())
}
