//! SASL responses of AUTH (RFC 4954, RFC 4616): name and secret from base64. Pure.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rowhouse_kernel::Secret;

/// An unverified name and secret.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Claimed {
    pub(crate) name: String,
    pub(crate) secret: Secret,
}

/// PLAIN: authorization identity (ignored unless it differs), NUL, name, NUL, secret.
pub(crate) fn plain(line: &str) -> Option<Claimed> {
    let text = text(line)?;
    let mut parts = text.split('\0');
    let (identity, name, secret) = (parts.next()?, parts.next()?, parts.next()?);
    let is_whole = parts.next().is_none() && !name.is_empty() && (identity.is_empty() || identity == name);
    is_whole.then(|| Claimed { name: name.to_owned(), secret: Secret::new(secret) })
}

/// One response of LOGIN.
pub(crate) fn text(line: &str) -> Option<String> {
    // "=" is the empty initial response (RFC 4954 section 4).
    let line = if line == "=" { "" } else { line };
    String::from_utf8(STANDARD.decode(line).ok()?).ok()
}

#[cfg(test)]
mod tests;
