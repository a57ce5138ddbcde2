//! Fills a database in which migrations are traced with the rows of the project's own tables: those that the files name, and
//! those that these refer to. Leaves larger tables than the bound to estimates.

use std::pin::pin;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio_postgres::Client;

use super::named;
use super::report::TableRows;
use crate::error::DbError;
use crate::migrate::Migration;
use crate::migrate::ledger::MigrationKind;

/// A `copy` that PostgreSQL refuses before its first row ends the connection (tokio-postgres sends one Sync too many).
const NOT_TRIED: &str = "not tried after the table before it";
/// Checks and policies are the project's functions: `reset role` in one makes it the login's, on the whole server.
const SUPERUSER: &str = "the login is a superuser, and the project's checks would run as one; let DATABASE_URL name one that is none";

/// Copies at most `most_rows` of each table from `live` into `scratch`, both connected as the project's login, by the role that
/// migrations run as: nothing of the project's runs as anybody else. A table that cannot be copied is a result.
///
/// # Errors
/// The database's.
pub async fn copy_rows(
    live: &Client,
    scratch: &Client,
    files: &[Migration],
    most_rows: u64,
) -> Result<Vec<TableRows>, DbError> {
    let tables = with_parents(scratch, &named(scratch, files).await?).await?;
    let is_refused = is_superuser(live).await? || is_superuser(scratch).await?;
    let role = MigrationKind::Project.role();
    if !is_refused {
        scratch.batch_execute(&format!("set role {role}")).await?;
    }
    let mut copied = Vec::new();
    for table in tables {
        let Some((live_rows, live_bytes)) = size(live, &table).await? else { continue };
        let result = match (is_refused, scratch.is_closed()) {
            (true, _) => Err(SUPERUSER.to_owned()),
            (false, true) => Err(NOT_TRIED.to_owned()),
            (false, false) => {
                live.batch_execute(&format!("begin read only; set local role {role}")).await?;
                let result = copy(live, scratch, &table, most_rows).await;
                live.batch_execute("rollback").await?;
                result.map_err(|error| error.to_string())
            }
        };
        let rows = result.as_ref().copied().unwrap_or(0);
        // Below the bound every row was copied.
        let live_rows = if result.is_ok() && rows < most_rows { rows } else { live_rows.max(rows) };
        copied.push(TableRows { table, rows, live_rows, live_bytes, error: result.err() });
    }
    if !scratch.is_closed() {
        scratch.batch_execute("reset role").await?;
    }
    Ok(copied)
}

async fn is_superuser(client: &Client) -> Result<bool, DbError> {
    Ok(client.query_one("select current_setting('is_superuser')::bool", &[]).await?.get(0))
}

async fn with_parents(scratch: &Client, tables: &[String]) -> Result<Vec<String>, DbError> {
    let mut ids: Vec<u32> = Vec::new();
    for table in tables {
        ids.push(scratch.query_one("select $1::text::regclass::oid", &[table]).await?.get(0));
    }
    let rows = scratch.query(include_str!("../../../sql/trace_parents.sql"), &[&ids]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Rows as PostgreSQL estimates them, and bytes; none if the project does not have the table yet. A view of that name is none.
async fn size(live: &Client, table: &str) -> Result<Option<(u64, u64)>, DbError> {
    let sql = "select greatest(c.reltuples, 0)::bigint, pg_total_relation_size(c.oid) from pg_class c where c.oid = to_regclass($1) and c.relkind in ('r', 'p')";
    let row = live.query_opt(sql, &[&table]).await?;
    let number = |row: &tokio_postgres::Row, at| u64::try_from(row.get::<_, i64>(at)).unwrap_or(0);
    Ok(row.map(|row| (number(&row, 0), number(&row, 1))))
}

/// How many rows were copied.
async fn copy(live: &Client, scratch: &Client, table: &str, most_rows: u64) -> Result<u64, DbError> {
    let (there, here) = (columns(live, table).await?, columns(scratch, table).await?);
    let shared: Vec<&str> = here
        .iter()
        .filter(|(name, _)| there.iter().any(|(known, _)| known == name))
        .map(|(name, _)| &**name)
        .collect();
    let list = shared.join(", ");
    let out = format!("copy (select {list} from {table} limit {most_rows}) to stdout");
    let mut out = pin!(live.copy_out(&out).await?);
    let into = format!("copy {table} ({list}) from stdin");
    let rows = unforced(scratch, table, async || {
        let mut into = pin!(scratch.copy_in::<_, Bytes>(&into).await?);
        while let Some(rows) = out.next().await {
            into.feed(rows?).await?;
        }
        into.finish().await
    })
    .await?;
    for (column, sequence) in here.iter().filter_map(|(name, sequence)| Some((name, sequence.as_ref()?))) {
        let sql = format!(
            "select setval('{}', coalesce(max({column}), 1)) from {table}",
            sequence.replace('\'', "''")
        );
        scratch.batch_execute(&sql).await?;
    }
    scratch.batch_execute(&format!("analyze {table}")).await?;
    Ok(rows)
}

/// Forced row-level security refuses `copy` to the owner of a table.
async fn unforced(
    scratch: &Client,
    table: &str,
    work: impl AsyncFnOnce() -> Result<u64, tokio_postgres::Error>,
) -> Result<u64, DbError> {
    let sql = "select relforcerowsecurity from pg_class where oid = to_regclass($1)";
    let is_forced: bool = scratch.query_one(sql, &[&table]).await?.get(0);
    if !is_forced {
        return Ok(work().await?);
    }
    scratch.batch_execute(&format!("alter table {table} no force row level security")).await?;
    let done = work().await;
    scratch.batch_execute(&format!("alter table {table} force row level security")).await?;
    Ok(done?)
}

/// The columns that can be written, each with its sequence.
async fn columns(client: &Client, table: &str) -> Result<Vec<(String, Option<String>)>, DbError> {
    let rows = client.query(include_str!("../../../sql/trace_columns.sql"), &[&table]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}
