//! The signed-in user's own record.

use rowhouse_db::Transaction;
use rowhouse_kernel::Secret;
use serde_json::Value;
use uuid::Uuid;

use crate::Auth;
use crate::fault::{Fault, carry_fault};
use crate::flow::email_change;
use crate::flow::notification::{self, Notification};
use crate::flow::one_time::Return;
use crate::flow::phone_change::{self, PhoneChange, WantedPhone};
use crate::flow::phone_code::CodeError;
use crate::flow::reauthenticate::{self, Nonce, ReauthenticationError};
use crate::letter_limit::TooManyLetters;
use crate::live::{NotLive, require_live};
use crate::metadata::{self, MetadataError};
use crate::model::{Object, User};
use crate::policy::{self, EmailError, Password, PasswordError};
use crate::request::{Client, SignedIn};
use crate::store::session::Scope;
use crate::store::user::{LiveUser, UserRow};
use crate::store::user_change::{self, UserChange, WriteError};
use crate::store::{one_time_token, prepared_user, session, user};

/// Why the user's record is not shown or changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AccountError {
    /// Session or user are no longer valid.
    #[error(transparent)]
    NotLive(#[from] NotLive),
    #[error(transparent)]
    Email(#[from] EmailError),
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// A stolen password alone must not be enough to take the account over.
    #[error("AAL2 session is required to update email or password when MFA is enabled.")]
    NeedsAal2,
    /// The new password is the old one.
    #[error("New password should be different from the old password.")]
    SamePassword,
    /// Nobody could sign in with it.
    #[error("Updating password of an anonymous user without an email or phone is not allowed")]
    PasswordWithoutAddress,
    #[error(transparent)]
    Reauthentication(#[from] ReauthenticationError),
    #[error(transparent)]
    Letters(#[from] TooManyLetters),
    #[error(transparent)]
    Code(#[from] CodeError),
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error(transparent)]
    Fault(#[from] Fault),
}
carry_fault!(AccountError);

/// What users may change about themselves.
#[derive(Debug)]
pub(crate) struct AccountChange {
    pub(crate) email: Option<String>,
    pub(crate) phone: Option<WantedPhone>,
    pub(crate) password: Option<Password>,
    /// Merged into user metadata; null removes a key.
    pub(crate) data: Option<Object>,
    /// The code of a letter, which a new password may need.
    pub(crate) nonce: Option<Secret>,
    pub(crate) back: Return,
}

/// The user, if session and user are still valid.
pub(crate) async fn get(auth: &Auth, caller: SignedIn, client: &Client) -> Result<User, AccountError> {
    find(auth, caller, client).await.map(|(row, _)| row.user)
}

/// The user, and whether the session lacks the second factor that the user has.
async fn find(auth: &Auth, caller: SignedIn, client: &Client) -> Result<(UserRow, bool), AccountError> {
    let session = caller.session.map(|session| session.0);
    let operation = client.operation("auth.get_user");
    let live = prepared_user::look_up_live(&auth.lookups, &operation, caller.user.0, session).await?;
    let lacks_factor = live.as_ref().is_some_and(LiveUser::lacks_factor);
    Ok((require_live(live, caller, auth.now())?, lacks_factor))
}

/// Changes the user. A new password ends all other sessions; a new address or number is pending until it is confirmed, but
/// for numbers, and addresses of anonymous users, where they are confirmed at once.
pub(crate) async fn update(
    auth: &Auth,
    caller: SignedIn,
    change: AccountChange,
    client: &Client,
) -> Result<User, AccountError> {
    let (before, lacks_factor) = find(auth, caller, client).await?;
    let email = change.email.as_deref().filter(|email| !email.is_empty());
    let email = email.map(|email| policy::chosen_email(email, &auth.settings)).transpose()?;
    let email = email.filter(|email| *email != before.user.email);
    let phone = change.phone.filter(|wanted| wanted.phone.as_str() != before.user.phone);
    if lacks_factor && (email.is_some() || phone.is_some() || change.password.is_some()) {
        return Err(AccountError::NeedsAal2);
    }
    if before.user.is_anonymous && change.password.is_some() && email.is_none() && phone.is_none() {
        return Err(AccountError::PasswordWithoutAddress);
    }
    if let Some(email) = &email {
        email_change::count(auth, &before.user, email, client).await?;
    }
    // A number signs in, too. An anonymous user has nothing yet by which to prove anything.
    let is_guarded = change.password.is_some() || (phone.is_some() && !before.user.is_anonymous);
    let nonce = match is_guarded {
        true => reauthenticate::require(auth, caller, &before.user, change.nonce, client).await?,
        false => None,
    };
    let encrypted_password = match change.password {
        Some(password) => Some(new_hash(auth, password, before.encrypted_password).await?),
        None => None,
    };
    let phone = match phone {
        Some(wanted) => Some(phone_change::send(auth, &before.user, wanted, client).await?),
        None => None,
    };
    let base = Change { email, phone, encrypted_password, nonce, data: change.data, back: change.back };
    let (service, from) = (auth.clone(), client.clone());
    let work = async move |tx: &Transaction<'_>| apply(&service, tx, caller, &base, &from).await;
    auth.control.run_tx(&client.operation("auth.update_user"), work).await
}

/// What is written.
struct Change {
    email: Option<String>,
    phone: Option<PhoneChange>,
    encrypted_password: Option<String>,
    nonce: Option<Nonce>,
    data: Option<Object>,
    back: Return,
}

async fn new_hash(auth: &Auth, password: Password, old: Option<String>) -> Result<String, AccountError> {
    password.require_safe(&auth.settings, &auth.breaches).await?;
    if old.is_some() && auth.hasher.verify(password.clone(), old).await?.is_match() {
        return Err(AccountError::SamePassword);
    }
    Ok(auth.hasher.hash(password).await?)
}

async fn apply(
    auth: &Auth,
    tx: &Transaction<'_>,
    caller: SignedIn,
    asked: &Change,
    client: &Client,
) -> Result<User, AccountError> {
    let (id, now) = (caller.user.0, auth.now());
    let row = user::lock(tx, id).await?.ok_or(NotLive::UserNotFound)?;
    let current = caller.session.map(|session| session.0);
    require_live(user::find_live(tx, id, current).await?, caller, now)?;
    if let Some(nonce) = asked.nonce
        && !one_time_token::take(tx, nonce.token).await?
    {
        return Err(ReauthenticationError::NotValid.into());
    }
    // Where letters confirm addresses, a pending one is not looked up: the answer would reveal whether a user has it.
    if let (Some(email), true) = (&asked.email, auth.settings.mailer_autoconfirm) {
        user_change::require_free(tx, email, id).await?;
    }
    let before = metadata::size(&row.user.user_metadata);
    let data = asked.data.as_ref();
    let user_metadata = data.map(|data| metadata::user(before, merged(row.user.user_metadata, data)));
    let change = UserChange {
        pending_email: asked.email.clone(),
        encrypted_password: asked.encrypted_password.clone(),
        user_metadata: user_metadata.transpose()?,
        ..UserChange::default()
    };
    user_change::update(tx, id, &change, now).await?;
    if change.encrypted_password.is_some() {
        session::end(tx, id, current, Scope::Others).await?;
        let user = user::find(tx, id).await?.ok_or(NotLive::UserNotFound)?.user;
        notification::tell(auth, tx, &user, Notification::PasswordChanged, client).await?;
    }
    if asked.email.is_some() {
        change_email(auth, tx, id, &asked.back, client).await?;
    }
    if let Some(change) = &asked.phone {
        let user = user::find(tx, id).await?.ok_or(NotLive::UserNotFound)?.user;
        phone_change::write(auth, tx, &user, change, client).await?;
    }
    let row = user::find(tx, id).await?;
    Ok(row.map(|row| row.user).ok_or(NotLive::UserNotFound)?)
}

async fn change_email(
    auth: &Auth,
    tx: &Transaction<'_>,
    id: Uuid,
    back: &Return,
    client: &Client,
) -> Result<(), AccountError> {
    let user = user::find(tx, id).await?.ok_or(NotLive::UserNotFound)?.user;
    match user.is_anonymous && auth.settings.mailer_autoconfirm {
        true => Ok(email_change::apply(auth, tx, &user).await?),
        false => Ok(email_change::begin(auth, tx, &user, back, client).await?),
    }
}

/// `metadata` merged with `changes`, key by key; null removes a key.
pub(crate) fn merged(mut metadata: Object, changes: &Object) -> Object {
    for (name, value) in changes {
        match value {
            Value::Null => metadata.remove(name),
            value => metadata.insert(name.clone(), value.clone()),
        };
    }
    metadata
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::merged;

    #[test]
    fn metadata_is_merged_key_by_key_and_null_removes() {
        let object = |value: serde_json::Value| value.as_object().unwrap().clone();
        let before = object(json!({ "a": 1, "b": { "x": 1 }, "c": 3 }));
        let after = merged(before, &object(json!({ "b": { "y": 2 }, "c": null, "d": 4 })));
        assert_eq!(after, object(json!({ "a": 1, "b": { "y": 2 }, "d": 4 })));
    }
}
