//! Secrets in text columns: sealed bytes as base64, told apart from plain text by a prefix.

use zeroize::Zeroizing;

use crate::Auth;
use crate::fault::Fault;
use crate::sealed_text;

/// Seals `plain`; it opens under the same `label` only. `key_store/reseal.rs` has to know the column.
pub(crate) fn seal(auth: &Auth, plain: &[u8], label: &str) -> Result<String, Fault> {
    Ok(sealed_text::write(&auth.envelope.seal(plain, label, &*auth.rng)?))
}

/// Opens what [`seal`] made; `None` for a text that was never sealed.
pub(crate) fn open(auth: &Auth, text: &str, label: &str) -> Result<Option<Zeroizing<Vec<u8>>>, Fault> {
    let Some(sealed) = sealed_text::read(text)? else { return Ok(None) };
    Ok(Some(auth.envelope.open(&sealed, label)?))
}
