//! Invitations to an organization: making, sending again, taking back. Each is a letter with a token, and counts as long as
//! who has sent it could still give what it offers.

mod accept;
mod address;
mod error;
mod letter;
mod limit;
mod offer;

use std::sync::Arc;
use std::time::Duration;

use rowhouse_crypto::OpaqueSecret;
use rowhouse_kernel::{Caller, OrganizationId, SharedRng};
use serde_json::{Value, json};
use tokio_postgres::Client;
use uuid::Uuid;

use super::organization;
use super::record::{Change, record};
use crate::error::TenancyError;
use crate::permission::Permission;
use crate::settings::{LONGEST_INVITATION, TenancySettings};
use crate::store::invitation::{self as store, Invitation, InvitationStatus, NewInvitation, Token};
use crate::store::member::Group;

pub(crate) use accept::{Accepted, Preview, accept, preview};
pub(crate) use address::read_address;
pub(crate) use error::InvitationError;
pub(crate) use letter::Letters;
use offer::{Offer, require_offer};

/// Shortest time between two letters of an invitation.
const GAP: Duration = Duration::from_secs(60);
/// Most letters after the first one.
const MOST_RESENT: i32 = 10;

/// What invitations are made with.
#[derive(Debug, Clone)]
pub(crate) struct Invitations {
    pub(crate) letters: Letters,
    pub(crate) settings: Arc<TenancySettings>,
    pub(crate) rng: SharedRng,
}

impl Invitations {
    /// Invites somebody: an invitation and a letter.
    pub(crate) async fn create(
        &self,
        tx: &Client,
        caller: &Caller,
        organization: OrganizationId,
        new: &NewInvitation<'_>,
    ) -> Result<Invitation, InvitationError> {
        let place = organization::lock(tx, caller, organization, Permission::MembersInvite).await?;
        if !(Duration::from_secs(60)..=LONGEST_INVITATION).contains(&new.lifetime) {
            return Err(TenancyError::Invalid("expires_in_hours: 1 to 720".to_owned()).into());
        }
        let offer = Offer { role: new.role, tenants: new.tenants, products: new.products };
        require_offer(tx, caller, organization, &offer).await?;
        if store::is_member(tx, organization, new.email).await? {
            return Err(TenancyError::IsAMember.into());
        }
        limit::require_room(tx, caller, organization, new.email, &self.settings, true).await?;
        store::end_expired(tx, organization, new.email).await?;
        let secret = OpaqueSecret::generate(&*self.rng);
        let made = store::create(tx, organization, new, &Token::from(&secret)).await?;
        self.letters.send(tx, caller, &place, &made, &secret).await?;
        let details =
            json!({ "tenants": made.tenants, "products": made.products, "expires_at": made.expires_at });
        record_invitation(tx, "invitation_created", organization, &made, details).await?;
        Ok(made)
    }

    /// Sends another letter with another token, which replaces the former; it is now the caller who invites.
    pub(crate) async fn resend(
        &self,
        tx: &Client,
        caller: &Caller,
        organization: OrganizationId,
        id: Uuid,
    ) -> Result<Invitation, InvitationError> {
        let place = organization::lock(tx, caller, organization, Permission::MembersInvite).await?;
        let before = get(tx, organization, id).await?;
        require_open(&before)?;
        require_offer(tx, caller, organization, &Offer::from(&before)).await?;
        if before.resent_count >= MOST_RESENT {
            return Err(InvitationError::ResentTooOften);
        }
        let is_new = before.status != InvitationStatus::Pending;
        limit::require_room(tx, caller, organization, &before.email, &self.settings, is_new).await?;
        let secret = OpaqueSecret::generate(&*self.rng);
        let renewed = store::renew(tx, id, &Token::from(&secret), GAP).await?;
        let renewed = renewed.ok_or(InvitationError::TooSoon(GAP))?;
        self.letters.send(tx, caller, &place, &renewed, &secret).await?;
        let details = json!({ "expires_at": renewed.expires_at });
        record_invitation(tx, "invitation_resent", organization, &renewed, details).await?;
        Ok(renewed)
    }
}

/// Takes an invitation back; one that was taken back before stays as it is.
pub(crate) async fn revoke(
    tx: &Client,
    caller: &Caller,
    organization: OrganizationId,
    id: Uuid,
) -> Result<(), InvitationError> {
    organization::lock(tx, caller, organization, Permission::MembersInvite).await?;
    let found = get(tx, organization, id).await?;
    match found.status {
        InvitationStatus::Revoked => return Ok(()),
        InvitationStatus::Accepted => return Err(InvitationError::Used),
        InvitationStatus::Pending | InvitationStatus::Expired => {}
    }
    store::revoke(tx, id).await?;
    Ok(record_invitation(tx, "invitation_revoked", organization, &found, json!({})).await?)
}

async fn get(tx: &Client, organization: OrganizationId, id: Uuid) -> Result<Invitation, InvitationError> {
    store::find(tx, organization, id).await?.ok_or(InvitationError::NotFound)
}

/// An expired one can be sent again.
fn require_open(invitation: &Invitation) -> Result<(), InvitationError> {
    match invitation.status {
        InvitationStatus::Accepted => Err(InvitationError::Used),
        InvitationStatus::Revoked => Err(InvitationError::Revoked),
        InvitationStatus::Pending | InvitationStatus::Expired => Ok(()),
    }
}

async fn record_invitation(
    tx: &Client,
    action: &str,
    organization: OrganizationId,
    invitation: &Invitation,
    mut details: Value,
) -> Result<(), TenancyError> {
    details["email"] = json!(invitation.email);
    details["role"] = json!(invitation.role);
    let target = ("invitation", &*invitation.id.to_string());
    let change = Change { action, target, group: Group::organization(organization), details };
    Ok(record(tx, change).await?)
}
