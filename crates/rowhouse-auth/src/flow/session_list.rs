//! Listing sessions and ending one of them: by their user, or by an administrator.

use rowhouse_db::{OwnSession, Transaction};
use uuid::Uuid;

use crate::Auth;
use crate::fault::{Fault, carry_fault};
use crate::live::{NotLive, require_live};
use crate::request::{Client, SignedIn};
use crate::store::session_list::{self, SessionInfo};
use crate::store::{prepared_user, user};

/// Why sessions are not listed or ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionListError {
    /// Session or user of the caller are no longer valid.
    #[error(transparent)]
    NotLive(#[from] NotLive),
    #[error("User not found")]
    NoSuchUser,
    /// Not there, over, or another user's: one answer for all.
    #[error("Session not found")]
    NoSuchSession,
    #[error(transparent)]
    Fault(#[from] Fault),
}
carry_fault!(SessionListError);

/// The caller's sessions.
pub(crate) async fn list(
    auth: &Auth,
    caller: SignedIn,
    client: &Client,
) -> Result<Vec<SessionInfo>, SessionListError> {
    let (current, now, limit) =
        (caller.session.map(|session| session.0), auth.now(), auth.settings.max_sessions_per_user);
    let find = async move |db: &OwnSession<'_>| {
        tokio::try_join!(
            prepared_user::find_live(db, caller.user.0, current),
            session_list::list(db, caller.user.0, limit, now)
        )
    };
    let found = auth.control.own_statement(&client.operation("auth.list_sessions"), find).await;
    let (live, mut sessions) = found.map_err(|fault: Fault| fault)?;
    require_live(live, caller, now)?;
    for session in &mut sessions {
        session.is_current = Some(session.id) == current;
    }
    Ok(sessions)
}

/// Ends one of the caller's sessions.
pub(crate) async fn end(
    auth: &Auth,
    caller: SignedIn,
    session: Uuid,
    client: &Client,
) -> Result<(), SessionListError> {
    let now = auth.now();
    let end = async move |tx: &Transaction<'_>| {
        let current = caller.session.map(|session| session.0);
        require_live(user::find_live(tx, caller.user.0, current).await?, caller, now)?;
        require_ended(session_list::end(tx, caller.user.0, session, now).await?)
    };
    auth.control.run_tx(&client.operation("auth.end_session"), end).await
}

/// The sessions of any user.
pub(crate) async fn list_of(
    auth: &Auth,
    user: Uuid,
    client: &Client,
) -> Result<Vec<SessionInfo>, SessionListError> {
    let (now, limit) = (auth.now(), auth.settings.max_sessions_per_user);
    let find = async move |db: &OwnSession<'_>| {
        tokio::try_join!(user::find(db, user), session_list::list(db, user, limit, now))
    };
    let found = auth.control.own_statement(&client.operation("auth.admin_list_sessions"), find).await;
    let (row, sessions) = found.map_err(|fault: Fault| fault)?;
    row.map(|_| sessions).ok_or(SessionListError::NoSuchUser)
}

/// Ends one session of any user.
pub(crate) async fn end_of(
    auth: &Auth,
    user: Uuid,
    session: Uuid,
    client: &Client,
) -> Result<(), SessionListError> {
    let now = auth.now();
    let end = async move |tx: &Transaction<'_>| {
        user::find(tx, user).await?.ok_or(SessionListError::NoSuchUser)?;
        require_ended(session_list::end(tx, user, session, now).await?)
    };
    auth.control.run_tx(&client.operation("auth.admin_end_session"), end).await
}

fn require_ended(is_ended: bool) -> Result<(), SessionListError> {
    if is_ended { Ok(()) } else { Err(SessionListError::NoSuchSession) }
}
