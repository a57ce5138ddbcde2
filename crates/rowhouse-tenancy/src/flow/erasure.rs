//! Erasing a deleted tenant at once, in steps of a transaction each. Leaves those that are due to the job `tenancy.erase`.

use rowhouse_kernel::TenantId;
use serde::Serialize;
use tokio_postgres::Client;

use crate::error::TenancyError;
use crate::store::erasure::{self as store, TableRows};
use crate::store::tenant;

/// What is erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Erasure {
    pub(crate) tenant_id: uuid::Uuid,
    /// Whether nothing was changed.
    pub(crate) dry_run: bool,
    /// Tables with rows of the tenant, before anything is deleted.
    pub(crate) tables: Vec<TableRows>,
}

/// What would be erased.
pub(crate) async fn preview(client: &Client, id: TenantId, dry_run: bool) -> Result<Erasure, TenancyError> {
    let found = tenant::find(client, id).await?.ok_or(TenancyError::Missing("tenant"))?;
    if !matches!(&*found.status, "deleted" | "erased") {
        return Err(TenancyError::NotDeleted { tenant: id, status: found.status });
    }
    Ok(Erasure { tenant_id: id.0, dry_run, tables: store::count_rows(client, id).await? })
}

/// From here on the tenant cannot be restored; one that is being erased already goes on.
pub(crate) async fn begin(tx: &Client, id: TenantId) -> Result<(), TenancyError> {
    store::begin(tx, id).await?;
    Ok(())
}

/// A step; false when nothing is left to do.
pub(crate) async fn step(tx: &Client, id: TenantId) -> Result<bool, TenancyError> {
    if store::is_done(tx, id).await? {
        return Ok(false);
    }
    Ok(store::go_on(tx, id).await? > 0)
}
