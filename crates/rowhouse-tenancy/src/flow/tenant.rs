//! Tenants: making, changing, and their life cycle.

use rowhouse_kernel::{Caller, OrganizationId, TenantId};
use serde_json::json;
use tokio_postgres::Client;

use super::input::{check_name, check_slug, check_text, slug_of};
use super::may_everywhere;
use super::organization::refused;
use super::record::{Change, record};
use crate::error::TenancyError;
use crate::permission::{Permission, Scope, require};
use crate::settings::TenancySettings;
use crate::store::member::{self, Group};
use crate::store::provisioning;
use crate::store::status::{Step, step_tenant};
use crate::store::tenant::{self as store, Listed, Tenant, TenantUpdate};

impl From<&Tenant> for Group {
    fn from(tenant: &Tenant) -> Self {
        Self { organization: OrganizationId(tenant.organization_id), tenant: Some(TenantId(tenant.id)) }
    }
}

/// Makes a tenant of an organization that the caller has locked for [`Permission::TenantCreate`]. A member of the
/// organization who makes it is its first member, in the role that he has there.
pub(crate) async fn create(
    tx: &Client,
    caller: &Caller,
    organization: OrganizationId,
    name: &str,
    slug: Option<&str>,
    settings: &TenancySettings,
) -> Result<Tenant, TenancyError> {
    require_room(tx, caller, organization, settings).await?;
    let name = check_name(name)?;
    let slug = slug.map_or_else(|| slug_of(name), |slug| check_slug(slug).map(str::to_owned))?;
    let made = store::create(tx, organization, name, &slug).await?;
    let group = Group::from(&made);
    if let Some(user) = caller.user
        && let Some(maker) = member::find(tx, Group::organization(organization), user.0).await?
    {
        member::add(tx, group, user.0, &maker.role).await?;
    }
    let details = json!({ "name": made.name, "slug": made.slug });
    record(tx, Change::of_group("tenant_created", group, &made.id.to_string(), details)).await?;
    provisioning::provision(tx, TenantId(made.id), true).await?;
    Ok(made)
}

/// Requires room for one more tenant of an organization that is locked.
async fn require_room(
    tx: &Client,
    caller: &Caller,
    organization: OrganizationId,
    settings: &TenancySettings,
) -> Result<(), TenancyError> {
    let most = settings.tenants_per_organization;
    let is_full = !caller.is_service()
        && store::count(tx, organization, settings.restore_window).await? >= i64::from(most);
    if is_full { Err(TenancyError::TooManyTenants(most)) } else { Ok(()) }
}

/// The tenant, for a caller with the permission.
pub(crate) async fn get(
    client: &Client,
    caller: &Caller,
    id: TenantId,
    permission: Permission,
) -> Result<Tenant, TenancyError> {
    require(client, caller, Scope::Tenant(id), permission).await?;
    store::find(client, id).await?.ok_or(TenancyError::Missing("tenant"))
}

/// The same, locked until the transaction ends.
pub(crate) async fn lock(
    tx: &Client,
    caller: &Caller,
    id: TenantId,
    permission: Permission,
) -> Result<Tenant, TenancyError> {
    require(tx, caller, Scope::Tenant(id), permission).await?;
    store::lock(tx, id).await?.ok_or(TenancyError::Missing("tenant"))
}

/// Whose tenants of the organization a caller with [`Permission::TenantView`] in it sees.
pub(crate) async fn seen_in(
    client: &Client,
    caller: &Caller,
    organization: OrganizationId,
) -> Result<Listed, TenancyError> {
    require(client, caller, Scope::Organization(organization), Permission::TenantView).await?;
    Ok(match caller.user {
        Some(user) if !may_everywhere(client, caller, Permission::TenantView).await? => {
            Listed::Seen(organization, user.0)
        }
        _ => Listed::In(organization),
    })
}

/// Changes it. `before` is locked for [`Permission::TenantUpdate`].
pub(crate) async fn change(
    tx: &Client,
    before: &Tenant,
    update: TenantUpdate<'_>,
) -> Result<Tenant, TenancyError> {
    update.name.map(check_name).transpose()?;
    update.slug.map(check_slug).transpose()?;
    let after =
        store::change(tx, TenantId(before.id), update).await?.ok_or(TenancyError::Missing("tenant"))?;
    let details = json!({
        "before": { "name": before.name, "slug": before.slug },
        "after": { "name": after.name, "slug": after.slug },
        "branding": update.branding.is_some(),
    });
    record(tx, Change::of_group("tenant_changed", Group::from(&after), &before.id.to_string(), details))
        .await?;
    Ok(after)
}

/// Where a step needs which permission. A closed tenant refuses its members: what they undo, they undo in the organization.
pub(crate) async fn asked_for(
    client: &Client,
    id: TenantId,
    step: Step,
) -> Result<(Scope, Permission), TenancyError> {
    Ok(match step {
        Step::Suspend | Step::Reactivate => (Scope::Installation, Permission::TenantUpdate),
        Step::Cancel => (Scope::Tenant(id), Permission::OrganizationBilling),
        Step::Delete => (Scope::Tenant(id), Permission::OrganizationDelete),
        Step::Restore(_) => {
            let found = store::find(client, id).await?;
            let scope = found.map(|tenant| Scope::Organization(OrganizationId(tenant.organization_id)));
            (scope.unwrap_or(Scope::Installation), Permission::OrganizationDelete)
        }
    })
}

/// Takes a step in its life.
pub(crate) async fn step(
    tx: &Client,
    caller: &Caller,
    id: TenantId,
    step: Step,
    reason: Option<&str>,
) -> Result<Tenant, TenancyError> {
    let (scope, permission) = asked_for(tx, id, step).await?;
    require(tx, caller, scope, permission).await?;
    check_text("reason", reason.unwrap_or_default())?;
    let before = store::lock(tx, id).await?.ok_or(TenancyError::Missing("tenant"))?;
    let after = step_tenant(tx, id, step, reason).await?;
    let after = after.ok_or_else(|| refused(step, before.status.clone()))?;
    let action = format!("tenant_{}", step.past());
    let details = json!({ "before": before.status, "after": after.status, "reason": reason });
    record(tx, Change::of_group(&action, Group::from(&after), &before.id.to_string(), details)).await?;
    Ok(after)
}
