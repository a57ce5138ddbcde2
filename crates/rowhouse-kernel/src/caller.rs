//! Who is asking: the verified bearer of a request, as every surface sees it.

use std::sync::Arc;

use serde::Deserialize;
use time::OffsetDateTime;
use uuid::Uuid;

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

/// An operator who acts as a user: the claims `act` (RFC 8693, section 4.1) and `impersonation_id`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Impersonation {
    /// `impersonation_id`.
    pub id: Uuid,
    /// `act.sub`: the operator.
    pub operator: UserId,
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
        #[derive(Deserialize)]
        struct Claims {
            client_id: Option<serde::de::IgnoredAny>,
        }
        // Most claims are not parsed.
        self.session.is_some()
            && self.claims.contains("client_id")
            && serde_json::from_str(&self.claims).map_or(true, |Claims { client_id }| client_id.is_some())
    }

    /// The operator who acts as the user in this session, if one does. What is the user's own to decide is refused to
    /// them.
    #[must_use]
    pub fn impersonation(&self) -> Option<Impersonation> {
        #[derive(Deserialize)]
        struct Actor {
            sub: Uuid,
        }
        #[derive(Deserialize)]
        struct Claims {
            impersonation_id: Uuid,
            act: Actor,
        }
        // Most claims are not parsed.
        if self.session.is_none() || !self.claims.contains("impersonation_id") {
            return None;
        }
        let Claims { impersonation_id: id, act } = serde_json::from_str(&self.claims).ok()?;
        Some(Impersonation { id, operator: UserId(act.sub) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_of_an_impersonation_name_the_operator() {
        let id = "00000000-0000-0000-0000-000000000002";
        let with = |claims: String| {
            let session = Some(SessionId(Uuid::from_u128(1)));
            Caller { session, claims: claims.into(), ..Caller::anonymous() }.impersonation()
        };
        let found = with(format!(r#"{{"impersonation_id":"{id}","act":{{"sub":"{id}"}}}}"#));
        let expected = Impersonation { id: Uuid::from_u128(2), operator: UserId(Uuid::from_u128(2)) };
        assert_eq!(found, Some(expected));
        assert_eq!(with(format!(r#"{{"user_metadata":{{"impersonation_id":"{id}"}}}}"#)), None);
        assert_eq!(with(r#"{"sub":"a"}"#.to_owned()), None);
    }

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
