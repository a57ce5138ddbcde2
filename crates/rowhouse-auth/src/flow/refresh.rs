//! Exchange of a refresh token.

use metrics::counter;
use rowhouse_crypto::{OpaqueSecret, digest_hex};
use rowhouse_db::Transaction;
use rowhouse_tenancy::membership;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::Auth;
use crate::fault::{Fault, carry_fault};
use crate::flow::session::{Grant, successor};
use crate::model::{Session, User};
use crate::request::Client;
use crate::rotation::{Active, RepeatCause, Rotation, decide};
use crate::store::session::{self, SessionRow};
use crate::store::{refresh_token, user};

/// Why a refresh token is not exchanged.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RefreshError {
    #[error("Invalid Refresh Token: Refresh Token Not Found")]
    NotFound,
    /// A rotated token came back outside the reuse interval; the session has been ended.
    #[error("Invalid Refresh Token: Already Used")]
    AlreadyUsed,
    /// The session has expired.
    #[error("Invalid Refresh Token: Session Expired")]
    SessionExpired,
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

/// The outcome of the transaction. Reuse is an outcome, not an error: the revocation must be committed.
enum RefreshOutcome {
    Granted(Box<Grant>, Option<RepeatCause>),
    Reused(Uuid),
}

/// Rotates the token, returns the current one again, or ends the session; see [`decide`].
pub(crate) async fn refresh(auth: &Auth, token: &str, client: &Client) -> Result<Refreshed, RefreshError> {
    let (digest, now) = (digest_hex(token), auth.now());
    let operation = client.operation("auth.refresh");
    let (service, from) = (auth.clone(), client.clone());
    let work = async move |tx: &Transaction<'_>| exchange(&service, tx, &digest, &from, now).await;
    match auth.control.run_tx(&operation, work).await {
        Ok(RefreshOutcome::Granted(grant, repeat)) => {
            let label = if repeat.is_some() { "repeated" } else { "rotated" };
            counter!("rowhouse_auth_refreshes_total", "outcome" => label).increment(1);
            Ok(Refreshed { session: grant.sign(auth, client, now).await?, repeat })
        }
        Ok(RefreshOutcome::Reused(session)) => {
            tracing::warn!(%session, "a rotated refresh token was reused; the session has been ended");
            counter!("rowhouse_auth_refreshes_total", "outcome" => "reused").increment(1);
            Err(RefreshError::AlreadyUsed)
        }
        Err(error) => {
            counter!("rowhouse_auth_refreshes_total", "outcome" => "refused").increment(1);
            Err(error)
        }
    }
}

async fn exchange(
    auth: &Auth,
    tx: &Transaction<'_>,
    digest: &str,
    client: &Client,
    now: OffsetDateTime,
) -> Result<RefreshOutcome, RefreshError> {
    let session = session::lock_by_token(tx, digest).await?.ok_or(RefreshError::NotFound)?;
    let ((presented, active), row, membership) = tokio::try_join!(
        refresh_token::find(tx, session.id, digest),
        user::find(tx, session.user_id),
        async { Ok(membership::find_or_default(tx, session.user_id, session.tenant_id).await?) },
    )?;
    let presented = presented.ok_or(RefreshError::NotFound)?;
    let rotation = decide(&presented, active.as_ref(), now, auth.settings.refresh_reuse_interval);
    let (Some(active), false) = (active, rotation == Rotation::Reused) else {
        session::revoke_family(tx, session.id, now).await?;
        return Ok(RefreshOutcome::Reused(session.id));
    };
    let user = require_open(row.map(|row| row.user), &session, now)?;
    let (refresh_token, is_new) = next_token(auth, &active, rotation)?;
    let tenant = membership.as_ref().map(|membership| membership.tenant_id);
    let digest = refresh_token.digest();
    let replace = async {
        match is_new {
            true => refresh_token::replace(tx, session.id, user.id, &active.digest, &digest, now).await,
            false => Ok(()),
        }
    };
    tokio::try_join!(replace, session::touch(tx, session.id, tenant, client, now))?;
    let repeat = match rotation {
        Rotation::Repeat(cause) => Some(cause),
        _ => None,
    };
    Ok(RefreshOutcome::Granted(Box::new(Grant { user, session, membership, refresh_token }), repeat))
}

/// The active token again if that was decided and it can be derived (not after a change of `auth.key_secret`), else
/// its successor, which replaces it.
fn next_token(auth: &Auth, active: &Active, rotation: Rotation) -> Result<(OpaqueSecret, bool), Fault> {
    if let (Rotation::Repeat(_), Some(parent)) = (rotation, &active.parent) {
        let live = successor(auth, parent)?;
        if live.digest() == active.digest {
            return Ok((live, false));
        }
    }
    Ok((successor(auth, &active.digest)?, true))
}

fn require_open(user: Option<User>, session: &SessionRow, now: OffsetDateTime) -> Result<User, RefreshError> {
    let user = user.filter(|user| user.deleted_at.is_none()).ok_or(RefreshError::NotFound)?;
    if user.is_banned(now) {
        return Err(RefreshError::Banned);
    }
    if session.is_over(now) { Err(RefreshError::SessionExpired) } else { Ok(user) }
}
