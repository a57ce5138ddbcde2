//! Overrides: the value of a flag for one user, tenant or organization.

use std::fmt;
use std::str::FromStr;

use rowhouse_db::DbError;
use schemars::JsonSchema;
use serde::Serialize;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row};
use uuid::Uuid;

use crate::value::Scope;

/// For whom an override is, as `user:ID`, `tenant:ID` or `organization:ID`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) scope: Scope,
    pub(crate) id: Uuid,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.scope, self.id)
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text
            .split_once(':')
            .and_then(|(scope, id)| Some(Self { scope: scope.parse().ok()?, id: Uuid::parse_str(id).ok()? }));
        parsed.ok_or_else(|| "expected user:ID, tenant:ID or organization:ID".to_owned())
    }
}

/// An override.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "FlagOverride")]
pub(crate) struct Override {
    pub(crate) scope: Scope,
    /// The user, tenant or organization.
    pub(crate) subject: Uuid,
    /// As a flag's `default_value`.
    pub(crate) value: String,
    #[schemars(extend("format" = "date-time"))]
    pub(crate) created_at: String,
}

impl Override {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        let scope: &str = row.try_get("scope")?;
        let scope = scope.parse().map_err(|why: String| DbError::Protocol(why.into()))?;
        let (subject, value) = (row.try_get("subject")?, row.try_get("value")?);
        Ok(Self { scope, subject, value, created_at: row.try_get("created_at")? })
    }
}

const COLUMNS: &str =
    "scope, subject, value, to_jsonb(created_at at time zone 'UTC') #>> '{}' || 'Z' as created_at";

/// Up to `limit` overrides of a flag, ordered by subject and scope, after those of one.
pub(crate) async fn list(
    client: &Client,
    flag: &str,
    after: Option<(Uuid, Scope)>,
    limit: u32,
) -> Result<Vec<Override>, DbError> {
    let sql = format!(
        "select {COLUMNS} from flags.overrides where flag = $1 and ($2::uuid is null or (subject, scope) > ($2, $3))
         order by subject, scope limit $4"
    );
    let (subject, scope) = (after.map(|(subject, _)| subject), after.map(|(_, scope)| scope.as_str()));
    let limit = i64::from(limit);
    let parameters: [(&(dyn ToSql + Sync), Type); 4] =
        [(&flag, Type::TEXT), (&subject, Type::UUID), (&scope, Type::TEXT), (&limit, Type::INT8)];
    client.query_typed(&sql, &parameters).await?.iter().map(Override::from_row).collect()
}

/// Sets one; returns it and the value that it had before.
pub(crate) async fn put(
    client: &Client,
    flag: &str,
    target: Target,
    value: &str,
) -> Result<(Override, Option<String>), DbError> {
    let before = find(client, flag, target).await?.map(|before| before.value);
    let column = match target.scope {
        Scope::User => "user_id",
        Scope::Tenant => "tenant_id",
        Scope::Organization => "organization_id",
    };
    let sql = format!(
        "insert into flags.overrides (flag, {column}, value) values ($1, $2, $3)
         on conflict (flag, subject, scope) do update set value = excluded.value returning {COLUMNS}"
    );
    let parameters: [(&(dyn ToSql + Sync), Type); 3] =
        [(&flag, Type::TEXT), (&target.id, Type::UUID), (&value, Type::TEXT)];
    let row = client.query_typed_one(&sql, &parameters).await?;
    Ok((Override::from_row(&row)?, before))
}

async fn find(client: &Client, flag: &str, target: Target) -> Result<Option<Override>, DbError> {
    let sql =
        format!("select {COLUMNS} from flags.overrides where flag = $1 and subject = $2 and scope = $3");
    let row = client.query_typed_opt(&sql, &of(&flag, &target.id, &target.scope.as_str())).await?;
    row.as_ref().map(Override::from_row).transpose()
}

/// Removes one; returns it if there was one.
pub(crate) async fn remove(client: &Client, flag: &str, target: Target) -> Result<Option<Override>, DbError> {
    let sql = format!(
        "delete from flags.overrides where flag = $1 and subject = $2 and scope = $3 returning {COLUMNS}"
    );
    let row = client.query_typed_opt(&sql, &of(&flag, &target.id, &target.scope.as_str())).await?;
    row.as_ref().map(Override::from_row).transpose()
}

/// One whose value is not among these; for a change that takes variants away.
pub(crate) async fn other_than(
    client: &Client,
    flag: &str,
    values: &[String],
) -> Result<Option<Override>, DbError> {
    let sql = format!("select {COLUMNS} from flags.overrides where flag = $1 and value <> all ($2) limit 1");
    let row = client.query_typed_opt(&sql, &[(&flag, Type::TEXT), (&values, Type::TEXT_ARRAY)]).await?;
    row.as_ref().map(Override::from_row).transpose()
}

fn of<'p>(flag: &'p &str, id: &'p Uuid, scope: &'p &'static str) -> [(&'p (dyn ToSql + Sync), Type); 3] {
    [(flag, Type::TEXT), (id, Type::UUID), (scope, Type::TEXT)]
}
