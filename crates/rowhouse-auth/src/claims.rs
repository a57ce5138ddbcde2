//! Claims of access tokens: GoTrue's and the active tenant.

pub(crate) mod custom;

use std::sync::LazyLock;

use rowhouse_tenancy::membership::Membership;
use serde::Serialize;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::metadata;
use crate::method::Amr;
use crate::model::{Object, User};
use crate::oauth::Delegation;
use crate::oauth_scope::Scope;
use crate::settings::AuthSettings;
use crate::store::session::SessionRow;

/// Bytes of metadata in a token: tokens are sent in headers, and verifiers refuse more than 8 KiB. Larger user
/// metadata is left out; the user object always has it.
const MAX_METADATA: usize = 4 * 1024 + 512;
/// User metadata of more bytes than this is always left out.
const MAX_USER_METADATA: usize = 3 * 1024;

#[derive(Debug, Serialize)]
pub(crate) struct AccessClaims<'a> {
    iss: &'a str,
    sub: Uuid,
    aud: &'a str,
    exp: i64,
    iat: i64,
    email: &'a str,
    phone: &'a str,
    app_metadata: &'a Object,
    user_metadata: &'a Object,
    role: &'a str,
    aal: &'a str,
    amr: &'a [Amr],
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<Uuid>,
    is_anonymous: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    org_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant_role: Option<&'a str>,
    /// The application, if the token is one's.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    /// The operator who acts as the user (RFC 8693, section 4.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    act: Option<Acting>,
    #[serde(skip_serializing_if = "Option::is_none")]
    impersonation_id: Option<Uuid>,
}

/// The claim `act`.
#[derive(Debug, Serialize)]
struct Acting {
    sub: Uuid,
}

static NO_METADATA: LazyLock<Object> = LazyLock::new(Object::new);

impl<'a> AccessClaims<'a> {
    pub(crate) fn new(
        issuer: &'a str,
        user: &'a User,
        session: &'a SessionRow,
        membership: Option<&'a Membership>,
        settings: &AuthSettings,
        now: OffsetDateTime,
    ) -> Self {
        let (app_metadata, user_metadata) = portable(user);
        Self {
            iss: issuer,
            sub: user.id,
            aud: &user.aud,
            exp: end(session, now + settings.access_token_lifetime).unix_timestamp(),
            iat: now.unix_timestamp(),
            email: &user.email,
            phone: &user.phone,
            app_metadata,
            user_metadata,
            role: &user.role,
            aal: &session.aal,
            amr: &session.amr,
            session_id: Some(session.id),
            is_anonymous: user.is_anonymous,
            org_id: membership.map(|membership| membership.organization_id),
            tenant_id: membership.map(|membership| membership.tenant_id),
            tenant_role: membership.map(|membership| membership.role.as_str()),
            client_id: None,
            scope: None,
            act: session.impersonation.map(|found| Acting { sub: found.operator.0 }),
            impersonation_id: session.impersonation.map(|found| found.id),
        }
    }

    /// The same for an application, with what the user has allowed. `app_metadata` stays: policies decide by it.
    pub(crate) fn delegated(mut self, delegation: &Delegation) -> Self {
        let allows = |scope| delegation.scopes.has(scope);
        self.email = if allows(Scope::Email) { self.email } else { "" };
        self.phone = if allows(Scope::Phone) { self.phone } else { "" };
        self.user_metadata = if allows(Scope::Profile) { self.user_metadata } else { &NO_METADATA };
        self.client_id = Some(delegation.client);
        self.scope = Some(delegation.scopes.to_string());
        self
    }

    /// The same for a user without a session.
    pub(crate) fn without_session(mut self) -> Self {
        self.session_id = None;
        self
    }

    pub(crate) fn expires_at(&self) -> i64 {
        self.exp
    }
}

/// When a token ends: that of an impersonation not after its session, since verifiers elsewhere know the token alone.
fn end(session: &SessionRow, at: OffsetDateTime) -> OffsetDateTime {
    session.not_after.filter(|_| session.impersonation.is_some()).map_or(at, |end| end.min(at))
}

/// The metadata that fits into a token. App metadata is bounded when it is written. SQL can have written more; then
/// the user can still sign in, without it.
fn portable(user: &User) -> (&Object, &Object) {
    let app = metadata::size(&user.app_metadata);
    if app > MAX_METADATA {
        tracing::warn!(user = %user.id, bytes = app, "app_metadata is too large for a token and stays out of it");
    }
    let app_metadata = if app > MAX_METADATA { &*NO_METADATA } else { &user.app_metadata };
    let room = MAX_METADATA.saturating_sub(metadata::size(app_metadata)).min(MAX_USER_METADATA);
    let fits = metadata::size(&user.user_metadata) <= room;
    (app_metadata, if fits { &user.user_metadata } else { &*NO_METADATA })
}

#[cfg(test)]
pub(crate) mod tests;
