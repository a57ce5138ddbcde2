//! Erasing a tenant's rows, in small steps.

use rowhouse_db::DbError;
use rowhouse_kernel::TenantId;
use serde::Serialize;
use tokio_postgres::Client;
use tokio_postgres::types::Type;

/// Rows of one step.
const MOST: i64 = 2_000;

/// How many rows a table has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct TableRows {
    /// Schema and name.
    pub(crate) table: String,
    pub(crate) rows: i64,
}

/// The tables that have rows of the tenant.
pub(crate) async fn count_rows(client: &Client, tenant: TenantId) -> Result<Vec<TableRows>, DbError> {
    let sql = "select r.name, r.count from tenancy.count_rows('tenancy.tenants', $1) r where r.count > 0 order by r.name";
    let rows = client.query_typed(sql, &[(&tenant.0, Type::UUID)]).await?;
    let read = |row: &tokio_postgres::Row| {
        Ok::<_, tokio_postgres::Error>(TableRows { table: row.try_get(0)?, rows: row.try_get(1)? })
    };
    Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
}

/// Makes a deleted tenant one that is being erased; false for any other.
pub(crate) async fn begin(client: &Client, tenant: TenantId) -> Result<bool, DbError> {
    let sql = "select tenancy.begin_erasing_tenant($1)";
    Ok(client.query_typed_one(sql, &[(&tenant.0, Type::UUID)]).await?.try_get(0)?)
}

/// Whether a tenant is being erased, and whether that is done.
pub(crate) async fn is_done(client: &Client, tenant: TenantId) -> Result<bool, DbError> {
    let sql = "select erased_at is not null from tenancy.tenants where id = $1 for no key update";
    let row = client.query_typed_opt(sql, &[(&tenant.0, Type::UUID)]).await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?.unwrap_or(true))
}

/// A step; how many rows it has deleted.
pub(crate) async fn go_on(client: &Client, tenant: TenantId) -> Result<i64, DbError> {
    let sql = "select tenancy.go_on_erasing('tenancy.tenants', $1, $2)";
    let parameters: [super::Bound<'_>; 2] = [(&tenant.0, Type::UUID), (&MOST, Type::INT8)];
    Ok(client.query_typed_one(sql, &parameters).await?.try_get(0)?)
}
