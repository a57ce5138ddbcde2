//! The account of somebody whom a provider has authenticated.
//!
//! An account is found by the person's id at the provider. Without one it is found by the address, if the provider says
//! that the address is verified. An account with that address which nobody has confirmed may have been made by a
//! stranger who waits for the owner: it loses password, sessions and factors before the owner gets it.

use rowhouse_db::Transaction;
use serde_json::json;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::Auth;
use crate::fault::Fault;
use crate::flow::account::merged;
use crate::flow::new_user::new_user;
use crate::flow::signup_letter::shown;
use crate::hook::Hook;
use crate::metadata;
use crate::model::{Object, User};
use crate::policy::{self, EmailError};
use crate::provider::{Profile, Provider};
use crate::request::Client;
use crate::store::identity::{self, AccountUpdate, AtProvider, NewExternalUser};
use crate::store::user_change::WriteError;
use crate::store::{audit, user};

/// Why somebody is not admitted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AdmitError {
    #[error("Signups not allowed for this instance")]
    SignupDisabled,
    #[error("User is banned")]
    Banned,
    /// The provider tells no address.
    #[error("Error getting user email from external provider")]
    NoEmail,
    /// One answer, whether or not an account has the address.
    #[error("Unverified email with {0}. Verify the email with {0} in order to sign in")]
    Unverified(String),
    #[error(transparent)]
    Email(#[from] EmailError),
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// What is done with somebody without an account at this provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Newcomer<'a> {
    /// Gets a new account.
    Create {
        email: Option<&'a str>,
    },
    /// Owns the account with the address.
    Link(Uuid),
    /// Owns the address of an account that nobody has proved to own.
    TakeOver(Uuid),
    /// Owns the address, but another person's account has it unconfirmed beside a number or identity of their own.
    Displace {
        from: Uuid,
        email: &'a str,
    },
    Unverified,
    NoEmail,
}

/// Tells the project's hook of an account that would be made, before the transaction that makes it: the hook may be a
/// request. Returns the id that such an account gets.
pub(crate) async fn announce(
    auth: &Auth,
    provider: &Provider,
    profile: &Profile,
    client: &Client,
) -> Result<Uuid, Fault> {
    let id = auth.new_id();
    if !auth.hooks.has(Hook::BeforeUserCreated) {
        return Ok(id);
    }
    let (name, person) = (provider.name.clone(), profile.clone());
    let (is_optional, at_once) = (provider.email_optional, auth.settings.mailer_autoconfirm);
    let look = async move |db: &tokio_postgres::Client| -> Result<Option<String>, Fault> {
        if identity::find(db, AtProvider { provider: &name, subject: &person.subject }).await?.is_some() {
            return Ok(None);
        }
        let owner = find_owner(db, &person).await?;
        Ok(match decide(&person, owner.as_ref(), is_optional, at_once) {
            Newcomer::Create { email } => Some(email.unwrap_or_default().to_owned()),
            Newcomer::Displace { email, .. } => Some(email.to_owned()),
            _ => None,
        })
    };
    let new = auth.control.statement(&client.operation("auth.find_newcomer"), look).await?;
    if let Some(email) = new {
        let data = profile.data.clone();
        let mut user = shown(auth, id, &new_user(id, email, Object::new(), true), auth.now());
        user.user_metadata = data;
        let providers = json!({ "provider": provider.name, "providers": [provider.name] });
        user.app_metadata = providers.as_object().cloned().unwrap_or_default();
        auth.hooks.call(Hook::BeforeUserCreated, json!({ "user": user }), client).await?;
    }
    Ok(id)
}

/// The account that has the address.
async fn find_owner(client: &tokio_postgres::Client, profile: &Profile) -> Result<Option<User>, Fault> {
    let Some(email) = &profile.email else { return Ok(None) };
    Ok(user::find_by_email(client, email).await?.map(|row| row.user))
}

/// Finds the account, or makes one with the id `new`, and lists the identity in it.
pub(crate) async fn admit(
    auth: &Auth,
    tx: &Transaction<'_>,
    provider: &Provider,
    profile: &Profile,
    new: Uuid,
    now: OffsetDateTime,
) -> Result<Uuid, AdmitError> {
    let at = AtProvider { provider: &provider.name, subject: &profile.subject };
    let user = match identity::lock(tx, at).await? {
        Some(user) => known(auth, tx, user, at, profile, now).await?,
        None => newcomer(auth, tx, provider, profile, new, now).await?,
    };
    identity::list_providers(tx, user, now).await?;
    Ok(user)
}

/// Somebody who was here before.
async fn known(
    auth: &Auth,
    tx: &Transaction<'_>,
    id: Uuid,
    at: AtProvider<'_>,
    profile: &Profile,
    now: OffsetDateTime,
) -> Result<Uuid, AdmitError> {
    let user = lock(tx, id, now).await?;
    let must_confirm = !user.email.is_empty() && user.email_confirmed_at.is_none();
    if must_confirm {
        let is_proved = profile.is_verified && profile.email.as_deref() == Some(&user.email);
        if !is_proved {
            return Err(AdmitError::Unverified(at.provider.to_owned()));
        }
        identity::evict_unproved(tx, id).await?;
        identity::insert(tx, auth.new_id(), id, at, &profile.data, now).await?;
    } else {
        identity::set_data(tx, at, &profile.data, now).await?;
    }
    let update = AccountUpdate {
        user_metadata: merged_metadata(&user, profile),
        confirm: must_confirm,
        ..AccountUpdate::default()
    };
    identity::update_user(tx, id, &update, now).await?;
    Ok(id)
}

async fn newcomer(
    auth: &Auth,
    tx: &Transaction<'_>,
    provider: &Provider,
    profile: &Profile,
    new: Uuid,
    now: OffsetDateTime,
) -> Result<Uuid, AdmitError> {
    let owner = find_owner(tx, profile).await?;
    let at_once = auth.settings.mailer_autoconfirm;
    match decide(profile, owner.as_ref(), provider.email_optional, at_once) {
        Newcomer::Create { email } => create(auth, tx, provider, profile, (new, email), now).await,
        Newcomer::Link(user) => take(auth, tx, user, provider, profile, false, now).await,
        Newcomer::TakeOver(user) => take(auth, tx, user, provider, profile, true, now).await,
        Newcomer::Displace { from, email } => {
            identity::free_address(tx, from, now).await?;
            identity::list_providers(tx, from, now).await?;
            create(auth, tx, provider, profile, (new, Some(email)), now).await
        }
        Newcomer::Unverified => Err(AdmitError::Unverified(provider.name.clone())),
        Newcomer::NoEmail => Err(AdmitError::NoEmail),
    }
}

/// `at_once`: addresses are confirmed without a mail, so anybody may make an account with any free address.
fn decide<'a>(
    profile: &'a Profile,
    owner: Option<&User>,
    email_optional: bool,
    at_once: bool,
) -> Newcomer<'a> {
    let Some(email) = profile.email.as_deref() else {
        return if email_optional { Newcomer::Create { email: None } } else { Newcomer::NoEmail };
    };
    match owner {
        None if profile.is_verified || at_once => Newcomer::Create { email: Some(email) },
        _ if !profile.is_verified && email_optional => Newcomer::Create { email: None },
        _ if !profile.is_verified => Newcomer::Unverified,
        None => Newcomer::Create { email: Some(email) },
        Some(owner) if owner.email_confirmed_at.is_some() => Newcomer::Link(owner.id),
        Some(owner) if is_in_use(owner) => Newcomer::Displace { from: owner.id, email },
        Some(owner) => Newcomer::TakeOver(owner.id),
    }
}

/// Whether somebody signs in to the account without its address.
fn is_in_use(user: &User) -> bool {
    user.phone_confirmed_at.is_some() || user.identities.iter().any(|identity| identity.provider != "email")
}

async fn create(
    auth: &Auth,
    tx: &Transaction<'_>,
    provider: &Provider,
    profile: &Profile,
    (id, email): (Uuid, Option<&str>),
    now: OffsetDateTime,
) -> Result<Uuid, AdmitError> {
    if auth.settings.disable_signup {
        return Err(AdmitError::SignupDisabled);
    }
    if let Some(email) = email {
        policy::chosen_email(email, &auth.settings)?;
    }
    identity::insert_user(tx, &NewExternalUser { id, email, user_metadata: &profile.data }, now).await?;
    let at = AtProvider { provider: &provider.name, subject: &profile.subject };
    identity::insert(tx, auth.new_id(), id, at, &profile.data, now).await?;
    identity::update_user(tx, id, &AccountUpdate::default(), now).await?;
    Ok(id)
}

/// The identity becomes one of an account that exists.
async fn take(
    auth: &Auth,
    tx: &Transaction<'_>,
    id: Uuid,
    provider: &Provider,
    profile: &Profile,
    is_unproved: bool,
    now: OffsetDateTime,
) -> Result<Uuid, AdmitError> {
    let user = lock(tx, id, now).await?;
    if is_unproved {
        identity::evict_unproved(tx, id).await?;
    }
    let at = AtProvider { provider: &provider.name, subject: &profile.subject };
    let identity = auth.new_id();
    identity::insert(tx, identity, id, at, &profile.data, now).await?;
    let user_metadata =
        if is_unproved { Some(profile.data.clone()) } else { merged_metadata(&user, profile) };
    let update = AccountUpdate { user_metadata, confirm: is_unproved, ..AccountUpdate::default() };
    identity::update_user(tx, id, &update, now).await?;
    note(tx, "identity_linked", id, identity, at).await?;
    Ok(id)
}

async fn lock(tx: &Transaction<'_>, id: Uuid, now: OffsetDateTime) -> Result<User, AdmitError> {
    let user = user::lock(tx, id).await?.ok_or(Fault::Vanished)?.user;
    // Deleted users keep no identities.
    if user.is_banned(now) || user.deleted_at.is_some() { Err(AdmitError::Banned) } else { Ok(user) }
}

/// The claims as user metadata; what the user has written stays if both together are too large.
pub(super) fn merged_metadata(user: &User, profile: &Profile) -> Option<Object> {
    let before = metadata::size(&user.user_metadata);
    metadata::user(before, merged(user.user_metadata.clone(), &profile.data)).ok()
}

/// Writes down that an identity was linked or unlinked.
pub(super) async fn note(
    tx: &Transaction<'_>,
    action: &str,
    user: Uuid,
    identity: Uuid,
    at: AtProvider<'_>,
) -> Result<(), Fault> {
    let traits = json!({
        "identity_id": identity, "provider": at.provider, "provider_id": at.subject,
    });
    audit::write(tx, action, "user", user, traits).await
}

#[cfg(test)]
mod tests;
