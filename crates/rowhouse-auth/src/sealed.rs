//! Secrets in text columns: sealed bytes as base64, told apart from plain text by a prefix.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rowhouse_crypto::EnvelopeError;
use zeroize::Zeroizing;

use crate::Auth;
use crate::fault::Fault;

/// No alphabet of a secret that is stored in plain text elsewhere has a colon.
const PREFIX: &str = "sealed:";

/// Seals `plain`; it opens under the same `label` only.
pub(crate) fn seal(auth: &Auth, plain: &[u8], label: &str) -> Result<String, Fault> {
    Ok(format!("{PREFIX}{}", STANDARD.encode(auth.envelope.seal(plain, label, &*auth.rng)?)))
}

/// Opens what [`seal`] made; `None` for a text that was never sealed.
pub(crate) fn open(auth: &Auth, text: &str, label: &str) -> Result<Option<Zeroizing<Vec<u8>>>, Fault> {
    let Some(sealed) = text.strip_prefix(PREFIX) else { return Ok(None) };
    let sealed = STANDARD.decode(sealed).map_err(|_| EnvelopeError::Layout)?;
    Ok(Some(auth.envelope.open(&sealed, label)?))
}
