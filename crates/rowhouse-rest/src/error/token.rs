//! Refused tokens: PGRST301 if the token itself is invalid, PGRST303 if one of its claims is.

use std::borrow::Cow;

use http::StatusCode;
use http::header::{HeaderValue, WWW_AUTHENTICATE};
use rowhouse_crypto::TokenError;

use super::ErrorResponse;

/// 401 with the challenge of RFC 6750 section 3.
pub(super) fn failure(error: TokenError) -> ErrorResponse {
    let (code, message): (_, Cow<'_, str>) = match error {
        TokenError::Empty => ("PGRST301", "Empty JWT is sent in Authorization header".into()),
        TokenError::Parts(found) => ("PGRST301", format!("Expected 3 parts in JWT; got {found}").into()),
        TokenError::Malformed | TokenError::NotAUuid(_) => {
            ("PGRST301", "JWT cryptographic operation failed".into())
        }
        TokenError::WrongAlgorithm => ("PGRST301", "Wrong or unsupported encoding algorithm".into()),
        TokenError::UnknownKey | TokenError::BadSignature => {
            ("PGRST301", "No suitable key or wrong key type".into())
        }
        TokenError::MissingClaim(_) => ("PGRST303", "JWT claims are incomplete".into()),
        TokenError::NotANumber(claim) => {
            ("PGRST303", format!("The JWT '{claim}' claim must be a number").into())
        }
        TokenError::BadAudience => {
            ("PGRST303", "The JWT 'aud' claim must be a string or an array of strings".into())
        }
        TokenError::WrongAudience => ("PGRST303", "JWT not in audience".into()),
        TokenError::ForbiddenRole => ("PGRST303", "The role in the JWT is not for its key to give".into()),
        TokenError::Expired => ("PGRST303", "JWT expired".into()),
        TokenError::NotYetValid => ("PGRST303", "JWT not yet valid".into()),
        TokenError::IssuedAhead => ("PGRST303", "JWT issued at future".into()),
        TokenError::UnknownApiKey | TokenError::MisplacedApiKey => {
            ("PGRST301", "An API key of an organization is no JWT; only /admin/v1 accepts it".into())
        }
    };
    let challenge = format!("Bearer error=\"invalid_token\", error_description=\"{message}\"");
    let mut failure = ErrorResponse::new(StatusCode::UNAUTHORIZED, code, message);
    if matches!(error, TokenError::UnknownKey | TokenError::BadSignature) {
        failure.details = Some("None of the keys was able to decode the JWT".into());
    }
    if let Ok(value) = HeaderValue::from_str(&challenge) {
        failure.headers.push((WWW_AUTHENTICATE, value));
    }
    failure
}
