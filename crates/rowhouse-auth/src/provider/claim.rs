//! What an ID token must say beside its signature (OpenID Connect Core, section 3.1.3.7).

use rowhouse_crypto::IdToken;
use serde_json::Value;

use super::{Issuers, MICROSOFT};
use crate::model::Object;

/// Longest `sub`, as OpenID Connect Core has it in section 2.
const LONGEST_SUBJECT: usize = 255;

/// What this installation expects of an ID token.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expected<'a> {
    pub(crate) client_ids: &'a [String],
    pub(crate) nonce: Nonce<'a>,
    /// The access token that came with it; checked where the token has its hash.
    pub(crate) access_token: Option<&'a str>,
}

/// The nonce that the token must have.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Nonce<'a> {
    /// Exactly this text: sent with the redirect.
    Sent(&'a str),
    /// The SHA-256 of this text, in hex; none if the text is empty. Whoever has stolen only the token does not know it.
    HashOf(&'a str),
    Any,
}

/// Why the claims are not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ClaimError {
    #[error("it has no {0}")]
    Missing(&'static str),
    #[error("it names another issuer")]
    Issuer,
    #[error("it is for another audience")]
    Audience,
    #[error("it was issued to another party")]
    Party,
    #[error("the nonce is missing where the other has one")]
    OneNonce,
    #[error("the nonce is another")]
    Nonce,
    #[error("it belongs to another access token")]
    AccessToken,
}

/// Checks everything but signature and time.
pub(super) fn check(token: &IdToken, issuers: &Issuers, expected: Expected<'_>) -> Result<(), ClaimError> {
    check_claims(&token.claims, issuers, expected)?;
    check_access_token(token, expected.access_token)
}

/// The same without what binds the access token.
pub(super) fn check_claims(
    claims: &Object,
    issuers: &Issuers,
    expected: Expected<'_>,
) -> Result<(), ClaimError> {
    for name in ["exp", "iat"] {
        claims.get(name).filter(|value| value.is_number()).ok_or(ClaimError::Missing(name))?;
    }
    let subject = text(claims, "sub").filter(|sub| (1..=LONGEST_SUBJECT).contains(&sub.len()));
    subject.ok_or(ClaimError::Missing("sub"))?;
    check_issuer(claims, issuers)?;
    check_audience(claims, expected.client_ids)?;
    check_nonce(text(claims, "nonce").unwrap_or_default(), expected.nonce)
}

fn check_issuer(claims: &Object, issuers: &Issuers) -> Result<(), ClaimError> {
    text(claims, "iss").ok_or(ClaimError::Missing("iss"))?;
    if is_issuer(claims, issuers) { Ok(()) } else { Err(ClaimError::Issuer) }
}

/// Whether `iss` is one of these.
pub(super) fn is_issuer(claims: &Object, issuers: &Issuers) -> bool {
    let issuer = text(claims, "iss").unwrap_or_default();
    match issuers {
        Issuers::Of(known) => known.iter().any(|known| known == issuer),
        Issuers::AnyDirectory => {
            let directory = text(claims, "tid").and_then(|tid| tid.parse::<uuid::Uuid>().ok());
            directory.is_some_and(|tid| issuer == format!("{MICROSOFT}/{tid}/v2.0"))
        }
    }
}

/// With several audiences the token must name the party that it was issued to. With one, that party may be another
/// client of the same application: a phone's, where the token is for its server.
fn check_audience(claims: &Object, ours: &[String]) -> Result<(), ClaimError> {
    let is_ours = |name: &Value| name.as_str().is_some_and(|name| ours.iter().any(|id| id == name));
    let (has_ours, is_shared) = match claims.get("aud") {
        Some(Value::Array(many)) => (many.iter().any(is_ours), many.len() > 1),
        Some(one) => (is_ours(one), false),
        None => return Err(ClaimError::Missing("aud")),
    };
    if !has_ours {
        return Err(ClaimError::Audience);
    }
    if is_shared && !claims.get("azp").is_some_and(is_ours) { Err(ClaimError::Party) } else { Ok(()) }
}

fn check_nonce(found: &str, expected: Nonce<'_>) -> Result<(), ClaimError> {
    let wanted = match expected {
        Nonce::Any => return Ok(()),
        Nonce::Sent(text) => text.to_owned(),
        Nonce::HashOf("") => String::new(),
        Nonce::HashOf(text) => rowhouse_crypto::digest_hex(text),
    };
    if found.is_empty() != wanted.is_empty() {
        return Err(ClaimError::OneNonce);
    }
    let is_equal = rowhouse_crypto::is_equal(found.as_bytes(), wanted.as_bytes());
    if is_equal { Ok(()) } else { Err(ClaimError::Nonce) }
}

fn check_access_token(token: &IdToken, access_token: Option<&str>) -> Result<(), ClaimError> {
    let (Some(access_token), Some(hash)) = (access_token, token.claims.get("at_hash")) else { return Ok(()) };
    if hash.as_str() == Some(&token.hash_of(access_token)) { Ok(()) } else { Err(ClaimError::AccessToken) }
}

fn text<'a>(claims: &'a Object, name: &str) -> Option<&'a str> {
    claims.get(name)?.as_str()
}
