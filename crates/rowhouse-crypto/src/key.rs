//! Key pairs: generation, sealing, loading, signing and verifying.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeySize, PublicKeyComponents};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair as _, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair,
};
use rowhouse_kernel::Rng;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{Envelope, EnvelopeError, Jwk, base64url};

/// What a key signs with (RFC 7518 section 3.1, RFC 8037).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Algorithm {
    /// ECDSA over P-256 with SHA-256: the default.
    #[serde(rename = "ES256")]
    Es256,
    /// RSA PKCS #1 v1.5 with SHA-256, 2048 bits: for OpenID clients that support nothing else.
    #[serde(rename = "RS256")]
    Rs256,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

impl Algorithm {
    /// The name in token headers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
            Self::EdDsa => "EdDSA",
        }
    }

    /// Reads [`Algorithm::as_str`] back.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Es256, Self::Rs256, Self::EdDsa].into_iter().find(|algorithm| algorithm.as_str() == name)
    }
}

/// Why a key or a ring cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The crypto library failed to generate, load or use the key.
    #[error("the crypto library refused the key: {0}")]
    Library(String),
    /// A public key lacks members or holds malformed ones.
    #[error("the public key {kid} is malformed")]
    Jwk {
        /// Which key.
        kid: String,
    },
    /// The private key does not belong to the stored public one.
    #[error("the sealed key {kid} holds another key")]
    Mismatch {
        /// Which key.
        kid: String,
    },
    /// The configured secret of another issuer cannot be used.
    #[error("{0}")]
    Trusted(&'static str),
    /// Sealing or opening failed.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// A ring must have exactly one signing key per purpose.
    #[error("{found} signing keys for {purpose} tokens, expected one")]
    Signers {
        /// `access` or `api`.
        purpose: &'static str,
        /// How many there were.
        found: usize,
    },
    /// The token would be longer than verifiers accept (8 KiB): too much metadata.
    #[error("the token would have {length} bytes, more than {max}", max = crate::MAX_TOKEN_LENGTH)]
    TooLong {
        /// How long it would be.
        length: usize,
    },
    /// The claims do not serialize.
    #[error("claims cannot be written as JSON: {0}")]
    Claims(#[from] serde_json::Error),
}

impl From<aws_lc_rs::error::Unspecified> for KeyError {
    fn from(error: aws_lc_rs::error::Unspecified) -> Self {
        Self::Library(error.to_string())
    }
}

impl From<aws_lc_rs::error::KeyRejected> for KeyError {
    fn from(error: aws_lc_rs::error::KeyRejected) -> Self {
        Self::Library(error.to_string())
    }
}

enum Private {
    Es256(EcdsaKeyPair),
    Rs256(Box<RsaKeyPair>),
    EdDsa(Ed25519KeyPair),
}

/// A private key with its public half. The private bytes are exported only in sealed form.
pub struct KeyPair {
    private: Private,
    jwk: Jwk,
}

impl std::fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyPair").field("kid", &self.jwk.kid).finish_non_exhaustive()
    }
}

impl KeyPair {
    /// A new key from the crypto library's own generator.
    ///
    /// # Errors
    /// [`KeyError::Library`].
    pub fn generate(algorithm: Algorithm) -> Result<Self, KeyError> {
        Ok(Self::from_private(match algorithm {
            Algorithm::Es256 => Private::Es256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?),
            Algorithm::Rs256 => Private::Rs256(Box::new(RsaKeyPair::generate(KeySize::Rsa2048)?)),
            Algorithm::EdDsa => Private::EdDsa(Ed25519KeyPair::generate()?),
        }))
    }

    /// Loads a PKCS #8 document (RFC 5208).
    ///
    /// # Errors
    /// [`KeyError::Library`].
    pub fn from_pkcs8(algorithm: Algorithm, der: &[u8]) -> Result<Self, KeyError> {
        Ok(Self::from_private(match algorithm {
            Algorithm::Es256 => {
                Private::Es256(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der)?)
            }
            Algorithm::Rs256 => Private::Rs256(Box::new(RsaKeyPair::from_pkcs8(der)?)),
            Algorithm::EdDsa => Private::EdDsa(Ed25519KeyPair::from_pkcs8(der)?),
        }))
    }

    fn from_private(private: Private) -> Self {
        let jwk = match &private {
            Private::Es256(pair) => {
                // SEC 1 uncompressed point: 0x04, then two coordinates of 32 bytes.
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                Jwk::p256(x, y)
            }
            Private::Rs256(pair) => {
                let public = pair.public_key();
                Jwk::rsa(
                    public.modulus().big_endian_without_leading_zero(),
                    public.exponent().big_endian_without_leading_zero(),
                )
            }
            Private::EdDsa(pair) => Jwk::ed25519(pair.public_key().as_ref()),
        };
        Self { private, jwk }
    }

    /// The public half.
    #[must_use]
    pub fn jwk(&self) -> &Jwk {
        &self.jwk
    }

    /// The private key as sealed PKCS #8, labelled with its kid.
    ///
    /// # Errors
    /// [`KeyError::Library`], [`KeyError::Envelope`].
    pub fn seal(&self, envelope: &Envelope, rng: &dyn Rng) -> Result<Vec<u8>, KeyError> {
        let der = match &self.private {
            Private::Es256(pair) => pair.to_pkcs8v1()?.as_ref().to_vec(),
            Private::Rs256(pair) => AsDer::<Pkcs8V1Der<'_>>::as_der(&**pair)?.as_ref().to_vec(),
            Private::EdDsa(pair) => pair.to_pkcs8()?.as_ref().to_vec(),
        };
        Ok(envelope.seal(&Zeroizing::new(der), &self.jwk.kid, rng)?)
    }

    /// Opens what [`KeyPair::seal`] made for the key that `jwk` describes.
    ///
    /// # Errors
    /// [`KeyError::Envelope`] under another secret, [`KeyError::Mismatch`] when the key is another one.
    pub fn unseal(sealed: &[u8], jwk: &Jwk, envelope: &Envelope) -> Result<Self, KeyError> {
        let pair = Self::from_pkcs8(jwk.alg, &envelope.open(sealed, &jwk.kid)?)?;
        if pair.jwk.kid == jwk.kid { Ok(pair) } else { Err(KeyError::Mismatch { kid: jwk.kid.clone() }) }
    }

    /// Signs `message`.
    ///
    /// # Errors
    /// [`KeyError::Library`].
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        Ok(match &self.private {
            Private::Es256(pair) => pair.sign(&SystemRandom::new(), message)?.as_ref().to_vec(),
            Private::Rs256(pair) => {
                let mut signature = vec![0_u8; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)?;
                signature
            }
            Private::EdDsa(pair) => pair.sign(message).as_ref().to_vec(),
        })
    }
}

/// A public key, parsed once and used for every token.
#[derive(Debug, Clone)]
pub struct VerifyingKey(ParsedPublicKey);

impl VerifyingKey {
    /// Parses `jwk`.
    ///
    /// # Errors
    /// [`KeyError::Jwk`] when members are missing, malformed or of another key type than `alg`.
    pub fn from_jwk(jwk: &Jwk) -> Result<Self, KeyError> {
        parse_public(jwk).map(Self).ok_or_else(|| KeyError::Jwk { kid: jwk.kid.clone() })
    }

    /// True if `signature` is this key's over `message`.
    #[must_use]
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        self.0.verify_sig(message, signature).is_ok()
    }
}

fn parse_public(jwk: &Jwk) -> Option<ParsedPublicKey> {
    let member = |value: &Option<String>| base64url::decode(value.as_deref()?);
    match (jwk.alg, jwk.kty.as_str(), jwk.crv.as_deref()) {
        (Algorithm::Es256, "EC", Some("P-256")) => {
            let (x, y) = (member(&jwk.x)?, member(&jwk.y)?);
            let point = [&[4_u8][..], &x, &y].concat();
            (x.len() == 32 && y.len() == 32)
                .then(|| ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).ok())?
        }
        (Algorithm::EdDsa, "OKP", Some("Ed25519")) => ParsedPublicKey::new(&ED25519, member(&jwk.x)?).ok(),
        (Algorithm::Rs256, "RSA", _) => {
            let components = PublicKeyComponents { n: member(&jwk.n)?, e: member(&jwk.e)? };
            components.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256).ok()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
