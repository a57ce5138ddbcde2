//! The signed-in user's own record.

use serde_json::Value;
use time::OffsetDateTime;
use tokio_postgres::Transaction;

use crate::model::{Object, User};
use crate::policy::{self, Password};
use crate::request::SignedIn;
use crate::store::session::Scope;
use crate::store::user::{LiveUser, UserChange, UserRow};
use crate::store::{session, user};
use crate::{Auth, AuthError};

/// What a user may change about himself.
#[derive(Debug, Default)]
pub(crate) struct AccountChange {
    pub(crate) email: Option<String>,
    pub(crate) password: Option<Password>,
    /// Merged into user metadata; null removes a key.
    pub(crate) data: Option<Object>,
}

/// The user, if session and user still stand.
pub(crate) async fn get(auth: &Auth, caller: SignedIn) -> Result<User, AuthError> {
    find(auth, caller).await.map(|row| row.user)
}

async fn find(auth: &Auth, caller: SignedIn) -> Result<UserRow, AuthError> {
    let session = caller.session.map(|session| session.0);
    let find = async move |db: &tokio_postgres::Client| user::find_live(db, caller.user.0, session).await;
    let live = auth.control.read("auth.get_user", find).await?;
    require_live(live, caller, auth.now())
}

/// Changes the user. A new password ends all his other sessions; a new address waits for its confirmation unless
/// addresses are confirmed at once.
pub(crate) async fn update(auth: &Auth, caller: SignedIn, change: AccountChange) -> Result<User, AuthError> {
    let before = find(auth, caller).await?;
    let email = change.email.as_deref().filter(|email| !email.is_empty()).map(policy::email).transpose()?;
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
    auth.control.run_tx("auth.update_user", work).await
}

async fn new_hash(auth: &Auth, password: Password, old: Option<String>) -> Result<String, AuthError> {
    password.require_acceptable(&auth.settings)?;
    if old.is_some() && auth.hasher.verify(password.clone(), old).await?.is_match() {
        return Err(AuthError::SamePassword);
    }
    auth.hasher.hash(password).await
}

async fn apply(
    tx: &Transaction<'_>,
    caller: SignedIn,
    base: &UserChange,
    data: Option<&Object>,
    now: OffsetDateTime,
) -> Result<User, AuthError> {
    let row = user::lock(tx, caller.user.0).await?.ok_or(AuthError::UserNotFound)?;
    let current = caller.session.map(|session| session.0);
    require_live(user::find_live(tx, caller.user.0, current).await?, caller, now)?;
    if let Some(email) = base.email.as_ref().or(base.pending_email.as_ref()) {
        user::require_free(tx, email, caller.user.0).await?;
    }
    let user_metadata = data.map(|data| merged(row.user.user_metadata, data));
    let change = UserChange {
        email: base.email.clone(),
        pending_email: base.pending_email.clone(),
        confirm_email: base.confirm_email,
        encrypted_password: base.encrypted_password.clone(),
        user_metadata,
        ..UserChange::default()
    };
    user::update(tx, caller.user.0, &change, now).await?;
    if change.encrypted_password.is_some() {
        session::end(tx, caller.user.0, current, Scope::Others).await?;
    }
    let row = user::find(tx, caller.user.0).await?;
    row.map(|row| row.user).ok_or(AuthError::UserNotFound)
}

/// `changes` over `metadata`, key by key; null removes one.
pub(crate) fn merged(mut metadata: Object, changes: &Object) -> Object {
    for (name, value) in changes {
        match value {
            Value::Null => metadata.remove(name),
            value => metadata.insert(name.clone(), value.clone()),
        };
    }
    metadata
}

/// Refuses who has been deleted, banned or signed out since the token was signed.
pub(crate) fn require_live(
    live: Option<LiveUser>,
    caller: SignedIn,
    now: OffsetDateTime,
) -> Result<UserRow, AuthError> {
    let live = live.filter(|live| live.row.user.deleted_at.is_none()).ok_or(AuthError::UserNotFound)?;
    let ended = live.not_after.is_some_and(|end| end <= now);
    if caller.session.is_some() && (!live.has_session || ended) {
        return Err(AuthError::SessionNotFound);
    }
    if live.row.user.is_banned(now) { Err(AuthError::UserBanned) } else { Ok(live.row) }
}

#[cfg(test)]
mod tests;
