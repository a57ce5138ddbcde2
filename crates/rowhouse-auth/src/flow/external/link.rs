//! Identities that a signed-in user links and unlinks.

use rowhouse_db::Transaction;
use time::OffsetDateTime;
use uuid::Uuid;

use super::admit::{merged_metadata, note};
use crate::Auth;
use crate::fault::{Fault, carry_fault};
use crate::flow::notification::{self, Notification};
use crate::live::{NotLive, require_strong};
use crate::model::{Identity, User};
use crate::provider::Profile;
use crate::request::{Client, SignedIn};
use crate::sealed;
use crate::sealed_text::flow_label;
use crate::store::flow_state::FlowRow;
use crate::store::identity::{self, AccountUpdate, AtProvider};
use crate::store::user;
use crate::store::user_change::{self, WriteError};

/// Most identities of one user.
const MOST_IDENTITIES: usize = 50;
/// What the profile of a link in progress is sealed as.
const PROFILE: &str = "profile";

/// Why an identity is not linked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    #[error("Linking target user not found")]
    NoSuchUser,
    #[error("User is banned")]
    Banned,
    #[error("Identity is already linked")]
    Linked,
    #[error("Identity is already linked to another user")]
    LinkedToAnother,
    #[error("A user has at most {MOST_IDENTITIES} identities")]
    TooMany,
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Why an identity is not unlinked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnlinkError {
    #[error(transparent)]
    NotLive(#[from] NotLive),
    #[error("Manual linking is disabled")]
    LinkingDisabled,
    #[error("User must have at least 1 identity after unlinking")]
    LastIdentity,
    #[error("Identity doesn't exist")]
    NotFound,
    /// The account's address is this identity's alone. It is changed by letters, not by unlinking.
    #[error("Unable to unlink identity that has the email of the user, change the email first")]
    EmailConflict,
    #[error(transparent)]
    Fault(#[from] Fault),
}
carry_fault!(UnlinkError);

/// Refuses an identity that somebody has, `target` included.
pub(super) async fn require_unlinked(
    tx: &Transaction<'_>,
    target: Uuid,
    at: AtProvider<'_>,
) -> Result<(), LinkError> {
    match identity::lock(tx, at).await? {
        Some(user) if user == target => Err(LinkError::Linked),
        Some(_) => Err(LinkError::LinkedToAnother),
        None => Ok(()),
    }
}

/// Seals who came back, until the client that asked for the link exchanges its code.
pub(super) fn keep(auth: &Auth, flow: Uuid, profile: &Profile) -> Result<String, Fault> {
    let plain = serde_json::to_vec(profile).map_err(Fault::Json)?;
    sealed::seal(auth, &plain, &flow_label(flow, PROFILE))
}

/// Links the identity that came back in this flow.
pub(crate) async fn finish(
    auth: &Auth,
    tx: &Transaction<'_>,
    target: Uuid,
    flow: &FlowRow,
    client: &Client,
    now: OffsetDateTime,
) -> Result<(), LinkError> {
    let stored = flow.provider_state.as_deref().unwrap_or_default();
    let plain = sealed::open(auth, stored, &flow_label(flow.id, PROFILE))?;
    let profile = serde_json::from_slice(plain.as_deref().map_or(&[], Vec::as_slice)).map_err(Fault::Json)?;
    link(auth, tx, target, (&flow.provider, &profile), client, now).await
}

/// Links the identity to `target`. An account without an address gets the provider's, if that is verified.
pub(crate) async fn link(
    auth: &Auth,
    tx: &Transaction<'_>,
    target: Uuid,
    (provider, profile): (&str, &Profile),
    client: &Client,
    now: OffsetDateTime,
) -> Result<(), LinkError> {
    let at = AtProvider { provider, subject: &profile.subject };
    require_unlinked(tx, target, at).await?;
    let row = user::lock(tx, target).await?.filter(|row| row.user.deleted_at.is_none());
    let user = row.ok_or(LinkError::NoSuchUser)?.user;
    if user.is_banned(now) {
        return Err(LinkError::Banned);
    }
    if user.identities.len() >= MOST_IDENTITIES {
        return Err(LinkError::TooMany);
    }
    let id = auth.new_id();
    identity::insert(tx, id, target, at, &profile.data, now).await?;
    let email = profile.email.as_deref().filter(|_| user.email.is_empty() && profile.is_verified);
    if let Some(email) = email {
        user_change::require_free(tx, email, target).await?;
    }
    let user_metadata = user.is_anonymous.then(|| merged_metadata(&user, profile)).flatten();
    identity::update_user(tx, target, &AccountUpdate { user_metadata, email, confirm: false }, now).await?;
    identity::list_providers(tx, target, now).await?;
    note(tx, "identity_linked", target, id, at).await?;
    let owner = user::find(tx, target).await?.ok_or(Fault::Vanished)?.user;
    notification::tell(auth, tx, &owner, Notification::IdentityLinked { provider }, client).await?;
    Ok(())
}

/// Unlinks an identity of the caller.
pub(crate) async fn unlink(
    auth: &Auth,
    caller: SignedIn,
    id: Uuid,
    client: &Client,
) -> Result<(), UnlinkError> {
    if !auth.settings.manual_linking {
        return Err(UnlinkError::LinkingDisabled);
    }
    let now = auth.now();
    let (service, from) = (auth.clone(), client.clone());
    let work = async move |tx: &Transaction<'_>| {
        user::lock(tx, caller.user.0).await?;
        let session = caller.session.map(|session| session.0);
        let live = user::find_live(tx, caller.user.0, session).await?;
        let owner = require_strong(live, caller, now)?.user;
        let provider = remove(tx, &owner, id, now).await?;
        let what = Notification::IdentityUnlinked { provider: &provider };
        Ok(notification::tell(&service, tx, &owner, what, &from).await?)
    };
    auth.control.run_tx(&client.operation("auth.unlink_identity"), work).await
}

/// Returns the provider.
async fn remove(
    tx: &Transaction<'_>,
    user: &User,
    id: Uuid,
    now: OffsetDateTime,
) -> Result<String, UnlinkError> {
    if user.identities.len() <= 1 {
        return Err(UnlinkError::LastIdentity);
    }
    let (gone, left): (Vec<_>, Vec<_>) =
        user.identities.iter().partition(|identity| identity.identity_id == id);
    let gone = gone.first().ok_or(UnlinkError::NotFound)?;
    let has_address = |identity: &&&Identity| {
        identity.email.as_deref().is_some_and(|email| email.eq_ignore_ascii_case(&user.email))
    };
    let is_address = gone.provider == "email" || has_address(&gone);
    if !user.email.is_empty() && is_address && !left.iter().any(|other| has_address(&other)) {
        return Err(UnlinkError::EmailConflict);
    }
    identity::delete(tx, user.id, id).await?;
    identity::list_providers(tx, user.id, now).await?;
    let at = AtProvider { provider: &gone.provider, subject: &gone.id };
    note(tx, "identity_unlinked", user.id, id, at).await?;
    Ok(gone.provider.clone())
}
