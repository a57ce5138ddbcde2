//! Refused tokens: PGRST301 when the token itself is no good, PGRST303 when one of its claims is.

use http::StatusCode;
use http::header::{HeaderValue, WWW_AUTHENTICATE};
use rowhouse_crypto::TokenError;

use super::Failure;

/// 401 with the challenge of RFC 6750 section 3.
pub(super) fn failure(error: TokenError) -> Failure {
    let (code, message) = match error {
        TokenError::Malformed => {
            ("PGRST301", "Expected 3 parts in JWT, each base64url-encoded JSON or a signature")
        }
        TokenError::WrongAlgorithm => ("PGRST301", "Wrong or unsupported encoding algorithm"),
        TokenError::UnknownKey | TokenError::BadSignature => {
            ("PGRST301", "No suitable key or wrong key type")
        }
        TokenError::MissingClaim(_) => ("PGRST303", "JWT claims are incomplete"),
        TokenError::Expired => ("PGRST303", "JWT expired"),
        TokenError::NotYetValid => ("PGRST303", "JWT not yet valid"),
    };
    let mut failure = Failure::new(StatusCode::UNAUTHORIZED, code, message);
    let challenge = format!("Bearer error=\"invalid_token\", error_description=\"{message}\"");
    if let Ok(value) = HeaderValue::from_str(&challenge) {
        failure.headers.push((WWW_AUTHENTICATE, value));
    }
    failure
}
