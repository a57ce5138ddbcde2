//! `tenancy.tenants`: reading and renaming tenants.

use rowhouse_db::DbError;
use rowhouse_kernel::TenantId;
use schemars::JsonSchema;
use serde::Serialize;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row};
use uuid::Uuid;

/// A tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Tenant {
    pub(crate) id: Uuid,
    pub(crate) organization_id: Uuid,
    pub(crate) name: String,
    /// Unique within the organization.
    pub(crate) slug: String,
    /// `trial`, `active`, `suspended`, `cancelled`, `deleted` or `erased`.
    pub(crate) status: String,
    #[schemars(extend("format" = "date-time"))]
    pub(crate) created_at: String,
    #[schemars(extend("format" = "date-time"))]
    pub(crate) updated_at: String,
    /// The transaction that wrote the row, which differs after every change, also one by hand.
    #[serde(skip)]
    pub(crate) version: String,
}

impl Tenant {
    fn from_row(row: &Row) -> Result<Self, tokio_postgres::Error> {
        Ok(Self {
            id: row.try_get("id")?,
            organization_id: row.try_get("organization_id")?,
            name: row.try_get("name")?,
            slug: row.try_get("slug")?,
            status: row.try_get("status")?,
            created_at: row.try_get("created_at")?,
            updated_at: row.try_get("updated_at")?,
            version: row.try_get("version")?,
        })
    }
}

macro_rules! columns {
    ($before:literal, $after:literal) => {
        concat!(
            $before,
            " id, organization_id, name, slug, status, xmin::text as version,
              to_jsonb(created_at at time zone 'UTC') #>> '{}' || 'Z' as created_at,
              to_jsonb(updated_at at time zone 'UTC') #>> '{}' || 'Z' as updated_at ",
            $after
        )
    };
}

/// The tenant, if there is one.
pub(crate) async fn find(client: &Client, tenant: TenantId) -> Result<Option<Tenant>, DbError> {
    read(client, columns!("select", "from tenancy.tenants where id = $1"), &[(&tenant.0, Type::UUID)]).await
}

/// The same, locked until the transaction ends, which serializes changes of a tenant and its members.
pub(crate) async fn lock(client: &Client, tenant: TenantId) -> Result<Option<Tenant>, DbError> {
    let sql = columns!("select", "from tenancy.tenants where id = $1 for no key update");
    read(client, sql, &[(&tenant.0, Type::UUID)]).await
}

/// Renames a tenant, if there is one; the name has 1 to 200 characters.
pub(crate) async fn rename(client: &Client, tenant: TenantId, name: &str) -> Result<Option<Tenant>, DbError> {
    let sql = columns!(
        "update tenancy.tenants set name = $2, updated_at = clock_timestamp() where id = $1 returning",
        ""
    );
    read(client, sql, &[(&tenant.0, Type::UUID), (&name, Type::TEXT)]).await
}

async fn read(
    client: &Client,
    sql: &str,
    parameters: &[(&(dyn ToSql + Sync), Type)],
) -> Result<Option<Tenant>, DbError> {
    let row = client.query_typed_opt(sql, parameters).await?;
    Ok(row.as_ref().map(Tenant::from_row).transpose()?)
}
