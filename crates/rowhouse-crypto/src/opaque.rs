//! Opaque secrets: random text that is shown once and stored only as a digest.

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};
use rowhouse_kernel::{Rng, Secret};

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Characters of a secret: 62^22 is a little more than 2^130.
const LENGTH: usize = 22;
/// Largest multiple of 62 below 256. Bytes from there on are rejected, so that every character is equally likely.
const FAIR: u8 = 248;

/// A new secret of 22 letters and digits, for codes and one-time links.
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
    use rowhouse_kernel::SeededRng;

    use super::{OpaqueSecret, digest_hex, letter};

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
    fn debug_hides_the_secret() {
        let secret = OpaqueSecret::generate(&*SeededRng::new(7));
        assert!(!format!("{secret:?}").contains(secret.expose()));
    }
}
