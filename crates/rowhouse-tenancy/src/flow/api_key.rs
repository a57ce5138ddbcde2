//! Keys of an organization's services: nobody makes one that can do more than himself.

use rowhouse_kernel::{ApiKeyId, Caller, OrganizationId};
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio_postgres::Client;

use super::input::{check_end, check_name};
use super::organization;
use super::record::{Change, record};
use super::role::require_all;
use crate::error::TenancyError;
use crate::permission::Permission;
use crate::store::api_key::{self as store, ApiKey, NewApiKey};
use crate::store::member::Group;
use crate::store::tenant;

/// Most keys of an organization that are valid at a time.
const MOST_KEYS: i64 = 100;

/// Makes a key with this secret.
pub(crate) async fn create(
    tx: &Client,
    caller: &Caller,
    new: &NewApiKey<'_>,
    secret: &rowhouse_crypto::ApiKey,
    now: OffsetDateTime,
) -> Result<ApiKey, TenancyError> {
    organization::lock(tx, caller, new.organization, Permission::PermissionsModify).await?;
    check(new, now)?;
    require_all(tx, caller, new.organization, new.scopes).await?;
    require_end(tx, caller, new.expires_at).await?;
    if let Some(id) = new.tenant {
        let found = tenant::find(tx, id).await?;
        let of_it = found.is_some_and(|tenant| tenant.organization_id == new.organization.0);
        if !of_it {
            return Err(invalid("tenant_id: no tenant of this organization"));
        }
    }
    if store::count_valid(tx, new.organization).await? >= MOST_KEYS {
        return Err(invalid(&format!("an organization has at most {MOST_KEYS} valid keys; revoke some")));
    }
    let made = store::create(tx, new, secret).await?;
    let details = json!({
        "name": made.name, "hint": made.hint, "scopes": made.scopes, "expires_at": made.expires_at,
    });
    record_key(tx, "api_key_created", new.organization, &made, details).await?;
    Ok(made)
}

/// A key that ends makes none that outlives it.
async fn require_end(
    tx: &Client,
    caller: &Caller,
    expires_at: Option<OffsetDateTime>,
) -> Result<(), TenancyError> {
    let Some(parent) = caller.api_key else { return Ok(()) };
    let Some(end) = store::end_of(tx, parent).await? else { return Ok(()) };
    if expires_at.is_some_and(|new| new <= end) {
        return Ok(());
    }
    Err(invalid("expires_at: the key that makes this one ends; give a time that is not later than its end"))
}

/// What does not depend on the database.
fn check(new: &NewApiKey<'_>, now: OffsetDateTime) -> Result<(), TenancyError> {
    check_name(new.name)?;
    let is_repeated = |(at, scope): (usize, &Permission)| new.scopes[..at].contains(scope);
    if new.scopes.is_empty() || new.scopes.iter().enumerate().any(is_repeated) {
        return Err(invalid("scopes: at least one permission, and each once"));
    }
    check_end(new.expires_at, now)
}

/// Ends a key at once; one that was revoked before stays as it is.
pub(crate) async fn revoke(
    tx: &Client,
    caller: &Caller,
    organization: OrganizationId,
    id: ApiKeyId,
) -> Result<(), TenancyError> {
    organization::lock(tx, caller, organization, Permission::PermissionsModify).await?;
    let found = store::find(tx, organization, id).await?.ok_or(TenancyError::Missing("API key"))?;
    if found.revoked_at.is_some() {
        return Ok(());
    }
    store::revoke(tx, id).await?;
    let details = json!({ "name": found.name, "hint": found.hint });
    record_key(tx, "api_key_revoked", organization, &found, details).await
}

async fn record_key(
    tx: &Client,
    action: &str,
    organization: OrganizationId,
    key: &ApiKey,
    details: Value,
) -> Result<(), TenancyError> {
    let group = Group { organization, tenant: key.tenant_id.map(rowhouse_kernel::TenantId) };
    let change = Change { action, target: ("api_key", &key.id.to_string()), group, details };
    Ok(record(tx, change).await?)
}

fn invalid(why: &str) -> TenancyError {
    TenancyError::Invalid(why.to_owned())
}
