//! `tenancy.roles` and their permissions.

use rowhouse_db::DbError;
use rowhouse_kernel::OrganizationId;
use schemars::JsonSchema;
use serde::Serialize;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};

use super::Bound;

/// A role of members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Role {
    pub(crate) name: String,
    pub(crate) description: String,
    /// Of every organization, and unchangeable.
    pub(crate) is_built_in: bool,
    /// In the order of their names.
    pub(crate) permissions: Vec<String>,
    #[schemars(extend("format" = "date-time"))]
    pub(crate) updated_at: String,
    #[serde(skip)]
    pub(crate) version: String,
}

impl Role {
    fn from_row(row: &Row) -> Result<Self, tokio_postgres::Error> {
        Ok(Self {
            name: row.try_get("name")?,
            description: row.try_get("description")?,
            is_built_in: row.try_get("is_built_in")?,
            permissions: row.try_get("permissions")?,
            updated_at: row.try_get("updated_at")?,
            version: row.try_get("version")?,
        })
    }
}

const COLUMNS: &str =
    "r.name, r.description, r.organization_id is null as is_built_in, r.xmin::text as version,
  tenancy.permissions_of(r.organization_id, r.name) as permissions,
  to_jsonb(r.updated_at at time zone 'UTC') #>> '{}' || 'Z' as updated_at";

/// The roles of an organization, the built-in ones first; at most the bound of [`count`] and those.
pub(crate) async fn list(client: &Client, organization: OrganizationId) -> Result<Vec<Role>, DbError> {
    let sql = format!(
        "select {COLUMNS} from tenancy.roles r where r.organization_id is null
         union all
         select {COLUMNS} from tenancy.roles r where r.organization_id = $1
         order by is_built_in desc, name"
    );
    let rows = client.query_typed(&sql, &[(&organization.0, Type::UUID)]).await?;
    Ok(rows.iter().map(Role::from_row).collect::<Result<_, _>>()?)
}

/// A role that members of the organization can have.
pub(crate) async fn find(
    client: &Client,
    organization: OrganizationId,
    name: &str,
) -> Result<Option<Role>, DbError> {
    let sql = format!(
        "select {COLUMNS} from tenancy.roles r
         where (r.organization_id = $1 or r.organization_id is null) and r.name = $2"
    );
    let row = client.query_typed_opt(&sql, &[(&organization.0, Type::UUID), (&name, Type::TEXT)]).await?;
    Ok(row.as_ref().map(Role::from_row).transpose()?)
}

/// How many roles of its own the organization has.
pub(crate) async fn count(client: &Client, organization: OrganizationId) -> Result<i64, DbError> {
    let sql = "select count(*) from tenancy.roles where organization_id = $1";
    Ok(client.query_typed_one(sql, &[(&organization.0, Type::UUID)]).await?.try_get(0)?)
}

pub(crate) async fn create(
    client: &Client,
    organization: OrganizationId,
    name: &str,
    description: &str,
) -> Result<(), DbError> {
    let sql = "insert into tenancy.roles (organization_id, name, description) values ($1, $2, $3)";
    let parameters: [Bound<'_>; 3] =
        [(&organization.0, Type::UUID), (&name, Type::TEXT), (&description, Type::TEXT)];
    client.execute_typed(sql, &parameters).await?;
    Ok(())
}

/// A new description, if any, and a new version.
pub(crate) async fn touch(
    client: &Client,
    organization: OrganizationId,
    name: &str,
    description: Option<&str>,
) -> Result<(), DbError> {
    let sql =
        "update tenancy.roles set description = coalesce($3, description), updated_at = clock_timestamp()
               where organization_id = $1 and name = $2";
    let parameters: [Bound<'_>; 3] =
        [(&organization.0, Type::UUID), (&name, Type::TEXT), (&description, Type::TEXT)];
    client.execute_typed(sql, &parameters).await?;
    Ok(())
}

/// The role has these permissions from now on.
pub(crate) async fn set_permissions(
    client: &Client,
    organization: OrganizationId,
    name: &str,
    permissions: &[&str],
) -> Result<(), DbError> {
    let parameters: [Bound<'_>; 3] =
        [(&organization.0, Type::UUID), (&name, Type::TEXT), (&permissions, Type::TEXT_ARRAY)];
    let sql = "delete from tenancy.role_permissions
               where organization_id = $1 and role = $2 and permission <> all ($3)";
    client.execute_typed(sql, &parameters).await?;
    let sql = "insert into tenancy.role_permissions (organization_id, role, permission)
               select $1, $2, unnest($3) on conflict do nothing";
    client.execute_typed(sql, &parameters).await?;
    Ok(())
}

/// The schema refuses to delete a role that members have.
pub(crate) async fn delete(client: &Client, organization: OrganizationId, name: &str) -> Result<(), DbError> {
    let sql = "delete from tenancy.roles where organization_id = $1 and name = $2";
    client.execute_typed(sql, &[(&organization.0, Type::UUID), (&name, Type::TEXT)]).await?;
    Ok(())
}
