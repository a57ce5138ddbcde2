//! Public keys as JSON (RFC 7517) and their names: the thumbprint of RFC 7638.

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use crate::base64url;
use crate::key::Algorithm;

/// One public key. Holds no private member, so that it cannot leak one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jwk {
    /// `EC`, `RSA` or `OKP`.
    pub kty: String,
    /// `P-256` or `Ed25519`; absent for RSA.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crv: Option<String>,
    /// First coordinate (EC) or the key (OKP).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x: Option<String>,
    /// Second coordinate (EC).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub y: Option<String>,
    /// Modulus (RSA).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n: Option<String>,
    /// Exponent (RSA).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub e: Option<String>,
    /// The key's name, as in token headers.
    pub kid: String,
    /// The one algorithm that the key is for.
    pub alg: Algorithm,
    /// Always `sig`.
    #[serde(rename = "use")]
    pub usage: String,
    /// Always `["verify"]`.
    pub key_ops: Vec<String>,
}

impl Jwk {
    /// A P-256 key from its coordinates.
    pub(crate) fn p256(x: &[u8], y: &[u8]) -> Self {
        Self {
            x: Some(base64url::encode(x)),
            y: Some(base64url::encode(y)),
            ..Self::bare("EC", Some("P-256"), Algorithm::Es256)
        }
        .named()
    }

    /// An Ed25519 key.
    pub(crate) fn ed25519(key: &[u8]) -> Self {
        Self { x: Some(base64url::encode(key)), ..Self::bare("OKP", Some("Ed25519"), Algorithm::EdDsa) }
            .named()
    }

    /// An RSA key from its big-endian modulus and exponent.
    pub(crate) fn rsa(n: &[u8], e: &[u8]) -> Self {
        Self {
            n: Some(base64url::encode(n)),
            e: Some(base64url::encode(e)),
            ..Self::bare("RSA", None, Algorithm::Rs256)
        }
        .named()
    }

    fn bare(kty: &str, crv: Option<&str>, alg: Algorithm) -> Self {
        Self {
            kty: kty.to_owned(),
            crv: crv.map(str::to_owned),
            x: None,
            y: None,
            n: None,
            e: None,
            kid: String::new(),
            alg,
            usage: "sig".to_owned(),
            key_ops: vec!["verify".to_owned()],
        }
    }

    fn named(mut self) -> Self {
        self.kid = self.thumbprint();
        self
    }

    /// RFC 7638: SHA-256 over the required members in lexical order. Used as `kid`, so that the name is derived
    /// from the key.
    #[must_use]
    pub fn thumbprint(&self) -> String {
        let members = [
            ("crv", &self.crv),
            ("e", &self.e),
            ("kty", &Some(self.kty.clone())),
            ("n", &self.n),
            ("x", &self.x),
            ("y", &self.y),
        ];
        let members: std::collections::BTreeMap<_, _> = members
            .into_iter()
            .filter_map(|(name, value)| value.as_deref().map(|value| (name, value.to_owned())))
            .collect();
        let canonical = serde_json::to_vec(&members).unwrap_or_default();
        base64url::encode(digest(&SHA256, &canonical))
    }
}

/// The document at `/.well-known/jwks.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JwkSet {
    /// Every key that may have signed a live token or will sign one soon.
    pub keys: Vec<Jwk>,
}
