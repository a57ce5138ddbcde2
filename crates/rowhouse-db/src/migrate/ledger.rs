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

/// One row of the ledger.
#[derive(Debug)]
pub(super) struct Applied {
    pub(super) name: String,
    pub(super) checksum: String,
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
    let sql = "select name, checksum from rowhouse.migrations where kind = $1 order by name";
    let rows = client.query(sql, &[&kind.as_str()]).await?;
    Ok(rows.iter().map(|row| Applied { name: row.get(0), checksum: row.get(1) }).collect())
}

pub(super) async fn record(
    client: &Client,
    kind: MigrationKind,
    migration: &Migration,
) -> Result<(), tokio_postgres::Error> {
    let sql =
        "insert into rowhouse.migrations (kind, name, checksum, program_version) values ($1, $2, $3, $4)";
    let version = env!("CARGO_PKG_VERSION");
    client.execute(sql, &[&kind.as_str(), &migration.name, &migration.checksum(), &version]).await.map(drop)
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
