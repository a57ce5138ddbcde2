//! The functions of the schema `operators` that export and erase a user.

use rowhouse_db::DbError;
use rowhouse_tenancy::export::Subject;
use serde::Serialize;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row};
use uuid::Uuid;

/// Everything about a user.
pub(super) const fn subject(user: Uuid) -> Subject {
    Subject { what: "user", id: user, function: "operators.export_user" }
}

/// How many rows a table has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct TableRows {
    /// Schema and name.
    table: String,
    rows: i64,
}

impl TableRows {
    fn from_row(row: &Row) -> Result<Self, tokio_postgres::Error> {
        Ok(Self { table: row.try_get(0)?, rows: row.try_get(1)? })
    }

    pub(super) fn line(&self) -> String {
        format!("\n  {}: {}", self.table, self.rows)
    }
}

/// The user of this id or address.
pub(super) async fn find_user(client: &Client, name: &str) -> Result<Option<Uuid>, DbError> {
    let sql =
        "select u.id from auth.users u where u.id::text = lower($1) or lower(u.email) = lower($1) limit 1";
    let row = client.query_typed_opt(sql, &[(&name, Type::TEXT)]).await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

/// Notes that a user was exported.
pub(super) async fn note_export(client: &Client, user: Uuid) -> Result<(), DbError> {
    let sql = "select audit.write('operators', 'user_exported', 'user', $1::text)";
    client.query_typed(sql, &[(&user.to_string(), Type::TEXT)]).await?;
    Ok(())
}

/// Erases a user, or counts what that would delete.
pub(super) async fn erase(
    client: &Client,
    user: Uuid,
    reason: &str,
    dry_run: bool,
) -> Result<Vec<TableRows>, DbError> {
    let sql =
        "select name, sum(count)::bigint from operators.erase_user($1, $2, $3) group by name order by name";
    let parameters: [(&(dyn ToSql + Sync), Type); 3] =
        [(&user, Type::UUID), (&reason, Type::TEXT), (&dry_run, Type::BOOL)];
    let rows = client.query_typed(sql, &parameters).await?;
    Ok(rows.iter().map(TableRows::from_row).collect::<Result<_, _>>()?)
}

/// Whether a user who was erased is there again, as after a restore: with something personal.
pub(super) async fn is_back(client: &Client, user: Uuid) -> Result<bool, DbError> {
    let sql = "select exists (
        select from auth.users u where u.id = $1 and not (
          u.email is null and u.phone is null and u.deleted_at is not null
          and exists (select from operators.erasures e where e.user_id = u.id)))";
    Ok(client.query_typed_one(sql, &[(&user, Type::UUID)]).await?.try_get(0)?)
}
