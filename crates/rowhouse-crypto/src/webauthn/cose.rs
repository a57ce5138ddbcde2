//! COSE keys (RFC 9052, RFC 9053, RFC 8230) of the three algorithms that are asked for.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
};
use ciborium::Value;

use super::{WebAuthnError, read_cbor};

pub(super) const ES256: i64 = -7;
pub(super) const EDDSA: i64 = -8;
pub(super) const RS256: i64 = -257;

/// Labels of parameters, and values of theirs.
const KEY_TYPE: i64 = 1;
const ALGORITHM: i64 = 3;
const OKP: i64 = 1;
const EC2: i64 = 2;
const RSA: i64 = 3;
const CURVE: i64 = -1;
const X: i64 = -2;
const Y: i64 = -3;
const P256: i64 = 1;
const CURVE_ED25519: i64 = 6;
const MODULUS: i64 = -1;
const EXPONENT: i64 = -2;

/// A public key.
#[derive(Debug)]
pub(super) enum CoseKey {
    Parsed(ParsedPublicKey),
    Rsa(RsaPublicKeyComponents<Vec<u8>>),
}

impl CoseKey {
    /// Reads one key and nothing behind it.
    pub(super) fn parse(cbor: &[u8]) -> Result<Self, WebAuthnError> {
        let malformed = WebAuthnError::Malformed("public key");
        let (key, rest) = read_cbor(cbor).ok_or(malformed)?;
        let parameters = key.as_map().filter(|_| rest.is_empty()).ok_or(malformed)?;
        let parameters = Parameters(parameters);
        let kind = (parameters.number(KEY_TYPE), parameters.number(ALGORITHM));
        match kind {
            (Some(EC2), Some(ES256)) if parameters.number(CURVE) == Some(P256) => parameters.p256(),
            (Some(OKP), Some(EDDSA)) if parameters.number(CURVE) == Some(CURVE_ED25519) => {
                parameters.ed25519()
            }
            (Some(RSA), Some(RS256)) => parameters.rsa(),
            _ => return Err(WebAuthnError::Algorithm),
        }
        .ok_or(malformed)
    }

    /// Refuses a signature that is not this key's.
    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), WebAuthnError> {
        let result = match self {
            Self::Parsed(key) => key.verify_sig(message, signature),
            Self::Rsa(key) => key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature),
        };
        result.map_err(|_| WebAuthnError::Signature)
    }
}

struct Parameters<'a>(&'a [(Value, Value)]);

impl Parameters<'_> {
    fn find(&self, label: i64) -> Option<&Value> {
        let is_it = |name: &Value| name.as_integer().is_some_and(|name| i128::from(name) == label.into());
        self.0.iter().find(|(name, _)| is_it(name)).map(|(_, value)| value)
    }

    fn number(&self, label: i64) -> Option<i64> {
        i64::try_from(i128::from(self.find(label)?.as_integer()?)).ok()
    }

    fn bytes(&self, label: i64) -> Option<&[u8]> {
        self.find(label)?.as_bytes().map(Vec::as_slice)
    }

    /// An uncompressed point, which must be on the curve.
    fn p256(&self) -> Option<CoseKey> {
        let (x, y): (&[u8; 32], &[u8; 32]) =
            (self.bytes(X)?.try_into().ok()?, self.bytes(Y)?.try_into().ok()?);
        let point = [[4].as_slice(), x, y].concat();
        ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).ok().map(CoseKey::Parsed)
    }

    fn ed25519(&self) -> Option<CoseKey> {
        let key: &[u8; 32] = self.bytes(X)?.try_into().ok()?;
        ParsedPublicKey::new(&ED25519, key).ok().map(CoseKey::Parsed)
    }

    fn rsa(&self) -> Option<CoseKey> {
        let (n, e) = (self.bytes(MODULUS)?.to_vec(), self.bytes(EXPONENT)?.to_vec());
        Some(CoseKey::Rsa(RsaPublicKeyComponents { n, e }))
    }
}
