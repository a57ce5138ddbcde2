//! Which products a tenant uses, and for what. Who may use them is left to `entitlement`.

use rowhouse_kernel::{Caller, TenantId};
use serde_json::json;
use tokio_postgres::Client;

use super::record::{Change, record};
use super::tenant;
use crate::error::TenancyError;
use crate::permission::Permission;
use crate::store::member::Group;
use crate::store::product;
use crate::store::tenant_product::{self as store, ProductEnvironment, TenantProduct};

/// Enables a product; one that is enabled stays as it is.
pub(crate) async fn enable(
    tx: &Client,
    caller: &Caller,
    id: TenantId,
    (slug, environment): (&str, ProductEnvironment),
) -> Result<TenantProduct, TenancyError> {
    let tenant = tenant::lock(tx, caller, id, Permission::TenantApps).await?;
    let product = product::find(tx, slug).await?.ok_or(TenancyError::Missing("product"))?;
    if let Some(before) = store::find(tx, id, product.id, environment).await? {
        return Ok(before);
    }
    if !product.is_active() {
        return Err(TenancyError::ProductRetired);
    }
    store::add(tx, id, product.id, environment).await?;
    record_product(tx, "product_enabled", Group::from(&tenant), (slug, environment)).await?;
    store::find(tx, id, product.id, environment).await?.ok_or(TenancyError::NotEnabled)
}

/// Disables it. With its last environment the entitlements to it give nothing any more.
pub(crate) async fn disable(
    tx: &Client,
    caller: &Caller,
    id: TenantId,
    (slug, environment): (&str, ProductEnvironment),
) -> Result<(), TenancyError> {
    let tenant = tenant::lock(tx, caller, id, Permission::TenantApps).await?;
    let product = product::find(tx, slug).await?.ok_or(TenancyError::Missing("product"))?;
    if !store::remove(tx, id, product.id, environment).await? {
        return Err(TenancyError::Missing("enabled product"));
    }
    product::end_sessions(tx, product.id, Some(id.0), None).await?;
    record_product(tx, "product_disabled", Group::from(&tenant), (slug, environment)).await
}

async fn record_product(
    tx: &Client,
    action: &str,
    group: Group,
    (slug, environment): (&str, ProductEnvironment),
) -> Result<(), TenancyError> {
    let details = json!({ "environment": environment });
    Ok(record(tx, Change { action, target: ("product", slug), group, details }).await?)
}
