//! Sessions: opening, signing their tokens, switching the tenant, ending.

use rowhouse_crypto::{OpaqueSecret, Purpose};
use rowhouse_db::Transaction;
use rowhouse_kernel::TenantId;
use rowhouse_tenancy::membership::{self, Membership};
use serde_json::json;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::Auth;
use crate::claims::{AccessClaims, custom};
use crate::fault::{Fault, carry_fault};
use crate::hook::Hook;
use crate::live::{NotLive, require_live};
use crate::method::SignedInBy;
use crate::model::{Object, Session, User};
use crate::request::{Client, SignedIn};
use crate::store::session::{self, NewSession, Scope, SessionRow};
use crate::store::{refresh_token, signin_failure, user};

/// Why a session cannot be changed or ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionError {
    /// Session or user are no longer valid.
    #[error(transparent)]
    NotLive(#[from] NotLive),
    /// The tenant does not exist, is not active, or the user is no active member: one answer for all.
    #[error("You are not an active member of this tenant")]
    NotAMember,
    #[error(transparent)]
    Fault(#[from] Fault),
}
carry_fault!(SessionError);

/// The result of a transaction, from which tokens are signed after the commit.
#[derive(Debug)]
pub(crate) struct Grant {
    pub(crate) user: User,
    pub(crate) session: SessionRow,
    pub(crate) membership: Option<Membership>,
    pub(crate) refresh_token: OpaqueSecret,
}

impl Grant {
    /// Signs the access token, with the claims that the project's hook makes of ours.
    pub(crate) async fn sign(
        self,
        auth: &Auth,
        client: &Client,
        now: OffsetDateTime,
    ) -> Result<Session, Fault> {
        let claims = AccessClaims::new(
            &auth.issuer,
            &self.user,
            &self.session,
            self.membership.as_ref(),
            &auth.settings,
            now,
        );
        let expires_at = claims.expires_at();
        let changed = custom_claims(auth, &claims, &self.session, client).await?;
        let ring = auth.keys.ring();
        let access_token = match changed {
            Some(changed) => ring.sign(&changed, Purpose::Access)?,
            None => ring.sign(&claims, Purpose::Access)?,
        };
        Ok(Session {
            access_token,
            token_type: "bearer",
            expires_in: auth.settings.access_token_lifetime.as_secs(),
            expires_at,
            refresh_token: self.refresh_token.expose().to_owned(),
            session_id: self.session.id,
            user: self.user,
            weak_password: None,
            provider_token: None,
            provider_refresh_token: None,
        })
    }
}

/// The claims as the hook changes them, if there is one.
async fn custom_claims(
    auth: &Auth,
    claims: &AccessClaims<'_>,
    session: &SessionRow,
    client: &Client,
) -> Result<Option<Object>, Fault> {
    if !auth.hooks.has(Hook::CustomAccessToken) {
        return Ok(None);
    }
    let ours = serde_json::to_value(claims).map_err(Fault::Json)?;
    let method = session.amr.first().map(|latest| latest.method.as_str());
    let event = json!({ "user_id": session.user_id, "claims": ours, "authentication_method": method });
    let answer = auth.hooks.call(Hook::CustomAccessToken, event, client).await?;
    Ok(Some(custom::merge(&ours, answer.unwrap_or_default())?))
}

/// Opens a session for a user whose credentials have been checked; `None` if the user was deleted.
pub(crate) async fn open(
    auth: &Auth,
    tx: &Transaction<'_>,
    user: Uuid,
    by: SignedInBy<'_>,
    client: &Client,
    now: OffsetDateTime,
) -> Result<Option<Grant>, Fault> {
    let refresh_token = OpaqueSecret::generate(&*auth.rng);
    let token_digest = refresh_token.digest();
    let most = auth.settings.max_sessions_per_user;
    let new =
        NewSession { id: auth.new_id(), user, token_digest: &token_digest, most, by, claim: auth.new_id() };
    let session = session::open(tx, new, client, now).await?;
    let (row, membership, ()) = tokio::try_join!(
        user::find(tx, user),
        async { Ok(membership::find_or_default(tx, user, session.tenant_id).await?) },
        signin_failure::note_network(tx, user, client.address, now),
    )?;
    Ok(row.map(|row| Grant { user: row.user, session, membership, refresh_token }))
}

/// Switches the session to another tenant of the user. The refresh token is rotated, too, so that the answer is a
/// whole session.
pub(crate) async fn switch_tenant(
    auth: &Auth,
    caller: SignedIn,
    tenant: TenantId,
    client: &Client,
) -> Result<Session, SessionError> {
    let now = auth.now();
    let id = caller.require_session()?.0;
    let operation = client.operation("auth.switch_tenant");
    let (service, from) = (auth.clone(), client.clone());
    let switch = async move |tx: &Transaction<'_>| {
        let session = session::lock(tx, id, caller.user.0).await?.ok_or(NotLive::SessionNotFound)?;
        let (live, membership) = tokio::try_join!(user::find_live(tx, caller.user.0, Some(id)), async {
            Ok(membership::find(tx, caller.user.0, tenant.0).await?)
        })?;
        let user = require_live(live, caller, now)?.user;
        let membership = membership.ok_or(SessionError::NotAMember)?;
        let active = refresh_token::find_active(tx, id).await?.ok_or(NotLive::SessionNotFound)?;
        let refresh_token = successor(&service, &active.digest)?;
        refresh_token::replace(tx, id, user.id, &active.digest, &refresh_token.digest(), now).await?;
        session::touch(tx, id, Some(tenant.0), &from, now).await?;
        Ok(Grant { user, session, membership: Some(membership), refresh_token })
    };
    let grant: Result<Grant, SessionError> = auth.control.run_tx(&operation, switch).await;
    Ok(grant?.sign(auth, client, now).await?)
}

/// Signs the caller out.
pub(crate) async fn sign_out(
    auth: &Auth,
    caller: SignedIn,
    scope: Scope,
    client: &Client,
) -> Result<(), SessionError> {
    let now = auth.now();
    let end = async move |tx: &Transaction<'_>| {
        let current = caller.session.map(|session| session.0);
        require_live(user::find_live(tx, caller.user.0, current).await?, caller, now)?;
        Ok(session::end(tx, caller.user.0, current, scope).await?)
    };
    auth.control.run_tx(&client.operation("auth.sign_out"), end).await
}

/// The successor of the token with this digest.
pub(crate) fn successor(auth: &Auth, parent_digest: &str) -> Result<OpaqueSecret, Fault> {
    auth.chain.successor(parent_digest).ok_or(Fault::NoSuccessor)
}
