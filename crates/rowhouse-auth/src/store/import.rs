//! Rows of another GoTrue's tables: read as JSON, so that their types need no code here, and written into the columns
//! that both have.

use serde_json::Value;
use tokio_postgres::Client;
use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;

use crate::fault::Fault;

/// A table that depends on users.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dependent {
    /// The table, the same on both sides.
    pub(crate) table: &'static str,
    /// What leads to the user's id, in terms of the row `r`.
    of_user: &'static str,
    /// A condition on the row `r`.
    only: &'static str,
    /// A column that the database numbers itself.
    numbered: Option<&'static str>,
}

/// Tables that are imported with their users, in the order of their references.
pub(crate) const DEPENDENTS: &[Dependent] = &[
    Dependent { table: "identities", of_user: "r.user_id", only: "true", numbered: None },
    Dependent { table: "mfa_factors", of_user: "r.user_id", only: "r.status = 'verified'", numbered: None },
    Dependent { table: "webauthn_credentials", of_user: "r.user_id", only: "true", numbered: None },
];

/// The same for users who are to stay signed in.
pub(crate) const SESSIONS: &[Dependent] = &[
    Dependent {
        table: "sessions",
        of_user: "r.user_id",
        only: "coalesce(r.not_after > now(), true)",
        numbered: None,
    },
    Dependent {
        table: "refresh_tokens",
        of_user: "r.user_id::uuid",
        only: "r.revoked is not true and r.session_id is not null",
        numbered: Some("id"),
    },
];

/// A table of the source, quoted.
fn source_table(schema: &str, table: &str) -> String {
    format!("\"{}\".\"{table}\"", schema.replace('"', "\"\""))
}

/// Whether the source has the table.
pub(crate) async fn has_table(source: &Client, schema: &str, table: &str) -> Result<bool, Fault> {
    let name = source_table(schema, table);
    let row = source.query_typed_one("select to_regclass($1) is not null", &[(&name, Type::TEXT)]).await?;
    Ok(row.try_get(0)?)
}

/// The number of users.
pub(crate) async fn count(source: &Client, schema: &str) -> Result<i64, Fault> {
    let sql = format!("select count(*) from {}", source_table(schema, "users"));
    Ok(source.query_typed_one(&sql, &[]).await?.try_get(0)?)
}

/// The next users by id, as a list of rows.
pub(crate) async fn users(
    source: &Client,
    schema: &str,
    after: Option<Uuid>,
    most: i64,
) -> Result<Vec<Value>, Fault> {
    let table = source_table(schema, "users");
    let sql = format!(
        "select to_jsonb(r) from {table} r where $1::uuid is null or r.id > $1 order by r.id limit $2"
    );
    let rows = source.query_typed(&sql, &[(&after, Type::UUID), (&most, Type::INT8)]).await?;
    Ok(rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
}

/// The rows of these users.
pub(crate) async fn dependents(
    source: &Client,
    schema: &str,
    dependent: Dependent,
    users: &[Uuid],
) -> Result<Value, Fault> {
    let Dependent { table, of_user, only, .. } = dependent;
    let table = source_table(schema, table);
    let sql = format!(
        "select coalesce(jsonb_agg(to_jsonb(r)), '[]') from {table} r where {of_user} = any ($1) and {only}"
    );
    Ok(source.query_typed_one(&sql, &[(&users, Type::UUID_ARRAY)]).await?.try_get(0)?)
}

/// Columns that both sides have; rows of one table all have the same.
async fn columns(
    client: &Client,
    table: &str,
    rows: &Value,
    numbered: Option<&str>,
) -> Result<String, Fault> {
    let theirs = rows.get(0).and_then(Value::as_object);
    let theirs: Vec<&str> = theirs.into_iter().flat_map(|row| row.keys().map(String::as_str)).collect();
    let sql = "select string_agg(quote_ident(a.attname), ', ' order by a.attnum) from pg_attribute a
               where a.attrelid = to_regclass($1) and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
                 and a.attname is distinct from $2 and a.attname = any ($3)";
    let name = format!("auth.{table}");
    let parameters: [(&(dyn ToSql + Sync), Type); 3] =
        [(&name, Type::TEXT), (&numbered, Type::TEXT), (&theirs, Type::TEXT_ARRAY)];
    let row = client.query_typed_one(sql, &parameters).await?;
    Ok(row.try_get(0)?)
}

/// Writes users whose id, address and number are free; returns the ids of those written.
pub(crate) async fn insert_users(client: &Client, rows: &Value) -> Result<Vec<Uuid>, Fault> {
    let columns = columns(client, "users", rows, None).await?;
    let sql = format!(
        "insert into auth.users ({columns})
         select {columns} from jsonb_populate_recordset(null::auth.users, $1) r
         where not exists (select from auth.users u where lower(u.email) = lower(r.email) and u.deleted_at is null
           and u.is_sso_user = false and r.is_sso_user is not true)
         on conflict do nothing returning id"
    );
    let rows = client.query_typed(&sql, &[(rows, Type::JSONB)]).await?;
    Ok(rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
}

/// Writes rows of a dependent table; returns how many.
pub(crate) async fn insert(client: &Client, dependent: Dependent, rows: &Value) -> Result<u64, Fault> {
    let Dependent { table, numbered, .. } = dependent;
    if rows.get(0).is_none() {
        return Ok(0);
    }
    let columns = columns(client, table, rows, numbered).await?;
    let sql = format!(
        "insert into auth.{table} ({columns}) select {columns} from jsonb_populate_recordset(null::auth.{table}, $1)
         on conflict do nothing"
    );
    Ok(client.execute_typed(&sql, &[(rows, Type::JSONB)]).await?)
}

/// Which of these users are there already.
pub(crate) async fn known(client: &Client, ids: &[Uuid]) -> Result<Vec<Uuid>, Fault> {
    let sql = "select id from auth.users where id = any ($1)";
    let rows = client.query_typed(sql, &[(&ids, Type::UUID_ARRAY)]).await?;
    Ok(rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
}
