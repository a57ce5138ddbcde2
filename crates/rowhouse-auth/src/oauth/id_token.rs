//! Claims of ID tokens (OpenID Connect Core section 2). They have no `session_id`, so no surface here takes one for an
//! access token.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rowhouse_crypto::digest_bytes_hex;
use serde_json::json;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Delegation, profile};
use crate::model::{Object, User};

/// What a token is about, beside the user.
#[derive(Debug)]
pub(crate) struct Occasion<'a> {
    pub(crate) issuer: &'a str,
    pub(crate) delegation: &'a Delegation,
    /// The application's session: by `sid` it can ask to end it.
    pub(crate) session: Uuid,
    pub(crate) nonce: Option<&'a str>,
    /// When the user signed in.
    pub(crate) authenticated_at: OffsetDateTime,
    pub(crate) issued_at: OffsetDateTime,
    pub(crate) expires_at: OffsetDateTime,
    /// The access token that comes with it, if its digest is to be told.
    pub(crate) access_token: Option<&'a str>,
}

pub(crate) fn claims(user: &User, occasion: &Occasion<'_>) -> Object {
    let mut claims = profile::claims(user, &occasion.delegation.scopes);
    let client = occasion.delegation.client;
    let mut tell = |name: &str, value| claims.insert(name.to_owned(), value);
    tell("iss", json!(occasion.issuer));
    tell("sub", json!(user.id));
    tell("aud", json!(client));
    tell("client_id", json!(client));
    tell("sid", json!(occasion.session));
    tell("iat", json!(occasion.issued_at.unix_timestamp()));
    tell("exp", json!(occasion.expires_at.unix_timestamp()));
    tell("auth_time", json!(occasion.authenticated_at.unix_timestamp()));
    if let Some(nonce) = occasion.nonce {
        tell("nonce", json!(nonce));
    }
    if let Some(hash) = occasion.access_token.and_then(half_of_hash) {
        tell("at_hash", json!(hash));
    }
    claims
}

/// `at_hash` where the algorithm's hash is SHA-256: the left half of the digest, base64url.
fn half_of_hash(text: &str) -> Option<String> {
    let hex = digest_bytes_hex(text.as_bytes());
    let byte = |at: usize| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok();
    let half: Option<Vec<u8>> = (0..32).step_by(2).map(byte).collect();
    half.map(|half| URL_SAFE_NO_PAD.encode(half))
}

#[cfg(test)]
mod tests {
    use super::half_of_hash;

    /// The example of OpenID Connect Core, appendix A.3.
    #[test]
    fn hash_is_that_of_the_specification() {
        let token = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y";
        assert_eq!(half_of_hash(token).as_deref(), Some("77QmUPtjPfzWtF2AnpK9RQ"));
    }
}
