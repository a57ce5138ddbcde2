//! Exchange of a refresh token.

use metrics::counter;
use rowhouse_crypto::{CounterToken, CounterTokenError};
use rowhouse_db::{OwnSession, Transaction};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::Auth;
use crate::fault::{Fault, carry_fault};
use crate::flow::row_token;
use crate::flow::session::Grant;
use crate::lifetime::{Bounds, SessionEnd};
use crate::model::Session;
use crate::oauth::Delegation;
use crate::request::Client;
use crate::rotation::RepeatCause;
use crate::store::refresh::{self, Outcome};
use crate::store::{prepared_user, session};

/// Why a refresh token is not exchanged.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RefreshError {
    #[error("Invalid Refresh Token: Refresh Token Not Found")]
    NotFound,
    /// A rotated token came back outside the reuse interval; the session has been ended.
    #[error("Invalid Refresh Token: Already Used")]
    AlreadyUsed,
    #[error("Invalid Refresh Token: {0}")]
    SessionOver(SessionEnd),
    #[error("User is banned")]
    Banned,
    #[error(transparent)]
    Fault(#[from] Fault),
}
carry_fault!(RefreshError);

/// A session and how its refresh token was chosen, for response headers.
#[derive(Debug)]
pub(crate) struct Refreshed {
    pub(crate) session: Session,
    /// Set if a rotated token was accepted once more.
    pub(crate) repeat: Option<RepeatCause>,
}

/// What was decided. Reuse is no error yet: the session has to be ended first.
pub(crate) enum Decided {
    Granted(Box<Grant>, Option<RepeatCause>),
    Reused(Uuid),
}

/// Rotates the token, returns the current one again, or ends the session; see [`crate::rotation`]. A token that was not
/// signed here costs no query.
pub(crate) async fn refresh(auth: &Auth, token: &str, client: &Client) -> Result<Refreshed, RefreshError> {
    let now = auth.now();
    let decided = match auth.refresh_key.read(token) {
        Ok(token) => by_counter(auth, token, client, now).await,
        Err(CounterTokenError::Layout) => row_token::exchange(auth, token, client, now).await,
        Err(CounterTokenError::Signature) => Err(RefreshError::NotFound),
    };
    finish(auth, decided, None, client, now).await
}

/// The same for a token of an application, whose session it has been found to be.
pub(crate) async fn refresh_delegated(
    auth: &Auth,
    token: CounterToken,
    delegation: Delegation,
    client: &Client,
) -> Result<Refreshed, RefreshError> {
    let now = auth.now();
    let decided = by_counter(auth, token, client, now).await;
    finish(auth, decided, Some(delegation), client, now).await
}

async fn finish(
    auth: &Auth,
    decided: Result<Decided, RefreshError>,
    delegation: Option<Delegation>,
    client: &Client,
    now: OffsetDateTime,
) -> Result<Refreshed, RefreshError> {
    let refreshed = match decided {
        Ok(Decided::Granted(mut grant, repeat)) => {
            grant.delegation = delegation;
            Ok(Refreshed { session: grant.sign(auth, client, now).await?, repeat })
        }
        Ok(Decided::Reused(id)) => Err(end(auth, id, client, now).await),
        Err(error) => Err(error),
    };
    let label = match &refreshed {
        Ok(Refreshed { repeat: None, .. }) => "rotated",
        Ok(_) => "repeated",
        Err(RefreshError::AlreadyUsed) => "reused",
        Err(_) => "refused",
    };
    counter!("rowhouse_auth_refreshes_total", "outcome" => label).increment(1);
    refreshed
}

/// Two statements in one round trip, each a transaction of its own.
async fn by_counter(
    auth: &Auth,
    token: CounterToken,
    client: &Client,
    now: OffsetDateTime,
) -> Result<Decided, RefreshError> {
    let (bounds, from) = (Bounds::at(&auth.settings, now), client.clone());
    let work = async move |db: &OwnSession<'_>| {
        tokio::try_join!(
            refresh::exchange(db, token, bounds, &from, now),
            prepared_user::find_of_session(db, token.session.0)
        )
    };
    let operation = client.operation("auth.refresh");
    let (outcome, user) = auth.control.own_statement(&operation, work).await.map_err(|fault: Fault| fault)?;
    match outcome {
        Outcome::Granted(session, membership, repeat) => {
            let counter = session.current.map_or(token.counter, |current| current.counter);
            let user = user.ok_or(RefreshError::NotFound)?.user;
            let grant = Grant { user, session: *session, membership, counter, delegation: None };
            Ok(Decided::Granted(Box::new(grant), repeat))
        }
        Outcome::Reused => Ok(Decided::Reused(token.session.0)),
        Outcome::Unknown => Err(RefreshError::NotFound),
        Outcome::Banned => Err(RefreshError::Banned),
        Outcome::Over(end) => Err(RefreshError::SessionOver(end)),
    }
}

/// Ends a session as stolen, in a transaction whose settings the audit log needs. The client is answered after its commit:
/// if the process dies before, the next use of such a token ends the session.
async fn end(auth: &Auth, id: Uuid, client: &Client, now: OffsetDateTime) -> RefreshError {
    let revoke = async move |tx: &Transaction<'_>| session::revoke_family(tx, id, now).await;
    match auth.control.run_tx(&client.operation("auth.end_stolen_session"), revoke).await {
        Ok(()) => {
            tracing::warn!(session = %id, "a rotated refresh token was reused; the session has been ended");
            RefreshError::AlreadyUsed
        }
        Err(fault) => fault.into(),
    }
}
