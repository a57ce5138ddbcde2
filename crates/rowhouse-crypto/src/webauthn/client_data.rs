//! Client data: what the browser says about the page that asked (section 5.8.1).

use serde::Deserialize;

use super::{LONGEST, WebAuthnError};
use crate::{base64url, is_equal};

/// What the page asked for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ceremony {
    Create,
    Get,
}

#[derive(Deserialize)]
struct ClientData {
    r#type: String,
    challenge: String,
    origin: String,
    #[serde(default, rename = "crossOrigin")]
    cross_origin: Option<bool>,
}

/// Refuses client data of another ceremony, challenge or origin, and of a page in a frame of another origin.
pub(super) fn require(
    json: &[u8],
    ceremony: Ceremony,
    challenge: &[u8],
    origins: &[String],
) -> Result<(), WebAuthnError> {
    let malformed = WebAuthnError::Malformed("client data");
    if json.len() > LONGEST {
        return Err(malformed);
    }
    let data: ClientData = serde_json::from_slice(json).map_err(|_| malformed)?;
    let expected = match ceremony {
        Ceremony::Create => "webauthn.create",
        Ceremony::Get => "webauthn.get",
    };
    if data.r#type != expected {
        return Err(WebAuthnError::Ceremony);
    }
    let answered = base64url::decode(&data.challenge).ok_or(malformed)?;
    if !is_equal(&answered, challenge) {
        return Err(WebAuthnError::Challenge);
    }
    let is_ours = origins.contains(&data.origin) && data.cross_origin != Some(true);
    if is_ours { Ok(()) } else { Err(WebAuthnError::Origin) }
}
