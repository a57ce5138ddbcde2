//! Names of domains in one form. Leaves the list of suffixes that belong to everybody to `suffix`.

use std::fmt;

use crate::suffix::{is_public_suffix, is_special};

/// Longest name (RFC 1035 section 2.3.4).
const MAX_NAME_BYTES: usize = 253;
/// Longest label.
const MAX_LABEL_BYTES: usize = 63;

/// A name below a public suffix: in lower case and ASCII, without a final dot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainName(String);

/// Why a text names no domain that somebody can own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// No name at all, or an address.
    #[error("expected a domain, such as shop.example")]
    Malformed,
    /// Of this machine or of a private network.
    #[error("names of this machine and of private networks belong to nobody")]
    Special,
    /// A whole top-level domain, or one below which others own theirs.
    #[error("below this name many own domains; name yours")]
    PublicSuffix,
}

impl DomainName {
    /// Reads a name as people write it.
    ///
    /// # Errors
    /// [`NameError`].
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let text = text.trim();
        let text = text.strip_suffix('.').unwrap_or(text);
        if text.is_empty() || text.len() > 4 * MAX_NAME_BYTES {
            return Err(NameError::Malformed);
        }
        let name = idna::domain_to_ascii(text).map_err(|_| NameError::Malformed)?.to_ascii_lowercase();
        let last = name.rsplit('.').next().unwrap_or_default();
        // An address ends with a number.
        let is_number = last.bytes().all(|byte| byte.is_ascii_digit()) || last.starts_with("0x");
        if name.len() > MAX_NAME_BYTES || is_number || !name.split('.').all(is_label) {
            return Err(NameError::Malformed);
        }
        if is_special(last) {
            return Err(NameError::Special);
        }
        if !name.contains('.') || is_public_suffix(&name) {
            return Err(NameError::PublicSuffix);
        }
        Ok(Self(name))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is this host or below it.
    #[must_use]
    pub fn is_within(&self, host: &str) -> bool {
        self.0.strip_suffix(host).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }
}

impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_label(label: &str) -> bool {
    (1..=MAX_LABEL_BYTES).contains(&label.len())
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_one_form() {
        for (text, name) in [
            ("Shop.Example", "shop.example"),
            (" shop.example. ", "shop.example"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("XN--BCHER-KVA.example", "xn--bcher-kva.example"),
            ("a.b.c.shop.example", "a.b.c.shop.example"),
            ("acme.co.uk", "acme.co.uk"),
            ("acme.github.io", "acme.github.io"),
            ("1.example", "1.example"),
        ] {
            assert_eq!(DomainName::parse(text).as_ref().map(DomainName::as_str), Ok(name), "{text}");
        }
    }

    #[test]
    fn what_nobody_owns_is_refused() {
        use NameError::{Malformed, PublicSuffix, Special};
        let long = format!("{}.example", "a.".repeat(150));
        for (text, why) in [
            ("", Malformed),
            (".", Malformed),
            ("a..example", Malformed),
            ("-a.example", Malformed),
            ("a b.example", Malformed),
            ("*.shop.example", Malformed),
            ("x_y.example", Malformed),
            ("shop.example/path", Malformed),
            ("shop.example:443", Malformed),
            ("user@shop.example", Malformed),
            ("127.0.0.1", Malformed),
            ("1.2.3.0x7f", Malformed),
            ("[::1]", Malformed),
            ("2001:db8::1", Malformed),
            ("xn--a.example", Malformed),
            (long.as_str(), Malformed),
            ("localhost", Special),
            ("app.localhost", Special),
            ("printer.local", Special),
            ("db.internal", Special),
            ("1.0.0.127.in-addr.arpa", Special),
            ("hidden.onion", Special),
            ("com", PublicSuffix),
            ("example", PublicSuffix),
            ("co.uk", PublicSuffix),
            ("com.au", PublicSuffix),
            ("github.io", PublicSuffix),
        ] {
            assert_eq!(DomainName::parse(text), Err(why), "{text}");
        }
    }

    #[test]
    fn name_within_a_host_ends_at_a_dot() {
        let name = |text| DomainName::parse(text).unwrap();
        assert!(name("app.example").is_within("app.example"));
        assert!(name("x.app.example").is_within("app.example"));
        assert!(!name("myapp.example").is_within("app.example"));
        assert!(!name("app.example").is_within("x.app.example"));
    }
}
