//! What follows from a new tenant, through the hooks that a higher crate writes.

use rowhouse_db::DbError;
use rowhouse_kernel::TenantId;
use serde_json::Value;
use tokio_postgres::Client;
use tokio_postgres::types::Type;

/// Begins to provision an open tenant; a new one is removed by a rollback. False if nothing begins.
pub(crate) async fn provision(client: &Client, id: TenantId, is_new: bool) -> Result<bool, DbError> {
    let sql = "select tenancy.provision($1, $2)";
    Ok(client.query_typed_one(sql, &[(&id.0, Type::UUID), (&is_new, Type::BOOL)]).await?.try_get(0)?)
}

/// How far it is; `None` if the tenant was never provisioned.
pub(crate) async fn find(client: &Client, id: TenantId) -> Result<Option<Value>, DbError> {
    let sql = "select tenancy.provisioning_of($1)";
    Ok(client.query_typed_one(sql, &[(&id.0, Type::UUID)]).await?.try_get(0)?)
}
