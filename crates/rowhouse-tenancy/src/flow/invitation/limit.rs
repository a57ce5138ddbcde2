//! Limits of invitations, so that nobody floods an address or the world with letters.

use std::time::Duration;

use rowhouse_kernel::{Caller, OrganizationId};
use tokio_postgres::Client;

use super::InvitationError;
use crate::settings::TenancySettings;
use crate::store::invitation as store;

/// After which a refused letter is tried again.
const HOUR: Duration = Duration::from_secs(3600);

/// Requires room for one more letter, and for one more invitation if `is_new`. The service key's are limited per recipient
/// only. The organization is locked.
pub(super) async fn require_room(
    tx: &Client,
    caller: &Caller,
    organization: OrganizationId,
    email: &str,
    settings: &TenancySettings,
    is_new: bool,
) -> Result<(), InvitationError> {
    let counts = store::count(tx, organization, email).await?;
    if counts.to_recipient >= i64::from(settings.invitation_recipient_rate_per_day) {
        return Err(InvitationError::TooManyLetters("to this address today", HOUR));
    }
    if caller.is_service() {
        return Ok(());
    }
    let most = i64::from(settings.invitation_rate_per_hour);
    if counts.by_organization >= most {
        return Err(InvitationError::TooManyLetters("by this organization within an hour", HOUR));
    }
    if counts.by_inviter >= most {
        return Err(InvitationError::TooManyLetters("by you within an hour", HOUR));
    }
    if is_new && counts.pending >= i64::from(settings.pending_invitations) {
        return Err(InvitationError::TooManyPending(settings.pending_invitations));
    }
    Ok(())
}
