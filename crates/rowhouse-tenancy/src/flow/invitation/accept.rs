//! What the holder of a letter's token can do: look at the invitation, and accept it as the user who was invited.

use std::net::IpAddr;

use rowhouse_crypto::digest_hex;
use rowhouse_kernel::{Caller, TenantId};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use tokio_postgres::Client;
use uuid::Uuid;

use super::{InvitationError, record_invitation};
use crate::flow::entitlement;
use crate::flow::join::{ensure_member, require_oneself};
use crate::store::invitation::{self as store, Held, InvitationStatus, TenantOffer};
use crate::store::member::Group;
use crate::store::{organization, tenant};

/// What an invitation shows to who holds its token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Preview {
    pub(crate) organization_name: String,
    /// The name in the profile of who invites, if there is one.
    pub(crate) inviter_name: Option<String>,
    /// The role in the organization.
    pub(crate) role: String,
    #[schemars(extend("format" = "date-time"))]
    pub(crate) expires_at: String,
}

/// What the user is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Accepted {
    pub(crate) organization_id: Uuid,
    pub(crate) organization_name: String,
    /// The role in the organization: that of the invitation, unless the user was a member before.
    pub(crate) role: String,
    /// The open ones of the invitation's tenants, with the role in each.
    pub(crate) tenants: Vec<TenantOffer>,
}

/// What the invitation is about, while it can be accepted.
pub(crate) async fn preview(client: &Client, token: &str) -> Result<Preview, InvitationError> {
    let held = find(client, token).await?;
    require_acceptable(&held)?;
    Ok(Preview {
        organization_name: held.organization_name,
        inviter_name: held.inviter_name,
        role: held.invitation.role,
        expires_at: held.invitation.expires_at,
    })
}

/// Makes the caller a member as the invitation says. It is used once: of several at a time one comes first.
pub(crate) async fn accept(
    tx: &Client,
    caller: &Caller,
    token: &str,
    address: Option<IpAddr>,
) -> Result<Accepted, InvitationError> {
    let user = caller.user.ok_or(InvitationError::NoUser)?.0;
    require_oneself(caller)?;
    let named = find(tx, token).await?;
    organization::lock(tx, named.organization).await?;
    // As it is now that nobody else changes it.
    let held = find(tx, token).await?;
    require_acceptable(&held)?;
    require_address(tx, user, &held.invitation.email).await?;
    let accepted = join(tx, user, &held).await?;
    store::accept(tx, held.invitation.id, user, address).await?;
    let details = json!({ "user_id": user, "tenants": accepted.tenants });
    record_invitation(tx, "invitation_accepted", held.organization, &held.invitation, details).await?;
    Ok(accepted)
}

async fn find(client: &Client, token: &str) -> Result<Held, InvitationError> {
    store::find_held(client, &digest_hex(token)).await?.ok_or(InvitationError::NotFound)
}

fn require_acceptable(held: &Held) -> Result<(), InvitationError> {
    match held.invitation.status {
        InvitationStatus::Accepted => Err(InvitationError::Used),
        InvitationStatus::Revoked => Err(InvitationError::Revoked),
        _ if !held.is_open => Err(InvitationError::OrganizationClosed),
        InvitationStatus::Expired => Err(InvitationError::Expired),
        InvitationStatus::Pending if !held.inviter_may => Err(InvitationError::Revoked),
        InvitationStatus::Pending => Ok(()),
    }
}

/// The token proves nothing about who has it: letters are forwarded.
async fn require_address(tx: &Client, user: Uuid, email: &str) -> Result<(), InvitationError> {
    let user = store::find_user(tx, user).await?.ok_or(InvitationError::NoUser)?;
    if user.email != email {
        return Err(InvitationError::WrongAddress);
    }
    if user.is_confirmed { Ok(()) } else { Err(InvitationError::Unconfirmed) }
}

async fn join(tx: &Client, user: Uuid, held: &Held) -> Result<Accepted, InvitationError> {
    let (organization, invitation) = (held.organization, &held.invitation);
    let how = json!({ "invitation_id": invitation.id });
    let member = ensure_member(tx, Group::organization(organization), user, &invitation.role, &how).await?;
    let mut tenants = Vec::with_capacity(invitation.tenants.len());
    for TenantOffer { tenant_id, role } in &invitation.tenants {
        let id = TenantId(*tenant_id);
        if !tenant::is_open(tx, id).await? {
            continue;
        }
        let group = Group { organization, tenant: Some(id) };
        let member = ensure_member(tx, group, user, role, &how).await?;
        tenants.push(TenantOffer { tenant_id: *tenant_id, role: member.role });
    }
    for product in &invitation.products {
        if tenants.iter().any(|tenant| tenant.tenant_id == product.tenant_id) {
            let group = Group { organization, tenant: Some(TenantId(product.tenant_id)) };
            entitlement::give(tx, group, user, product, (&invitation.invited_by, &how)).await?;
        }
    }
    let organization_name = held.organization_name.clone();
    Ok(Accepted { organization_id: organization.0, organization_name, role: member.role, tenants })
}
