//! The table of applied migrations.

use tokio_postgres::Client;

use super::Migration;

/// Whose migrations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MigrationKind {
    Platform,
    Project,
    /// Development data, loaded once.
    Seed,
}

impl MigrationKind {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Platform => "platform",
            Self::Project => "project",
            Self::Seed => "seed",
        }
    }

    /// The role that owns what they create.
    pub(super) const fn role(self) -> &'static str {
        match self {
            Self::Platform => "rowhouse_owner",
            Self::Project => "rowhouse_project",
            // inserts into the platform's tables too
            Self::Seed => "rowhouse",
        }
    }
}

/// What lint said before a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Linted {
    /// Nobody asked it.
    #[default]
    NotAsked,
    /// It found no error.
    Passed,
    /// It found errors, which refuse nothing in development.
    Failed,
    /// It was left out on purpose.
    Skipped,
}

impl Linted {
    const fn as_str(self) -> Option<&'static str> {
        match self {
            Self::NotAsked => None,
            Self::Passed => Some("passed"),
            Self::Failed => Some("failed"),
            Self::Skipped => Some("skipped"),
        }
    }
}

/// What the ledger keeps about a run besides its files.
#[derive(Debug, Clone, Default)]
pub struct RunNote {
    /// Who runs it; empty: the login alone.
    pub by: String,
    /// What lint said.
    pub linted: Linted,
}

/// One row of the ledger.
#[derive(Debug)]
pub(super) struct Applied {
    pub(super) name: String,
    pub(super) checksum: String,
    pub(super) record: Record,
}

/// Who applied a migration, and when.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Record {
    /// When, in UTC.
    pub applied_at: String,
    /// Who: the login, and the account of the operator where it is known.
    pub applied_by: String,
    /// How long it took.
    pub millis: Option<i64>,
    /// `passed`, `failed` (in development) or `skipped`; none where nobody asked.
    pub lint: Option<String>,
    /// `passed` or `failed`, of the smoke queries after the run; none where there were none.
    pub smoke: Option<String>,
}

/// Creates schema and table when they are not there. The ledger cannot be a migration itself.
pub(super) async fn ensure(client: &Client) -> Result<(), tokio_postgres::Error> {
    client.batch_execute(include_str!("../../sql/ledger.sql")).await
}

/// What has been applied; nothing where the table is not there.
pub(super) async fn find(
    client: &Client,
    kind: MigrationKind,
) -> Result<Vec<Applied>, tokio_postgres::Error> {
    // Looked up in the catalog: to_regclass would fail for roles without usage on the schema.
    let there = "select exists (select from pg_class where relname = 'migrations' and relnamespace = (
        select oid from pg_namespace where nspname = 'rowhouse'))";
    match client.query_one(there, &[]).await?.get(0) {
        true => read(client, kind).await,
        false => Ok(Vec::new()),
    }
}

pub(super) async fn read(
    client: &Client,
    kind: MigrationKind,
) -> Result<Vec<Applied>, tokio_postgres::Error> {
    let sql = "select name, checksum, to_char(applied_at at time zone 'utc', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), applied_by,
        millis, lint, smoke from rowhouse.migrations where kind = $1 order by name";
    let rows = client.query(sql, &[&kind.as_str()]).await?;
    let applied = |row: &tokio_postgres::Row| Applied {
        name: row.get(0),
        checksum: row.get(1),
        record: Record {
            applied_at: row.get(2),
            applied_by: row.get(3),
            millis: row.get(4),
            lint: row.get(5),
            smoke: row.get(6),
        },
    };
    Ok(rows.iter().map(applied).collect())
}

pub(super) async fn record(
    client: &Client,
    kind: MigrationKind,
    migration: &Migration,
    millis: i64,
    note: &RunNote,
) -> Result<(), tokio_postgres::Error> {
    let sql =
        "insert into rowhouse.migrations (kind, name, checksum, program_version, applied_by, millis, lint)
        values ($1, $2, $3, $4, concat_ws(' ', session_user, nullif($5, '')), $6, $7)";
    let (version, checksum) = (env!("CARGO_PKG_VERSION"), migration.checksum());
    let lint = note.linted.as_str();
    client
        .execute(sql, &[&kind.as_str(), &migration.name, &checksum, &version, &note.by, &millis, &lint])
        .await
        .map(drop)
}

/// Of a migration that has been taken back.
pub(super) async fn remove(
    client: &Client,
    kind: MigrationKind,
    name: &str,
) -> Result<(), tokio_postgres::Error> {
    let sql = "delete from rowhouse.migrations where kind = $1 and name = $2";
    client.execute(sql, &[&kind.as_str(), &name]).await.map(drop)
}
