//! Organizations: making, changing, and their life cycle.

use rowhouse_kernel::{Caller, OrganizationId};
use serde_json::json;
use tokio_postgres::Client;
use uuid::Uuid;

use super::input::{check_name, check_slug, check_text, slug_of};
use super::may_everywhere;
use super::record::{Change, record};
use crate::error::TenancyError;
use crate::permission::{Permission, Scope, require, require_free};
use crate::settings::TenancySettings;
use crate::store::member::{self, Group, OWNER};
use crate::store::organization::{self as store, Organization};
use crate::store::status::{Step, step_organization};

/// What a new organization is.
#[derive(Debug, Clone)]
pub(crate) struct NewOrganization<'a> {
    pub(crate) name: &'a str,
    /// Follows from the name if it is not given.
    pub(crate) slug: Option<&'a str>,
    /// Its first owner: the caller, if it is not given. Only who may change every organization gives another one.
    pub(crate) owner: Option<Uuid>,
}

impl Group {
    pub(crate) const fn organization(id: OrganizationId) -> Self {
        Self { organization: id, tenant: None }
    }
}

/// Makes an organization with an owner. A user may own as many as the settings say.
pub(crate) async fn create(
    tx: &Client,
    caller: &Caller,
    new: &NewOrganization<'_>,
    settings: &TenancySettings,
) -> Result<Organization, TenancyError> {
    let user = caller.user.map(|user| user.0);
    if !may_everywhere(tx, caller, Permission::OrganizationUpdate).await? {
        if user.is_none() || new.owner.is_some_and(|owner| Some(owner) != user) {
            return Err(TenancyError::Denied(Permission::OrganizationUpdate));
        }
        require_free(tx, caller, Permission::OrganizationUpdate).await?;
        let most = settings.organizations_per_user;
        let owned = store::count_owned(tx, user.unwrap_or_default(), settings.restore_window).await?;
        if owned >= i64::from(most) {
            return Err(TenancyError::TooMany(most));
        }
    }
    let name = check_name(new.name)?;
    let slug = new.slug.map_or_else(|| slug_of(name), |slug| check_slug(slug).map(str::to_owned))?;
    let made = store::create(tx, name, &slug).await?;
    let group = Group::organization(OrganizationId(made.id));
    let owner = new.owner.or(user);
    if let Some(owner) = owner {
        member::add(tx, group, owner, OWNER).await?;
    }
    let details = json!({ "name": made.name, "slug": made.slug, "owner": owner });
    record(tx, Change::of_group("organization_created", group, &made.id.to_string(), details)).await?;
    Ok(made)
}

/// The organization, for a caller with the permission.
pub(crate) async fn get(
    client: &Client,
    caller: &Caller,
    id: OrganizationId,
    permission: Permission,
) -> Result<Organization, TenancyError> {
    require(client, caller, Scope::Organization(id), permission).await?;
    store::find(client, id).await?.ok_or(TenancyError::Missing("organization"))
}

/// The same, locked until the transaction ends.
pub(crate) async fn lock(
    tx: &Client,
    caller: &Caller,
    id: OrganizationId,
    permission: Permission,
) -> Result<Organization, TenancyError> {
    require(tx, caller, Scope::Organization(id), permission).await?;
    store::lock(tx, id).await?.ok_or(TenancyError::Missing("organization"))
}

/// Renames it, or gives it another slug. `before` is locked for [`Permission::OrganizationUpdate`].
pub(crate) async fn change(
    tx: &Client,
    before: &Organization,
    name: Option<&str>,
    slug: Option<&str>,
) -> Result<Organization, TenancyError> {
    let (name, slug) = (name.map(check_name).transpose()?, slug.map(check_slug).transpose()?);
    let id = OrganizationId(before.id);
    let after = store::change(tx, id, name, slug).await?.ok_or(TenancyError::Missing("organization"))?;
    let details = json!({
        "before": { "name": before.name, "slug": before.slug },
        "after": { "name": after.name, "slug": after.slug },
    });
    let id_text = before.id.to_string();
    record(tx, Change::of_group("organization_changed", Group::organization(id), &id_text, details)).await?;
    Ok(after)
}

/// Where a step needs which permission. What closes an organization against its own members, or opens it again, is for
/// operators, except that its owners may cancel and delete it.
pub(crate) const fn asked_for(id: OrganizationId, step: Step) -> (Scope, Permission) {
    match step {
        Step::Suspend | Step::Reactivate => (Scope::Installation, Permission::OrganizationUpdate),
        Step::Restore(_) => (Scope::Installation, Permission::OrganizationDelete),
        Step::Cancel => (Scope::Organization(id), Permission::OrganizationBilling),
        Step::Delete => (Scope::Organization(id), Permission::OrganizationDelete),
    }
}

/// Takes a step in its life.
pub(crate) async fn step(
    tx: &Client,
    caller: &Caller,
    id: OrganizationId,
    step: Step,
    reason: Option<&str>,
) -> Result<Organization, TenancyError> {
    let (scope, permission) = asked_for(id, step);
    require(tx, caller, scope, permission).await?;
    check_text("reason", reason.unwrap_or_default())?;
    let before = store::lock(tx, id).await?.ok_or(TenancyError::Missing("organization"))?;
    let after = step_organization(tx, id, step, reason).await?;
    let after = after.ok_or_else(|| refused(step, before.status.clone()))?;
    let action = format!("organization_{}", step.past());
    let details = json!({ "before": before.status, "after": after.status, "reason": reason });
    record(tx, Change::of_group(&action, Group::organization(id), &before.id.to_string(), details)).await?;
    Ok(after)
}

/// Why the schema took no step.
pub(crate) fn refused(step: Step, status: String) -> TenancyError {
    match step {
        Step::Restore(_) if status == "deleted" => TenancyError::TooLate,
        _ => TenancyError::WrongStatus(status),
    }
}
