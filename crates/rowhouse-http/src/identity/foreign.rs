//! What tokens of other issuers must say before they are believed, and which role they get.

use rowhouse_crypto::{TokenError, TokenSource, VerifiedToken};
use rowhouse_kernel::settings::AuthSettings;
use rowhouse_kernel::{ANON, SERVICE_ROLE};
use serde_json::{Map, Value};

use super::role_path::RolePath;

/// Claims that only this program makes: it knows who belongs to what, other issuers do not.
const OURS: [&str; 2] = ["org_id", "tenant_role"];

/// The rules for tokens that other keys than ours have signed.
#[derive(Debug, Clone, Default)]
pub struct ForeignTokens {
    audience: Option<String>,
    role: RolePath,
}

impl ForeignTokens {
    /// Reads `auth.jwt_aud` and `auth.jwt_role_claim_key`.
    ///
    /// # Errors
    /// Which setting makes no sense.
    pub fn from_settings(settings: &AuthSettings) -> Result<Self, String> {
        let role = RolePath::parse(&settings.jwt_role_claim_key)
            .map_err(|why| format!("auth.jwt_role_claim_key: {why}"))?;
        let audience = settings.jwt_aud.clone().filter(|audience| !audience.is_empty());
        Ok(Self { audience, role })
    }

    /// Checks the audience and returns the role, which then also stands in the claims: what policies read there is
    /// the role they run under.
    ///
    /// `org_id` and `tenant_role` are taken out: a tenant is checked against the user's memberships on every request, and
    /// the rest follows from it in the database.
    ///
    /// `service_role` looks past every policy, so only a shared secret gives it, and only by the claim `role` itself:
    /// where a role path leads is often the user's to edit.
    pub(super) fn admit(&self, token: &mut VerifiedToken) -> Result<String, TokenError> {
        check_audience(token.claims.get("aud"), self.audience.as_deref())?;
        let claims = Value::Object(std::mem::take(&mut token.claims));
        let role = match self.role.find(&claims) {
            None | Some(Value::Null) => ANON,
            Some(Value::String(role)) if role.is_empty() => ANON,
            Some(Value::String(role)) => role,
            Some(_) => return Err(TokenError::ForbiddenRole),
        };
        let (role, own) = (role.to_owned(), claims.get("role").and_then(Value::as_str));
        let is_plain = own == Some(&*role);
        if role == SERVICE_ROLE && !(is_plain && token.source == TokenSource::Legacy) {
            return Err(TokenError::ForbiddenRole);
        }
        let Value::Object(mut claims) = claims else { return Err(TokenError::Malformed) };
        let removed = OURS.iter().filter(|claim| claims.remove(**claim).is_some()).count();
        if !is_plain || removed > 0 {
            token.json = with_role(&mut claims, &role);
        }
        token.claims = claims;
        Ok(role)
    }
}

fn with_role(claims: &mut Map<String, Value>, role: &str) -> String {
    claims.insert("role".to_owned(), role.into());
    serde_json::to_string(claims).unwrap_or_default()
}

/// A text or a list of texts (RFC 7519 section 4.1.3); tokens that name nobody are for everybody, as in PostgREST.
fn check_audience(named: Option<&Value>, expected: Option<&str>) -> Result<(), TokenError> {
    let texts: Vec<&str> = match named {
        None | Some(Value::Null) => return Ok(()),
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(many)) => {
            many.iter().map(|one| one.as_str().ok_or(TokenError::BadAudience)).collect::<Result<_, _>>()?
        }
        Some(_) => return Err(TokenError::BadAudience),
    };
    match expected {
        Some(expected) if !texts.is_empty() && !texts.contains(&expected) => Err(TokenError::WrongAudience),
        _ => Ok(()),
    }
}
