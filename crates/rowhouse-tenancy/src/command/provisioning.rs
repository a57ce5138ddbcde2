//! `tenants provision` and `tenants provisioning`. What is done is left to the crate that provisions.

use rowhouse_db::Transaction;
use rowhouse_kernel::{Caller, TenantId};
use rowhouse_module::{CannotRun, CommandOutcome};
use serde_json::Value;

use super::Session;
use super::shown::{fields, table};
use crate::error::TenancyError;
use crate::flow::tenant;
use crate::permission::Permission;
use crate::store::provisioning as store;

const COLUMNS: [&str; 5] = ["name", "status", "attempts", "finished_at", "error"];

/// Begins it, and shows how far it is.
pub(super) async fn begin(session: &Session<'_>, id: TenantId) -> Result<CommandOutcome, CannotRun> {
    let begin = async |tx: &Transaction<'_>, caller: &Caller| {
        tenant::get(tx, caller, id, Permission::TenantUpdate).await?;
        store::provision(tx, id, false).await?;
        found(tx, id).await
    };
    session.run("tenancy.provision_tenant", begin, text).await
}

/// A tenant that was rolled back is gone, its run is not.
pub(super) async fn show(session: &Session<'_>, id: TenantId) -> Result<CommandOutcome, CannotRun> {
    let find = async |tx: &Transaction<'_>, _: &Caller| found(tx, id).await;
    session.run("tenancy.find_provisioning", find, text).await
}

async fn found(tx: &Transaction<'_>, id: TenantId) -> Result<Value, TenancyError> {
    store::find(tx, id).await?.ok_or(TenancyError::Missing("provisioning"))
}

fn text(run: &Value) -> String {
    let mut run = run.clone();
    let steps = run["steps"].take();
    let steps = steps.as_array().map(Vec::as_slice).unwrap_or_default();
    format!("{}\n{}", fields(&run), table(&COLUMNS, steps, "no steps"))
}
