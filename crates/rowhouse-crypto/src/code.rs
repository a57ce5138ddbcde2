//! Short codes that people type in, and their digests.

use std::fmt::Write as _;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use aws_lc_rs::hmac;
use rowhouse_kernel::{Rng, Secret};

use crate::base64url;

/// Largest multiple of 10 below 256. Bytes from there on are rejected, so that every digit is equally likely.
const FAIR: u8 = 250;

/// Digits drawn from `rng`.
#[must_use]
pub fn random_digits(count: usize, rng: &dyn Rng) -> String {
    let mut text = String::with_capacity(count);
    let mut buffer = [0_u8; 16];
    while text.len() < count {
        rng.fill(&mut buffer);
        let fair = buffer.iter().filter(|byte| **byte < FAIR);
        text.extend(fair.map(|byte| char::from(b'0' + byte % 10)).take(count - text.len()));
    }
    text
}

/// Makes the digests of short codes (HMAC-SHA256): with a plain digest, whoever reads the table could try all codes.
pub struct CodeKey(hmac::Key);

impl std::fmt::Debug for CodeKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CodeKey")
    }
}

impl CodeKey {
    /// Derives the key from the configured `secret`.
    #[must_use]
    pub fn new(secret: &Secret) -> Self {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
        let derived = hmac::sign(&secret, b"rowhouse/code");
        Self(hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref()))
    }

    /// The digest of a code for one purpose, in hex: the same code has another digest for each user and purpose.
    #[must_use]
    pub fn digest(&self, purpose: &str, code: &str) -> String {
        let tag = hmac::sign(&self.0, format!("{}:{purpose}:{code}", purpose.len()).as_bytes());
        tag.as_ref().iter().fold(String::with_capacity(64), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }
}

/// SHA-256.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, bytes).as_ref());
    hash
}

/// SHA-256 in base64url without padding, as RFC 7636 has it.
#[must_use]
pub fn sha256_base64url(bytes: &[u8]) -> String {
    base64url::encode(digest(&SHA256, bytes))
}

/// SHA-1 in upper-case hex, the key of lists of breached passwords. Protects nothing.
#[must_use]
pub fn sha1_hex(bytes: &[u8]) -> String {
    digest(&SHA1_FOR_LEGACY_USE_ONLY, bytes).as_ref().iter().fold(
        String::with_capacity(40),
        |mut hex, byte| {
            let _ = write!(hex, "{byte:02X}");
            hex
        },
    )
}

/// Compares in a time that depends on the lengths alone.
#[must_use]
pub fn is_equal(one: &[u8], other: &[u8]) -> bool {
    verify_slices_are_equal(one, other).is_ok()
}

#[cfg(test)]
mod tests {
    use rowhouse_kernel::{Secret, SeededRng};

    use super::{CodeKey, random_digits};

    #[test]
    fn digits_are_digits_and_differ() {
        let rng = SeededRng::new(7);
        let codes: Vec<String> = (0..100).map(|_| random_digits(6, &*rng)).collect();
        assert!(codes.iter().all(|code| code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit())));
        assert!(codes.windows(2).any(|pair| pair[0] != pair[1]));
        let counts = (0..10).map(|digit| codes.concat().matches(&digit.to_string()).count());
        assert!(counts.min() > Some(30));
    }

    #[test]
    fn digest_depends_on_secret_purpose_and_code() {
        let digest = |secret: &str, purpose: &str, code: &str| {
            CodeKey::new(&Secret::new(secret)).digest(purpose, code)
        };
        assert_eq!(digest("s", "p", "123456"), digest("s", "p", "123456"));
        assert_ne!(digest("s", "p", "123456"), digest("t", "p", "123456"));
        assert_ne!(digest("s", "p", "123456"), digest("s", "q", "123456"));
        assert_ne!(digest("s", "p:1", "23456"), digest("s", "p", "1:23456"));
    }
}
