//! Members: who gives and takes which role.

use rowhouse_kernel::Caller;
use serde_json::{Value, json};
use tokio_postgres::Client;
use uuid::Uuid;

use super::record::{Change, record};
use super::{may_everywhere, organization, tenant};
use crate::error::TenancyError;
use crate::permission::{Permission, Scope, require};
use crate::store::api_key;
use crate::store::member::{self as store, Group, Member, MemberStatus, OWNER};

/// The organization or tenant, for a caller with the permission.
pub(crate) async fn group(
    client: &Client,
    caller: &Caller,
    scope: Scope,
    permission: Permission,
) -> Result<Group, TenancyError> {
    match scope {
        Scope::Organization(id) => {
            organization::get(client, caller, id, permission).await?;
            Ok(Group::organization(id))
        }
        Scope::Tenant(id) => Ok(Group::from(&tenant::get(client, caller, id, permission).await?)),
        Scope::Installation => Err(TenancyError::OperatorsOnly),
    }
}

/// The same, locked until the transaction ends: changes of its members come one after the other.
pub(crate) async fn lock_group(
    tx: &Client,
    caller: &Caller,
    scope: Scope,
    permission: Permission,
) -> Result<Group, TenancyError> {
    match scope {
        Scope::Organization(id) => {
            organization::lock(tx, caller, id, permission).await?;
            Ok(Group::organization(id))
        }
        Scope::Tenant(id) => Ok(Group::from(&tenant::lock(tx, caller, id, permission).await?)),
        Scope::Installation => Err(TenancyError::OperatorsOnly),
    }
}

/// The permission to add somebody without an invitation.
pub(crate) const fn asked_for_adding(scope: Scope) -> (Scope, Permission) {
    match scope {
        // A user agrees to belong to a tenant by belonging to its organization, and to that by accepting an invitation.
        Scope::Organization(_) | Scope::Installation => (Scope::Installation, Permission::MembersManage),
        Scope::Tenant(_) => (scope, Permission::TenantMembers),
    }
}

/// The group, locked for who may add somebody without an invitation.
pub(crate) async fn lock_group_to_add(
    tx: &Client,
    caller: &Caller,
    scope: Scope,
) -> Result<Group, TenancyError> {
    let (asked, permission) = asked_for_adding(scope);
    require(tx, caller, asked, permission).await?;
    // Who has it everywhere has it in this organization.
    lock_group(tx, caller, scope, permission).await
}

/// Adds a user to a locked group.
pub(crate) async fn add(
    tx: &Client,
    caller: &Caller,
    group: Group,
    user: Uuid,
    role: &str,
) -> Result<Member, TenancyError> {
    require_grantable(tx, caller, group, role).await?;
    let above = Group::organization(group.organization);
    let is_bound = !may_everywhere(tx, caller, Permission::MembersManage).await?;
    if group.tenant.is_some() && is_bound && store::find(tx, above, user).await?.is_none() {
        return Err(TenancyError::NotInOrganization);
    }
    store::add(tx, group, user, role).await?;
    record_member(tx, "member_added", group, user, json!({ "role": role })).await?;
    get(tx, group, user).await
}

/// What of a member is changed; nothing where `None`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MemberUpdate<'a> {
    pub(crate) role: Option<&'a str>,
    pub(crate) status: Option<MemberStatus>,
}

/// Changes a member of a locked group.
pub(crate) async fn change(
    tx: &Client,
    caller: &Caller,
    group: Group,
    user: Uuid,
    update: MemberUpdate<'_>,
) -> Result<Member, TenancyError> {
    let before = get(tx, group, user).await?;
    require_grantable(tx, caller, group, &before.role).await?;
    if let Some(role) = update.role {
        require_grantable(tx, caller, group, role).await?;
    }
    let stays_owner =
        update.role.is_none_or(|role| role == OWNER) && update.status != Some(MemberStatus::Suspended);
    if !stays_owner {
        require_other_owner(tx, group, &before).await?;
    }
    if let Some(status) = update.status.filter(|status| status.name() != before.status) {
        require_below(tx, caller, group, user, status == MemberStatus::Suspended).await?;
    }
    store::change(tx, group, user, update.role, update.status.map(MemberStatus::name)).await?;
    let after = get(tx, group, user).await?;
    for (is_changed, action, details) in [
        (update.role.is_some(), "member_role_changed", json!({ "role": after.role, "before": before.role })),
        (after.status != before.status, action_of(&after), json!({ "role": after.role })),
    ] {
        if is_changed {
            record_member(tx, action, group, user, details).await?;
        }
    }
    Ok(after)
}

fn action_of(member: &Member) -> &'static str {
    if member.status == MemberStatus::Suspended.name() { "member_suspended" } else { "member_reactivated" }
}

/// Removes a member of a locked group; from an organization, also from its tenants.
pub(crate) async fn remove(
    tx: &Client,
    caller: &Caller,
    group: Group,
    user: Uuid,
) -> Result<(), TenancyError> {
    let member = get(tx, group, user).await?;
    require_grantable(tx, caller, group, &member.role).await?;
    require_other_owner(tx, group, &member).await?;
    require_below(tx, caller, group, user, true).await?;
    store::remove(tx, group, user).await?;
    record_member(tx, "member_removed", group, user, json!({ "role": member.role })).await
}

async fn get(client: &Client, group: Group, user: Uuid) -> Result<Member, TenancyError> {
    store::find(client, group, user).await?.ok_or(TenancyError::NotAMember)
}

/// Requires the caller to have whatever the role can do, and to be an owner where it is that role: nobody rises, or lowers
/// those above.
pub(crate) async fn require_grantable(
    client: &Client,
    caller: &Caller,
    group: Group,
    role: &str,
) -> Result<(), TenancyError> {
    if caller.is_service() {
        return Ok(());
    }
    let refusal = match (caller.user, caller.api_key) {
        (Some(user), _) => store::refusal_of_role(client, user.0, group, role).await?,
        (None, Some(key)) => api_key::refusal_of_role(client, key, group, role).await?,
        (None, None) => return Err(TenancyError::OwnersOnly),
    };
    match refusal {
        None => Ok(()),
        Some(why) if why == OWNER => Err(TenancyError::OwnersOnly),
        Some(permission) => Err(TenancyError::BeyondOwn(permission)),
    }
}

/// An active owner stays.
async fn require_other_owner(client: &Client, group: Group, leaving: &Member) -> Result<(), TenancyError> {
    let is_active_owner = leaving.role == OWNER && leaving.status == MemberStatus::Active.name();
    if is_active_owner && !store::has_other_owner(client, group, leaving.user_id).await? {
        return Err(TenancyError::LastOwner);
    }
    Ok(())
}

/// What happens to an organization's member happens to him in its tenants: there it needs the same as if it were asked for there.
async fn require_below(
    tx: &Client,
    caller: &Caller,
    group: Group,
    user: Uuid,
    is_leaving: bool,
) -> Result<(), TenancyError> {
    if group.tenant.is_some() {
        return Ok(());
    }
    for below in store::lock_below(tx, group.organization, user).await? {
        // In a closed tenant nobody has a role; there counts who stands above it.
        require_grantable(tx, caller, if below.is_open { below.group } else { group }, &below.role).await?;
        if is_leaving && below.is_last_owner {
            return Err(TenancyError::LastOwner);
        }
    }
    Ok(())
}

async fn record_member(
    tx: &Client,
    action: &str,
    group: Group,
    user: Uuid,
    details: Value,
) -> Result<(), TenancyError> {
    let change = Change { action, target: ("user", &user.to_string()), group, details };
    Ok(record(tx, change).await?)
}
