//! Who is asking: the verified bearer of a request, as every surface sees it.

use std::sync::Arc;

use time::OffsetDateTime;

use crate::{ApiKeyId, OrganizationId, SessionId, TenantId, UserId};

/// The database role of a caller without a token.
pub const ANON: &str = "anon";
/// The database role of a signed-in user.
pub const AUTHENTICATED: &str = "authenticated";
/// The database role that bypasses row-level security; it has a login and a pool of its own.
pub const SERVICE_ROLE: &str = "service_role";

/// A caller whose token has been verified (or who has none).
///
/// Nothing here comes from user-editable metadata. The database checks session, membership and tenant again in
/// the same flight as the query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Database role to assume.
    pub role: Arc<str>,
    /// The claims as JSON text: the value of `request.jwt.claims`.
    pub claims: Arc<str>,
    /// `sub`, when it is a row of `auth.users`.
    pub user: Option<UserId>,
    /// `session_id`: present exactly when the token belongs to a session that can be ended.
    pub session: Option<SessionId>,
    /// The organization's key that was presented instead of a token: no user, and no session.
    pub api_key: Option<ApiKeyId>,
    /// `org_id`.
    pub organization: Option<OrganizationId>,
    /// `tenant_id`.
    pub tenant: Option<TenantId>,
    /// `exp`; the token is invalid from this instant on.
    pub expires_at: Option<OffsetDateTime>,
}

impl Caller {
    /// The caller without a token.
    #[must_use]
    pub fn anonymous() -> Self {
        Self {
            role: ANON.into(),
            claims: r#"{"role":"anon"}"#.into(),
            user: None,
            session: None,
            api_key: None,
            organization: None,
            tenant: None,
            expires_at: None,
        }
    }

    /// True for the role that bypasses row-level security.
    #[must_use]
    pub fn is_service(&self) -> bool {
        &*self.role == SERVICE_ROLE
    }

    /// True for the role `anon`.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        &*self.role == ANON
    }

    /// True for an application that acts for a user who has agreed (claim `client_id`). It sees the user's rows; what is
    /// the user's own to decide it is refused.
    #[must_use]
    pub fn is_delegated(&self) -> bool {
        #[derive(serde::Deserialize)]
        struct Claims {
            client_id: Option<serde::de::IgnoredAny>,
        }
        // Most claims are not parsed.
        self.session.is_some()
            && self.claims.contains("client_id")
            && serde_json::from_str(&self.claims).map_or(true, |Claims { client_id }| client_id.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claim_of_an_application_makes_a_caller_delegated() {
        let session = Some(SessionId(uuid::Uuid::from_u128(1)));
        let with = |session, claims: &str| {
            Caller { session, claims: claims.into(), ..Caller::anonymous() }.is_delegated()
        };
        assert!(with(session, r#"{"client_id":"a"}"#));
        assert!(!with(session, r#"{"client_id":null}"#));
        assert!(!with(session, r#"{"user_metadata":{"client_id":"a"}}"#));
        assert!(!with(session, r#"{"sub":"a"}"#));
        assert!(!with(None, r#"{"client_id":"a"}"#));
    }
}
