//! Custom roles of an organization.

use rowhouse_kernel::{Caller, OrganizationId};
use serde_json::{Value, json};
use tokio_postgres::Client;

use super::input::check_text;
use super::member::require_grantable;
use super::record::{Change, record};
use crate::error::TenancyError;
use crate::permission::{Permission, Scope, require};
use crate::store::member::Group;
use crate::store::role::{self as store, Role};

/// Most roles of an organization's own.
const MOST_ROLES: i64 = 100;
/// Longest name.
const MAX_NAME: usize = 32;

/// Makes a role in an organization that the caller has locked for [`Permission::PermissionsModify`].
pub(crate) async fn create(
    tx: &Client,
    caller: &Caller,
    organization: OrganizationId,
    name: &str,
    description: &str,
    permissions: &[Permission],
) -> Result<Role, TenancyError> {
    check_role_name(name)?;
    check_text("description", description)?;
    require_all(tx, caller, organization, permissions).await?;
    if store::count(tx, organization).await? >= MOST_ROLES {
        return Err(TenancyError::Invalid(format!(
            "an organization has at most {MOST_ROLES} roles of its own"
        )));
    }
    if store::find(tx, organization, name).await?.is_some() {
        return Err(TenancyError::RoleTaken);
    }
    store::create(tx, organization, name, description).await?;
    store::set_permissions(tx, organization, name, &names(permissions)).await?;
    record_role(tx, "role_created", organization, name, json!({ "permissions": permissions })).await?;
    get(tx, organization, name).await
}

/// The role.
pub(crate) async fn get(
    client: &Client,
    organization: OrganizationId,
    name: &str,
) -> Result<Role, TenancyError> {
    store::find(client, organization, name).await?.ok_or(TenancyError::Missing("role"))
}

/// Changes description, permissions or both. `before` is of an organization that the caller has locked for
/// [`Permission::PermissionsModify`]; who has the role gains or loses at once.
pub(crate) async fn change(
    tx: &Client,
    caller: &Caller,
    organization: OrganizationId,
    before: &Role,
    description: Option<&str>,
    permissions: Option<&[Permission]>,
) -> Result<Role, TenancyError> {
    let name = before.name.as_str();
    require_custom(before)?;
    require_grantable(tx, caller, Group::organization(organization), name).await?;
    check_text("description", description.unwrap_or_default())?;
    if let Some(permissions) = permissions {
        require_all(tx, caller, organization, permissions).await?;
        store::set_permissions(tx, organization, name, &names(permissions)).await?;
    }
    store::touch(tx, organization, name, description).await?;
    let after = get(tx, organization, name).await?;
    let details = json!({ "before": before.permissions, "after": after.permissions });
    record_role(tx, "role_changed", organization, name, details).await?;
    Ok(after)
}

/// Deletes a role that no member has, of a locked organization.
pub(crate) async fn delete(
    tx: &Client,
    caller: &Caller,
    organization: OrganizationId,
    name: &str,
) -> Result<(), TenancyError> {
    let role = get(tx, organization, name).await?;
    require_custom(&role)?;
    require_grantable(tx, caller, Group::organization(organization), name).await?;
    store::delete(tx, organization, name).await?;
    record_role(tx, "role_deleted", organization, name, json!({ "permissions": role.permissions })).await
}

/// As the schema has it.
fn check_role_name(name: &str) -> Result<(), TenancyError> {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c);
    let starts = name.starts_with(|c: char| c.is_ascii_lowercase());
    if starts && name.len() <= MAX_NAME && name.chars().all(is_plain) {
        return Ok(());
    }
    Err(TenancyError::Invalid("name: 1 to 32 of a-z, 0-9, _ and -, a letter first".to_owned()))
}

fn require_custom(role: &Role) -> Result<(), TenancyError> {
    if role.is_built_in { Err(TenancyError::BuiltInRole) } else { Ok(()) }
}

/// Nobody makes a role that can do more than himself.
pub(crate) async fn require_all(
    client: &Client,
    caller: &Caller,
    organization: OrganizationId,
    permissions: &[Permission],
) -> Result<(), TenancyError> {
    for permission in permissions {
        let has = require(client, caller, Scope::Organization(organization), *permission).await;
        match has.map_err(TenancyError::from) {
            Err(TenancyError::Denied(lacking)) => {
                return Err(TenancyError::BeyondOwn(lacking.as_str().to_owned()));
            }
            other => other?,
        }
    }
    Ok(())
}

fn names(permissions: &[Permission]) -> Vec<&'static str> {
    permissions.iter().map(|permission| permission.as_str()).collect()
}

async fn record_role(
    tx: &Client,
    action: &str,
    organization: OrganizationId,
    name: &str,
    details: Value,
) -> Result<(), TenancyError> {
    let change = Change { action, target: ("role", name), group: Group::organization(organization), details };
    Ok(record(tx, change).await?)
}
