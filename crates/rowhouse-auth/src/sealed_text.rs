//! Sealed bytes in text columns, and the labels that they are bound to. Leaves sealing to `sealed` and `key_store`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rowhouse_crypto::EnvelopeError;
use uuid::Uuid;

/// No alphabet of a secret that is stored in plain text elsewhere has a colon.
const PREFIX: &str = "sealed:";

/// Sealed bytes as text.
pub(crate) fn write(sealed: &[u8]) -> String {
    format!("{PREFIX}{}", STANDARD.encode(sealed))
}

/// The sealed bytes; `None` for a text that was never sealed.
pub(crate) fn read(text: &str) -> Result<Option<Vec<u8>>, EnvelopeError> {
    let Some(sealed) = text.strip_prefix(PREFIX) else { return Ok(None) };
    STANDARD.decode(sealed).map(Some).map_err(|_| EnvelopeError::Layout)
}

/// Of a value of a sign-in in progress.
pub(crate) fn flow_label(flow: Uuid, what: &str) -> String {
    format!("flow_state/{flow}/{what}")
}

/// Of the secret of a provider from the admin API.
pub(crate) fn provider_label(id: Uuid) -> String {
    format!("custom_provider/{id}")
}

/// Of the secret of an authenticator app.
pub(crate) fn factor_label(id: Uuid) -> String {
    id.to_string()
}
