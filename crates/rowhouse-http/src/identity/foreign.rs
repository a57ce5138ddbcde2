//! Rules for tokens of other issuers: audience, role and claims that are removed.

use rowhouse_crypto::{TokenError, TokenSource, VerifiedToken};
use rowhouse_kernel::{ANON, SERVICE_ROLE};
use serde_json::{Map, Value};

use super::role_path::RolePath;

/// Claims about membership, which only this installation may set.
const OURS: [&str; 2] = ["org_id", "tenant_role"];

/// Roles that may do more than any user: ours, and GoTrue's.
const ADMINISTRATORS: [&str; 2] = [SERVICE_ROLE, "supabase_admin"];

/// The rules for tokens that keys of other issuers have signed.
#[derive(Debug, Clone, Default)]
pub struct ForeignTokens {
    audience: Option<String>,
    role: RolePath,
    /// Whether public keys, too, may give the roles of administrators.
    trusts_public_keys: bool,
}

impl ForeignTokens {
    /// The audience that they must name, if they name any, and the path to the claim that names their role.
    ///
    /// # Errors
    /// Why the path is invalid.
    pub fn new(audience: Option<&str>, role_claim_key: &str) -> Result<Self, String> {
        let audience = audience.filter(|audience| !audience.is_empty()).map(str::to_owned);
        Ok(Self { audience, role: RolePath::parse(role_claim_key)?, trusts_public_keys: false })
    }

    /// The same where public keys may give the roles of administrators, as a shared secret may.
    #[must_use]
    pub fn trusting_public_keys(self, trusts_public_keys: bool) -> Self {
        Self { trusts_public_keys, ..self }
    }

    /// Checks the audience and returns the role, which is also written into the claims, so that policies read the
    /// role that they run under.
    ///
    /// `org_id` and `tenant_role` are removed: the tenant is checked against the user's memberships on every request,
    /// and the database derives the rest from it.
    ///
    /// `service_role` bypasses row-level security and `supabase_admin` manages users, so only a shared secret can grant
    /// them unless configured otherwise, and only by the claim `role` itself: what a role path selects can often be
    /// edited by the user.
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
        let is_trusted = token.source == TokenSource::Legacy || self.trusts_public_keys;
        if ADMINISTRATORS.contains(&&*role) && !(is_plain && is_trusted) {
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

/// A string or a list of strings (RFC 7519 section 4.1.3); tokens without an audience are accepted, as by PostgREST.
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
