//! The signed-in user's own record.

use rowhouse_db::{OwnSession, Transaction};
use serde_json::Value;
use time::OffsetDateTime;

use crate::Auth;
use crate::fault::{Fault, carry_fault};
use crate::live::{NotLive, require_live};
use crate::metadata::{self, MetadataError};
use crate::model::{Object, User};
use crate::policy::{self, EmailError, Password, PasswordError};
use crate::request::{Client, SignedIn};
use crate::store::session::Scope;
use crate::store::user::{UserChange, UserRow, WriteError};
use crate::store::{prepared_user, session, user};

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
    /// The new password is the old one.
    #[error("New password should be different from the old password.")]
    SamePassword,
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error(transparent)]
    Fault(#[from] Fault),
}
carry_fault!(AccountError);

/// What users may change about themselves.
#[derive(Debug, Default)]
pub(crate) struct AccountChange {
    pub(crate) email: Option<String>,
    pub(crate) password: Option<Password>,
    /// Merged into user metadata; null removes a key.
    pub(crate) data: Option<Object>,
}

/// The user, if session and user are still valid.
pub(crate) async fn get(auth: &Auth, caller: SignedIn, client: &Client) -> Result<User, AccountError> {
    find(auth, caller, client).await.map(|row| row.user)
}

async fn find(auth: &Auth, caller: SignedIn, client: &Client) -> Result<UserRow, AccountError> {
    let session = caller.session.map(|session| session.0);
    let find = async move |db: &OwnSession<'_>| prepared_user::find_live(db, caller.user.0, session).await;
    let live = auth.control.own_statement(&client.operation("auth.get_user"), find).await?;
    Ok(require_live(live, caller, auth.now())?)
}

/// Changes the user. A new password ends all other sessions; a new address is pending until it is confirmed, unless
/// addresses are confirmed at once.
pub(crate) async fn update(
    auth: &Auth,
    caller: SignedIn,
    change: AccountChange,
    client: &Client,
) -> Result<User, AccountError> {
    let before = find(auth, caller, client).await?;
    let email = change.email.as_deref().filter(|email| !email.is_empty());
    let email = email.map(|email| policy::chosen_email(email, &auth.settings)).transpose()?;
    let email = email.filter(|email| *email != before.user.email);
    let encrypted_password = match change.password {
        Some(password) => Some(new_hash(auth, password, before.encrypted_password).await?),
        None => None,
    };
    let (now, at_once) = (auth.now(), auth.settings.mailer_autoconfirm);
    let (email, pending_email) = if at_once { (email, None) } else { (None, email) };
    let base = UserChange {
        confirm_email: email.is_some(),
        email,
        pending_email,
        encrypted_password,
        ..UserChange::default()
    };
    let data = change.data;
    let work = async move |tx: &Transaction<'_>| apply(tx, caller, &base, data.as_ref(), now).await;
    auth.control.run_tx(&client.operation("auth.update_user"), work).await
}

async fn new_hash(auth: &Auth, password: Password, old: Option<String>) -> Result<String, AccountError> {
    password.require_safe(&auth.settings, &auth.breaches).await?;
    if old.is_some() && auth.hasher.verify(password.clone(), old).await?.is_match() {
        return Err(AccountError::SamePassword);
    }
    Ok(auth.hasher.hash(password).await?)
}

async fn apply(
    tx: &Transaction<'_>,
    caller: SignedIn,
    base: &UserChange,
    data: Option<&Object>,
    now: OffsetDateTime,
) -> Result<User, AccountError> {
    let row = user::lock(tx, caller.user.0).await?.ok_or(NotLive::UserNotFound)?;
    let current = caller.session.map(|session| session.0);
    require_live(user::find_live(tx, caller.user.0, current).await?, caller, now)?;
    // A pending address is not looked up: the answer would reveal whether a user has it.
    if let Some(email) = &base.email {
        user::require_free(tx, email, caller.user.0).await?;
    }
    let before = metadata::size(&row.user.user_metadata);
    let user_metadata = data.map(|data| metadata::user(before, merged(row.user.user_metadata, data)));
    let change = UserChange {
        email: base.email.clone(),
        pending_email: base.pending_email.clone(),
        confirm_email: base.confirm_email,
        encrypted_password: base.encrypted_password.clone(),
        user_metadata: user_metadata.transpose()?,
        ..UserChange::default()
    };
    user::update(tx, caller.user.0, &change, now).await?;
    if change.encrypted_password.is_some() {
        session::end(tx, caller.user.0, current, Scope::Others).await?;
    }
    let row = user::find(tx, caller.user.0).await?;
    Ok(row.map(|row| row.user).ok_or(NotLive::UserNotFound)?)
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
