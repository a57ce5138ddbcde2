//! Sessions: opening, signing their tokens, switching the tenant, ending.

use rowhouse_crypto::{CounterToken, Purpose};
use rowhouse_db::Transaction;
use rowhouse_kernel::{SessionId, TenantId};
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
use crate::oauth::Delegation;
use crate::request::{Client, SignedIn};
use crate::store::session::{self, NewSession, Opened, Scope, SessionRow};
use crate::store::{audit, signin_failure, user};

/// Why a session cannot be changed or ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionError {
    /// Session or user are no longer valid.
    #[error(transparent)]
    NotLive(#[from] NotLive),
    /// The tenant does not exist, is not active, or the user is no active member: one answer for all.
    #[error("You are not an active member of this tenant")]
    NotAMember,
    /// Somebody acts as the user there, and there only.
    #[error("This session is for one tenant; begin another impersonation to act elsewhere")]
    OneTenant,
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
    /// Of its refresh token.
    pub(crate) counter: i64,
    /// Set in an application's session, whose tokens are for that application alone.
    pub(crate) delegation: Option<Delegation>,
}

impl Grant {
    /// A session's first tokens.
    pub(crate) fn of_opened(opened: Opened, user: User) -> Self {
        let Opened { session, membership } = opened;
        let counter = session.current.map_or(FIRST_COUNTER, |current| current.counter);
        Self { user, session, membership, counter, delegation: None }
    }

    /// Signs both tokens, the access token with the claims that the project's hook makes of ours.
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
        let claims = match &self.delegation {
            Some(delegation) => claims.delegated(delegation),
            None => claims,
        };
        let expires_at = claims.expires_at();
        let changed = custom_claims(auth, &claims, &self.session, client).await?;
        let ring = auth.keys.ring();
        let access_token = match changed {
            Some(changed) => ring.sign(&changed, Purpose::Access)?,
            None => ring.sign(&claims, Purpose::Access)?,
        };
        let refresh_key =
            if self.delegation.is_some() { &auth.client_refresh_key } else { &auth.refresh_key };
        let token = CounterToken { session: SessionId(self.session.id), counter: self.counter };
        Ok(Session {
            access_token,
            token_type: "bearer",
            expires_in: u64::try_from(expires_at - now.unix_timestamp()).unwrap_or_default(),
            expires_at,
            refresh_token: refresh_key.sign(token),
            refresh_counter: self.counter,
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

/// The counter of a session's first token.
pub(crate) const FIRST_COUNTER: i64 = 1;

/// What opens a session of `user`.
pub(crate) fn new_session<'a>(auth: &Auth, user: Uuid, by: SignedInBy<'a>) -> NewSession<'a> {
    let most = if auth.settings.single_session_per_user { 1 } else { auth.settings.max_sessions_per_user };
    NewSession { id: auth.new_id(), user, others: i64::from(most.max(1) - 1), by, claim: auth.new_id() }
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
    let opened = session::open(tx, new_session(auth, user, by), client, now).await?;
    let (row, ()) = tokio::try_join!(
        user::find(tx, user),
        signin_failure::note_network(tx, opened.session.id, client.address, now),
    )?;
    Ok(row.map(|row| Grant::of_opened(opened, row.user)))
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
    let from = client.clone();
    let switch = async move |tx: &Transaction<'_>| {
        let session = session::lock(tx, id, caller.user.0).await?.ok_or(NotLive::SessionNotFound)?;
        let (live, only, membership) = tokio::try_join!(
            user::find_live(tx, caller.user.0, Some(id)),
            session::find_only_tenant(tx, id),
            async { Ok(membership::find(tx, caller.user.0, tenant.0).await?) }
        )?;
        let user = require_live(live, caller, now)?.user;
        if only.is_some_and(|only| only != tenant.0) {
            return Err(SessionError::OneTenant);
        }
        let membership = membership.ok_or(SessionError::NotAMember)?;
        let counter = session::advance(tx, id, 1, Some(tenant.0), &from, now).await?;
        let traits = json!({ "session_id": id, "tenant_id": tenant });
        audit::write(tx, "tenant_switched", "account", user.id, traits).await?;
        Ok(Grant { user, session, membership: Some(membership), counter, delegation: None })
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
