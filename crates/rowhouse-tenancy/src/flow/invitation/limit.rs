//! Limits of invitations, so that nobody floods an address or the world with letters.

use std::time::Duration;

use rowhouse_kernel::{Caller, OrganizationId};
use tokio_postgres::Client;

use super::InvitationError;
use crate::settings::TenancySettings;
use crate::store::invitation as store;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

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
    let (hour, day) = (settings.invitation_rate_per_hour, settings.invitation_recipient_rate_per_day);
    let full = store::count(tx, organization, email, (hour, day)).await?;
    let never = |most: u32, window: Duration| (most == 0).then_some(window);
    require("to this address today", full.to_recipient.or(never(day, DAY)))?;
    if caller.is_service() {
        return Ok(());
    }
    require("by this organization within an hour", full.by_organization.or(never(hour, HOUR)))?;
    require("by you within an hour", full.by_inviter)?;
    if is_new && full.pending >= i64::from(settings.pending_invitations) {
        return Err(InvitationError::TooManyPending(settings.pending_invitations));
    }
    Ok(())
}

/// Refuses for as long as it is full.
fn require(which: &'static str, full_for: Option<Duration>) -> Result<(), InvitationError> {
    full_for.map_or(Ok(()), |wait| Err(InvitationError::TooManyLetters(which, wait)))
}
