//! Opaque secrets: random text that is shown once and stored only as a digest.

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hkdf;
use rowhouse_kernel::{Rng, Secret};
use zeroize::Zeroizing;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Characters of a secret: 62^22 is a little more than 2^130.
const LENGTH: usize = 22;
/// Largest multiple of 62 below 256. Bytes from there on are rejected, so that every character is equally likely.
const FAIR: u8 = 248;

/// A new secret of 22 letters and digits, for refresh tokens and one-time links.
#[derive(Debug, Clone)]
pub struct OpaqueSecret(Secret);

impl OpaqueSecret {
    /// Draws a secret from `rng`.
    #[must_use]
    pub fn generate(rng: &dyn Rng) -> Self {
        let mut text = String::with_capacity(LENGTH);
        let mut buffer = [0_u8; 32];
        while text.len() < LENGTH {
            rng.fill(&mut buffer);
            text.extend(buffer.iter().filter_map(|byte| letter(*byte)).take(LENGTH - text.len()));
        }
        Self(Secret::new(text))
    }

    /// The text for the client.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// What the database keeps.
    #[must_use]
    pub fn digest(&self) -> String {
        digest_hex(self.expose())
    }
}

/// Derives each secret of a chain from the digest of the one before, so that a client which lost an answer gets the
/// same successor again although only digests are stored.
///
/// A successor follows only from the stored digest and the configured secret together; neither a stolen database nor
/// a stolen secret alone gives one.
pub struct ChainKey(hkdf::Prk);

impl std::fmt::Debug for ChainKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ChainKey")
    }
}

impl ChainKey {
    /// Derives the key (HKDF-SHA256) from the configured `secret`.
    #[must_use]
    pub fn new(secret: &Secret) -> Self {
        Self(hkdf::Salt::new(hkdf::HKDF_SHA256, b"rowhouse/chain").extract(secret.expose().as_bytes()))
    }

    /// The successor of the secret whose digest is `parent`; `None` only when the crypto library refuses.
    #[must_use]
    pub fn successor(&self, parent: &str) -> Option<OpaqueSecret> {
        // Fewer than 22 of 64 bytes are accepted with a probability below 2^-200.
        let mut bytes = Zeroizing::new([0_u8; 64]);
        self.0.expand(&[parent.as_bytes()], Bytes64).ok()?.fill(&mut *bytes).ok()?;
        let text: String = bytes.iter().filter_map(|byte| letter(*byte)).take(LENGTH).collect();
        (text.len() == LENGTH).then(|| OpaqueSecret(Secret::new(text)))
    }
}

struct Bytes64;

impl hkdf::KeyType for Bytes64 {
    fn len(&self) -> usize {
        64
    }
}

fn letter(byte: u8) -> Option<char> {
    (byte < FAIR).then(|| char::from(ALPHABET[usize::from(byte % 62)]))
}

/// SHA-256 of `text` in lower-case hex. Enough for secrets of 128 bits and more; passwords need [`crate::password`].
#[must_use]
pub fn digest_hex(text: &str) -> String {
    digest_bytes_hex(text.as_bytes())
}

/// SHA-256 of bytes in lower-case hex.
#[must_use]
pub fn digest_bytes_hex(bytes: &[u8]) -> String {
    digest(&SHA256, bytes).as_ref().iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use rowhouse_kernel::{Secret, SeededRng};

    use super::{ChainKey, OpaqueSecret, digest_hex, letter};

    #[test]
    fn digest_is_sha256() {
        assert_eq!(digest_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn secrets_are_22_letters_or_digits_and_differ() {
        let rng = SeededRng::new(7);
        let (one, two) = (OpaqueSecret::generate(&*rng), OpaqueSecret::generate(&*rng));
        assert_eq!(one.expose().len(), 22);
        assert!(one.expose().bytes().all(|b| b.is_ascii_alphanumeric()));
        assert_ne!(one.expose(), two.expose());
        assert_ne!(one.digest(), two.digest());
    }

    #[test]
    fn every_character_comes_from_the_same_number_of_bytes() {
        let mut counts = std::collections::BTreeMap::new();
        for letter in (0..=u8::MAX).filter_map(letter) {
            *counts.entry(letter).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), 62);
        assert!(counts.values().all(|count| *count == 4));
    }

    #[test]
    fn successor_depends_on_parent_and_secret_alone() {
        let successor = |secret: &str, parent: &str| {
            ChainKey::new(&Secret::new(secret)).successor(parent).unwrap().expose().to_owned()
        };
        assert_eq!(successor("s", "p"), successor("s", "p"));
        assert_ne!(successor("s", "p"), successor("t", "p"));
        assert_ne!(successor("s", "p"), successor("s", "q"));
        assert_eq!(successor("s", "p").len(), 22);
    }

    #[test]
    fn debug_hides_the_secret() {
        let secret = OpaqueSecret::generate(&*SeededRng::new(7));
        assert!(!format!("{secret:?}").contains(secret.expose()));
    }
}
