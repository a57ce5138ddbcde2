//! Passkeys of the signed-in user: registering, renaming, removing.

use rowhouse_db::Transaction;
use serde_json::{Value, json};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::Auth;
use crate::authenticator;
use crate::fault::{Fault, carry_fault};
use crate::flow::factor::MAX_NAME;
use crate::flow::holder::{self, Holder, HolderError};
use crate::flow::notification::{self, Notification};
use crate::flow::proof::note;
use crate::request::{Client, SignedIn};
use crate::store::passkey::{self, NewCeremony, Passkey, Purpose};
use crate::store::{assurance, audit, user};
use crate::webauthn::{Creation, Discoverable, SessionData, creation_options};

/// Why a passkey is not registered, shown, renamed or removed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PasskeyError {
    #[error(transparent)]
    Holder(#[from] HolderError),
    #[error("AAL2 session is required to manage passkeys when MFA is enabled")]
    NeedsAal2,
    /// The user has as many as are allowed.
    #[error("Maximum number of passkeys reached")]
    TooMany,
    /// No such ceremony, or it was answered.
    #[error("Challenge not found or already used")]
    ChallengeNotFound,
    #[error("Challenge has expired")]
    ChallengeExpired,
    /// The authenticator's answer is refused.
    #[error("Credential verification failed")]
    Refused,
    /// The credential is registered, by whomever.
    #[error("This credential is already registered")]
    Registered,
    #[error("friendly_name is required")]
    NoName,
    #[error("friendly_name must be {MAX_NAME} characters or less")]
    NameTooLong,
    /// The user has no such passkey.
    #[error("Passkey not found")]
    NotFound,
    #[error(transparent)]
    Fault(#[from] Fault),
}
carry_fault!(PasskeyError);

/// A ceremony that waits for the authenticator.
#[derive(Debug)]
pub(crate) struct Begun {
    pub(crate) id: Uuid,
    pub(crate) options: Value,
    pub(crate) expires_at: OffsetDateTime,
}

/// Begins the registration of a passkey.
pub(crate) async fn begin(auth: &Auth, caller: SignedIn, client: &Client) -> Result<Begun, PasskeyError> {
    let now = auth.now();
    let service = auth.clone();
    let work = async move |tx: &Transaction<'_>| {
        let holder = lock(tx, caller, now).await?;
        let user = holder.user.id;
        let ids = passkey::credential_ids(tx, user).await?;
        service.require_room_for_passkey(ids.len())?;
        let session = SessionData::new(&*service.rng);
        let begun = Begun {
            id: service.new_id(),
            options: creation_options(service.terms(), &holder.user, &session, &ids, Discoverable::Required),
            expires_at: now + service.mfa.mfa_challenge_expiry,
        };
        let ceremony = NewCeremony {
            id: begun.id,
            user: Some(user),
            purpose: Purpose::Registration,
            session: session.to_json(),
            expires_at: begun.expires_at,
        };
        passkey::begin(tx, &ceremony, now).await?;
        Ok(begun)
    };
    auth.control.run_tx(&client.operation("auth.begin_passkey"), work).await
}

/// Registers the passkey that an authenticator has made. The ceremony ends even if the answer is refused.
pub(crate) async fn register(
    auth: &Auth,
    caller: SignedIn,
    ceremony: Uuid,
    (creation, friendly_name): (Creation, Option<String>),
    client: &Client,
) -> Result<Passkey, PasskeyError> {
    let friendly_name = friendly_name.filter(|name| !name.is_empty());
    if friendly_name.as_ref().is_some_and(|name| name.chars().count() > MAX_NAME) {
        return Err(PasskeyError::NameTooLong);
    }
    let now = auth.now();
    let (service, from) = (auth.clone(), client.clone());
    let work = async move |tx: &Transaction<'_>| {
        let holder = lock(tx, caller, now).await?;
        let row = passkey::end(tx, ceremony, Purpose::Registration, Some(holder.user.id)).await?;
        let row = row.ok_or(PasskeyError::ChallengeNotFound)?;
        if row.expires_at <= now {
            return Ok(Err(PasskeyError::ChallengeExpired));
        }
        let session: SessionData = serde_json::from_value(row.session).map_err(Fault::Json)?;
        let made = (&creation, friendly_name.as_deref());
        let stored = store(&service, tx, &holder, &session, made, now).await?;
        if stored.is_ok() {
            notification::tell(&service, tx, &holder.user, Notification::PasskeyAdded, &from).await?;
        }
        Ok(stored)
    };
    auth.control.run_tx::<_, PasskeyError>(&client.operation("auth.register_passkey"), work).await?
}

/// A refusal is an outcome here, not an error, so that the end of the ceremony is committed.
async fn store(
    auth: &Auth,
    tx: &Transaction<'_>,
    holder: &Holder,
    session: &SessionData,
    (creation, friendly_name): (&Creation, Option<&str>),
    now: OffsetDateTime,
) -> Result<Result<Passkey, PasskeyError>, PasskeyError> {
    let Ok(created) = creation.verify(&auth.relying_party, &session.challenge.0).map_err(note) else {
        return Ok(Err(PasskeyError::Refused));
    };
    let user = holder.user.id;
    if let Err(error) = auth.require_room_for_passkey(passkey::credential_ids(tx, user).await?.len()) {
        return Ok(Err(error));
    }
    let id = auth.new_id();
    let name = friendly_name.unwrap_or_else(|| authenticator::name(Uuid::from_bytes(created.aaguid)));
    let stored = passkey::insert(tx, id, user, (&created, &creation.transports(), name), now).await?;
    if stored.is_some() {
        audit::write(tx, "passkey_created", "user", user, json!({ "passkey_id": id })).await?;
    }
    Ok(stored.ok_or(PasskeyError::Registered))
}

impl Auth {
    fn require_room_for_passkey(&self, registered: usize) -> Result<(), PasskeyError> {
        let most = usize::from(self.mfa.max_passkeys_per_user);
        if registered >= most { Err(PasskeyError::TooMany) } else { Ok(()) }
    }
}

async fn lock(tx: &Transaction<'_>, caller: SignedIn, now: OffsetDateTime) -> Result<Holder, PasskeyError> {
    let holder = holder::lock(tx, caller, now).await?;
    if holder.lacks_factor() { Err(PasskeyError::NeedsAal2) } else { Ok(holder) }
}

/// The caller's passkeys.
pub(crate) async fn list(
    auth: &Auth,
    caller: SignedIn,
    client: &Client,
) -> Result<Vec<Passkey>, PasskeyError> {
    let now = auth.now();
    let work = async move |tx: &Transaction<'_>| {
        let holder = holder::lock(tx, caller, now).await?;
        Ok(passkey::list(tx, holder.user.id).await?)
    };
    auth.control.run_tx(&client.operation("auth.list_passkeys"), work).await
}

/// Renames a passkey of the caller.
pub(crate) async fn rename(
    auth: &Auth,
    caller: SignedIn,
    id: Uuid,
    friendly_name: String,
    client: &Client,
) -> Result<Passkey, PasskeyError> {
    if friendly_name.is_empty() {
        return Err(PasskeyError::NoName);
    }
    if friendly_name.chars().count() > MAX_NAME {
        return Err(PasskeyError::NameTooLong);
    }
    let now = auth.now();
    let work = async move |tx: &Transaction<'_>| {
        let user = holder::lock(tx, caller, now).await?.user.id;
        let renamed = passkey::rename(tx, user, id, &friendly_name, now).await?;
        let renamed = renamed.ok_or(PasskeyError::NotFound)?;
        audit::write(tx, "passkey_updated", "user", user, json!({ "passkey_id": id })).await?;
        Ok(renamed)
    };
    auth.control.run_tx(&client.operation("auth.rename_passkey"), work).await
}

/// Removes a passkey of the caller.
pub(crate) async fn delete(
    auth: &Auth,
    caller: SignedIn,
    id: Uuid,
    client: &Client,
) -> Result<(), PasskeyError> {
    let now = auth.now();
    let (service, from) = (auth.clone(), client.clone());
    let work = async move |tx: &Transaction<'_>| {
        let holder = lock(tx, caller, now).await?;
        remove(&service, tx, (holder.user.id, id), &from).await
    };
    auth.control.run_tx(&client.operation("auth.delete_passkey"), work).await
}

/// Removes a passkey of any user, for the operator.
pub(crate) async fn admin_delete(
    auth: &Auth,
    user: Uuid,
    id: Uuid,
    client: &Client,
) -> Result<(), PasskeyError> {
    let (service, from) = (auth.clone(), client.clone());
    let work = async move |tx: &Transaction<'_>| {
        assurance::lock_user(tx, user).await?;
        remove(&service, tx, (user, id), &from).await
    };
    auth.control.run_tx(&client.operation("auth.admin_delete_passkey"), work).await
}

async fn remove(
    auth: &Auth,
    tx: &Transaction<'_>,
    (user, id): (Uuid, Uuid),
    client: &Client,
) -> Result<(), PasskeyError> {
    if !passkey::delete(tx, user, id).await? {
        return Err(PasskeyError::NotFound);
    }
    audit::write(tx, "passkey_deleted", "user", user, json!({ "passkey_id": id })).await?;
    let owner = user::find(tx, user).await?.ok_or(Fault::Vanished)?.user;
    Ok(notification::tell(auth, tx, &owner, Notification::PasskeyRemoved, client).await?)
}
