//! Authenticated encryption of small secrets at rest: AES-256-GCM under a key derived from the configured secret.
//!
//! Leaves storing the sealed bytes to the caller.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf;
use rowhouse_kernel::{Rng, Secret};
use zeroize::Zeroizing;

/// First byte of every sealed value: the version of the layout.
const VERSION: u8 = 1;
const SALT: &[u8] = b"rowhouse/envelope";
const INFO: &[u8] = b"aes-256-gcm/1";

/// Why something could not be sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// The first byte names a layout that this version does not know, or there are too few bytes.
    #[error("the sealed value has an unknown layout")]
    Layout,
    /// Another secret, another label, or changed bytes; AES-GCM cannot tell which.
    #[error(
        "the sealed value does not open with this secret (auth.key_secret); if it was replaced, give the former one as auth.key_secret_previous"
    )]
    Refused,
    /// The crypto library failed; kept apart from a wrong secret.
    #[error("the crypto library refused to work")]
    Library,
}

/// Seals and opens. Layout: version (1 byte), nonce (12), ciphertext and tag (16).
#[derive(Debug)]
pub struct Envelope {
    key: LessSafeKey,
    /// Of the secret that this one replaces.
    previous: Option<LessSafeKey>,
}

impl Envelope {
    /// Derives the key with HKDF-SHA256 (RFC 5869) from `secret`.
    ///
    /// # Errors
    /// Only [`EnvelopeError::Library`].
    pub fn new(secret: &Secret) -> Result<Self, EnvelopeError> {
        Ok(Self { key: derive(secret)?, previous: None })
    }

    /// The same, which also opens what was sealed under the secret that was in use before.
    ///
    /// # Errors
    /// Only [`EnvelopeError::Library`].
    pub fn replacing(self, previous: &Secret) -> Result<Self, EnvelopeError> {
        Ok(Self { previous: Some(derive(previous)?), ..self })
    }

    /// Whether a value is sealed under the current secret.
    #[must_use]
    pub fn is_current(&self, sealed: &[u8], label: &str) -> bool {
        open(&self.key, sealed, label).is_ok()
    }

    /// Seals anew what was sealed under the former secret; `None` if it is sealed under the current one.
    ///
    /// # Errors
    /// Those of [`Envelope::open`] and [`Envelope::seal`].
    pub fn renew(&self, sealed: &[u8], label: &str, rng: &dyn Rng) -> Result<Option<Vec<u8>>, EnvelopeError> {
        match open(&self.key, sealed, label) {
            Err(EnvelopeError::Refused) => self.seal(&self.open(sealed, label)?, label, rng).map(Some),
            opened => opened.map(|_| None),
        }
    }

    /// Seals `plain` so that it opens only under the same secret and the same `label` (for a signing key, its kid).
    ///
    /// # Errors
    /// Only [`EnvelopeError::Library`].
    pub fn seal(&self, plain: &[u8], label: &str, rng: &dyn Rng) -> Result<Vec<u8>, EnvelopeError> {
        let mut nonce = [0_u8; NONCE_LEN];
        rng.fill(&mut nonce);
        let mut body = plain.to_vec();
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad(label), &mut body)
            .map_err(|_| EnvelopeError::Library)?;
        let mut sealed = Vec::with_capacity(1 + NONCE_LEN + body.len());
        sealed.push(VERSION);
        sealed.extend_from_slice(&nonce);
        sealed.append(&mut body);
        Ok(sealed)
    }

    /// Opens what [`Envelope::seal`] made.
    ///
    /// # Errors
    /// [`EnvelopeError::Layout`] or [`EnvelopeError::Refused`].
    pub fn open(&self, sealed: &[u8], label: &str) -> Result<Zeroizing<Vec<u8>>, EnvelopeError> {
        match (open(&self.key, sealed, label), &self.previous) {
            (Err(EnvelopeError::Refused), Some(previous)) => open(previous, sealed, label),
            (opened, _) => opened,
        }
    }
}

fn derive(secret: &Secret) -> Result<LessSafeKey, EnvelopeError> {
    let mut bytes = Zeroizing::new([0_u8; 32]);
    let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, SALT).extract(secret.expose().as_bytes());
    let okm = prk.expand(&[INFO], &AES_256_GCM).map_err(|_| EnvelopeError::Library)?;
    okm.fill(&mut *bytes).map_err(|_| EnvelopeError::Library)?;
    let key = UnboundKey::new(&AES_256_GCM, &*bytes).map_err(|_| EnvelopeError::Library)?;
    Ok(LessSafeKey::new(key))
}

fn open(key: &LessSafeKey, sealed: &[u8], label: &str) -> Result<Zeroizing<Vec<u8>>, EnvelopeError> {
    let (&version, rest) = sealed.split_first().ok_or(EnvelopeError::Layout)?;
    let (nonce, body) = rest.split_at_checked(NONCE_LEN).ok_or(EnvelopeError::Layout)?;
    if version != VERSION {
        return Err(EnvelopeError::Layout);
    }
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| EnvelopeError::Layout)?;
    let mut body = Zeroizing::new(body.to_vec());
    let length = key.open_in_place(nonce, aad(label), &mut body).map_err(|_| EnvelopeError::Refused)?.len();
    body.truncate(length);
    Ok(body)
}

fn aad(label: &str) -> Aad<Vec<u8>> {
    let mut bytes = vec![VERSION];
    bytes.extend_from_slice(label.as_bytes());
    Aad::from(bytes)
}

#[cfg(test)]
mod tests {
    use rowhouse_kernel::{Secret, SeededRng};

    use super::{Envelope, EnvelopeError};

    fn envelope(secret: &str) -> Envelope {
        Envelope::new(&Secret::new(secret)).unwrap()
    }

    #[test]
    fn sealed_bytes_open_under_the_same_secret_and_label() {
        let sealed = envelope("one").seal(b"key", "kid", &*SeededRng::new(1)).unwrap();
        assert_eq!(envelope("one").open(&sealed, "kid").unwrap().as_slice(), b"key");
    }

    #[test]
    fn another_secret_or_label_is_refused() {
        let sealed = envelope("one").seal(b"key", "kid", &*SeededRng::new(1)).unwrap();
        assert_eq!(envelope("two").open(&sealed, "kid").unwrap_err(), EnvelopeError::Refused);
        assert_eq!(envelope("one").open(&sealed, "dik").unwrap_err(), EnvelopeError::Refused);
    }

    #[test]
    fn every_changed_bit_and_every_cut_is_refused() {
        let sealed = envelope("one").seal(b"key", "kid", &*SeededRng::new(1)).unwrap();
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert!(envelope("one").open(&changed, "kid").is_err(), "byte {index}");
            assert!(envelope("one").open(&sealed[..index], "kid").is_err(), "cut at {index}");
        }
    }

    #[test]
    fn replaced_secret_still_opens_and_is_renewed_once() {
        let rng = SeededRng::new(1);
        let old = envelope("one").seal(b"key", "kid", &*rng).unwrap();
        let both = envelope("two").replacing(&Secret::new("one")).unwrap();
        assert_eq!(both.open(&old, "kid").unwrap().as_slice(), b"key");
        assert_eq!(both.open(&old, "dik").unwrap_err(), EnvelopeError::Refused);
        let renewed = both.renew(&old, "kid", &*rng).unwrap().unwrap();
        assert_eq!(envelope("two").open(&renewed, "kid").unwrap().as_slice(), b"key");
        assert_eq!(both.renew(&renewed, "kid", &*rng).unwrap(), None);
        assert!(both.is_current(&renewed, "kid") && !both.is_current(&old, "kid"));
        assert_eq!(both.renew(&old, "dik", &*rng).unwrap_err(), EnvelopeError::Refused);
        assert_eq!(both.renew(&old[..5], "kid", &*rng).unwrap_err(), EnvelopeError::Layout);
    }

    #[test]
    fn the_same_text_is_sealed_differently_each_time() {
        let rng = SeededRng::new(1);
        let (a, b) = (envelope("one").seal(b"k", "", &*rng), envelope("one").seal(b"k", "", &*rng));
        assert_ne!(a.unwrap(), b.unwrap());
    }
}
