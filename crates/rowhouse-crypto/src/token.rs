//! Compact JWS (RFC 7515) with JWT claims (RFC 7519): parsing, and checking the claims of time.
//!
//! Leaves the choice of key to `ring.rs`, and issuer, audience and role to the caller's own policy.

use serde::Deserialize;
use serde_json::{Map, Value};
use time::OffsetDateTime;

use crate::base64url;

/// Longest token that is signed or parsed, in bytes. Tokens have about 1 KiB unless metadata is large.
pub const MAX_TOKEN_LENGTH: usize = 8 * 1024;
/// How far another machine's clock may be ahead of ours, in seconds; as PostgREST allows.
const SKEW: f64 = 30.0;

/// Why a token is refused. The order of checks is the order of variants: nothing in a token is believed, and no
/// answer depends on it, before the signature is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum TokenError {
    /// Not a compact JWS of at most 8 KiB with JSON inside, or a header with an unsupported requirement.
    #[error("token is malformed")]
    Malformed,
    /// A bearer without a token.
    #[error("token is empty")]
    Empty,
    /// Not the three parts of a compact JWS; how many there were.
    #[error("token has {0} parts instead of 3")]
    Parts(usize),
    /// `alg` is not the algorithm of the named key; `none` never is.
    #[error("signing method is invalid")]
    WrongAlgorithm,
    /// No key of that `kid`, or no `kid`.
    #[error("unrecognized JWT kid")]
    UnknownKey,
    /// The signature does not verify.
    #[error("signature is invalid")]
    BadSignature,
    /// A required claim is missing.
    #[error("token is missing the claim {0}")]
    MissingClaim(&'static str),
    /// A claim of time is not a number.
    #[error("claim {0} must be a number")]
    NotANumber(&'static str),
    /// A claim that names something of this installation is no UUID.
    #[error("claim {0} must be a UUID")]
    NotAUuid(&'static str),
    /// `aud` is neither a text nor a list of texts.
    #[error("claim aud must be a text or a list of texts")]
    BadAudience,
    /// `aud` does not name this audience.
    #[error("token is not for this audience")]
    WrongAudience,
    /// The claims name a role that this key may not give.
    #[error("token names a role that its key may not give")]
    ForbiddenRole,
    /// `exp` has passed.
    #[error("token is expired")]
    Expired,
    /// `nbf` lies ahead by more than 30 seconds.
    #[error("token is not valid yet")]
    NotYetValid,
    /// `iat` lies ahead by more than 30 seconds.
    #[error("token is issued in the future")]
    IssuedAhead,
    /// An API key that is unknown, revoked or expired, or whose organization or tenant is closed.
    #[error("API key is unknown, revoked or expired")]
    UnknownApiKey,
    /// An API key where only tokens are accepted.
    #[error("API keys of organizations are accepted below /admin/v1 only")]
    MisplacedApiKey,
}

/// Which kind of key has signed a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenSource {
    /// A key for users' access tokens.
    Access,
    /// The long-lived key behind `anon_key` and `service_role_key`.
    Api,
    /// A configured shared secret, such as that of a former Supabase project.
    Legacy,
    /// A configured public key of another issuer.
    External,
}

impl TokenSource {
    /// True for keys of other issuers.
    #[must_use]
    pub fn is_foreign(self) -> bool {
        matches!(self, Self::Legacy | Self::External)
    }
}

/// A token whose signature and claims of time have been verified.
#[derive(Debug, Clone)]
pub struct VerifiedToken {
    /// The claims.
    pub claims: Map<String, Value>,
    /// The claims as the bytes that were signed.
    pub json: String,
    /// The kind of key that has signed it.
    pub source: TokenSource,
    /// `exp`, for foreign tokens 30 seconds later; the token is invalid from this instant on. Required of
    /// access tokens only.
    pub expires_at: Option<OffsetDateTime>,
}

impl VerifiedToken {
    /// A claim that is text.
    #[must_use]
    pub fn text(&self, claim: &str) -> Option<&str> {
        self.claims.get(claim)?.as_str()
    }

    /// True if `aud`, a text or a list of texts, names `audience` (RFC 7519 section 4.1.3).
    #[must_use]
    pub fn has_audience(&self, audience: &str) -> bool {
        match self.claims.get("aud") {
            Some(Value::String(one)) => one == audience,
            Some(Value::Array(many)) => many.iter().any(|one| one == audience),
            _ => false,
        }
    }
}

/// The members of the JOSE header that are used.
#[derive(Deserialize)]
pub(crate) struct Header {
    pub(crate) alg: String,
    pub(crate) kid: Option<String>,
    typ: Option<String>,
    /// Extensions that must be understood (RFC 7515 section 4.1.11); we understand none.
    crit: Option<serde::de::IgnoredAny>,
}

/// The parts of a token that has not been verified.
pub(crate) struct Parts<'t> {
    pub(crate) header: Header,
    pub(crate) signed: &'t [u8],
    pub(crate) signature: Vec<u8>,
    payload: &'t str,
}

impl<'t> Parts<'t> {
    pub(crate) fn parse(token: &'t str) -> Result<Self, TokenError> {
        Self::parse_up_to(token, MAX_TOKEN_LENGTH)
    }

    /// The same for a token of at most `longest` bytes.
    pub(crate) fn parse_up_to(token: &'t str, longest: usize) -> Result<Self, TokenError> {
        if token.len() > longest {
            return Err(TokenError::Malformed);
        }
        let parts = token.split('.').count();
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Parts(parts))?;
        let (header, payload) = match signed.split_once('.') {
            Some(two) if parts == 3 => two,
            _ => return Err(TokenError::Parts(parts)),
        };
        let header = base64url::decode(header).ok_or(TokenError::Malformed)?;
        let header: Header = serde_json::from_slice(&header).map_err(|_| TokenError::Malformed)?;
        let plain_jwt = header.typ.as_deref().is_none_or(|typ| typ.eq_ignore_ascii_case("JWT"));
        if !plain_jwt || header.crit.is_some() {
            return Err(TokenError::Malformed);
        }
        let signature = base64url::decode(signature).ok_or(TokenError::Malformed)?;
        Ok(Self { header, signed: signed.as_bytes(), signature, payload })
    }

    /// Reads the claims; call it only after the signature is verified.
    pub(crate) fn claims(
        &self,
        source: TokenSource,
        now: OffsetDateTime,
    ) -> Result<VerifiedToken, TokenError> {
        let json = base64url::decode(self.payload).and_then(|bytes| String::from_utf8(bytes).ok());
        let json = json.ok_or(TokenError::Malformed)?;
        let claims: Map<String, Value> = serde_json::from_str(&json).map_err(|_| TokenError::Malformed)?;
        let expires_at = check_times(&claims, source, now)?;
        Ok(VerifiedToken { claims, json, source, expires_at })
    }
}

fn check_times(
    claims: &Map<String, Value>,
    source: TokenSource,
    now: OffsetDateTime,
) -> Result<Option<OffsetDateTime>, TokenError> {
    let now = now.unix_timestamp_nanos() as f64 / 1e9;
    // No allowance for tokens of this installation: the same clock wrote their `exp`.
    let skew = if source.is_foreign() { SKEW } else { 0.0 };
    let end = instant(claims, "exp")?.map(|exp| exp + skew);
    match end {
        None if source == TokenSource::Access => return Err(TokenError::MissingClaim("exp")),
        Some(end) if now >= end => return Err(TokenError::Expired),
        _ => {}
    }
    for (name, error) in [("nbf", TokenError::NotYetValid), ("iat", TokenError::IssuedAhead)] {
        if instant(claims, name)?.is_some_and(|from| from > now + SKEW) {
            return Err(error);
        }
    }
    // An `exp` past the year 9999 counts as none.
    Ok(end.and_then(|end| OffsetDateTime::from_unix_timestamp(end as i64).ok()))
}

/// A NumericDate in seconds (RFC 7519 section 2), fractions allowed; null counts as absent.
fn instant(claims: &Map<String, Value>, name: &'static str) -> Result<Option<f64>, TokenError> {
    match claims.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_f64().map(Some).ok_or(TokenError::NotANumber(name)),
    }
}

#[cfg(test)]
mod tests;
