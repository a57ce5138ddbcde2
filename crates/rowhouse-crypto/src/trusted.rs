//! Keys of other issuers whose tokens are accepted: a shared secret as text or base64, a JWK or a JWK set (RFC 7517).
//!
//! An algorithm follows from the kind of key, never from the token alone, so a public key can never serve as a shared
//! secret. Leaves what such a token may do to the caller.

use aws_lc_rs::digest::{SHA256, SHA384, SHA512, digest};
use aws_lc_rs::hmac;
use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ED25519,
    EcdsaVerificationAlgorithm, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512,
    RsaParameters,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use rowhouse_kernel::Secret;
use serde::Deserialize;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::token::Parts;
use crate::{KeyError, TokenError, TokenSource, base64url};

/// An RSA key may be used with all six (RFC 7518 sections 3.3 and 3.5).
static RSA: [(&str, &RsaParameters); 6] = [
    ("RS256", &RSA_PKCS1_2048_8192_SHA256),
    ("RS384", &RSA_PKCS1_2048_8192_SHA384),
    ("RS512", &RSA_PKCS1_2048_8192_SHA512),
    ("PS256", &RSA_PSS_2048_8192_SHA256),
    ("PS384", &RSA_PSS_2048_8192_SHA384),
    ("PS512", &RSA_PSS_2048_8192_SHA512),
];
const MACS: [(&str, hmac::Algorithm); 3] =
    [("HS256", hmac::HMAC_SHA256), ("HS384", hmac::HMAC_SHA384), ("HS512", hmac::HMAC_SHA512)];

/// Most keys of a published set that are used.
const MOST_PUBLISHED: usize = 64;
/// Longest ID token in bytes; those of directories list groups.
const LONGEST_ID_TOKEN: usize = 16 * 1024;

/// The keys that the configured secret of another issuer contains.
#[derive(Debug, Clone)]
pub struct TrustedKeys {
    keys: Vec<TrustedKey>,
    /// When they are trusted no more.
    until: Option<OffsetDateTime>,
}

#[derive(Debug, Clone)]
struct TrustedKey {
    kid: Option<String>,
    /// A secret without a JWK verifies tokens of any `kid`; with a JWK the `kid` must match.
    is_bare: bool,
    verifiers: Vec<(&'static str, Verifier)>,
}

#[derive(Debug, Clone)]
enum Verifier {
    Shared(Box<hmac::Key>),
    Public(ParsedPublicKey),
}

/// The members that are used; private ones are ignored.
#[derive(Deserialize)]
struct ForeignJwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    crv: Option<String>,
    k: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
}

#[derive(Deserialize)]
struct ForeignSet {
    keys: Vec<Value>,
}

impl TrustedKeys {
    /// Reads the configured text: a JWK set, a JWK, or else a secret for HS256; with `is_base64` all that as base64,
    /// of either alphabet. Keys of a set that cannot verify tokens are ignored.
    ///
    /// # Errors
    /// [`KeyError::Trusted`] when no usable key remains.
    pub fn read(secret: &Secret, is_base64: bool) -> Result<Self, KeyError> {
        let plain = Zeroizing::new(match is_base64 {
            true => decode_base64(secret.expose())
                .ok_or(KeyError::Trusted("jwt_secret_is_base64 is set, and the secret is no base64"))?,
            false => secret.expose().as_bytes().to_vec(),
        });
        if !plain.trim_ascii_start().starts_with(b"{") {
            return Ok(Self { keys: vec![TrustedKey::bare(&plain)], until: None });
        }
        let given: Vec<_> = match serde_json::from_slice::<ForeignSet>(&plain) {
            Ok(set) => set.keys,
            Err(_) => serde_json::from_slice(&plain).map(|jwk| vec![jwk]).unwrap_or_default(),
        };
        let readable = given.into_iter().filter_map(|jwk| serde_json::from_value::<ForeignJwk>(jwk).ok());
        match readable.filter_map(TrustedKey::from_jwk).collect::<Vec<_>>() {
            keys if keys.is_empty() => {
                Err(KeyError::Trusted("the secret holds no JWK that can verify tokens"))
            }
            keys => Ok(Self { keys, until: None }),
        }
    }

    /// The same keys, trusted until then.
    #[must_use]
    pub fn until(self, until: Option<OffsetDateTime>) -> Self {
        Self { until, ..self }
    }

    /// The end of a token that these keys have signed.
    pub(crate) fn end(&self, expires_at: Option<OffsetDateTime>) -> Option<OffsetDateTime> {
        expires_at.into_iter().chain(self.until).min()
    }

    /// Reads the key set that another issuer publishes. Shared keys in it are ignored: whoever reads the set could sign
    /// with them.
    ///
    /// # Errors
    /// [`KeyError::Trusted`] when no usable key remains.
    pub fn read_published(set: &[u8]) -> Result<Self, KeyError> {
        let set: ForeignSet = serde_json::from_slice(set).map_err(|_| KeyError::Trusted("no JWK set"))?;
        let readable = set.keys.into_iter().filter_map(|jwk| serde_json::from_value::<ForeignJwk>(jwk).ok());
        let public = readable.filter(|jwk| jwk.kty != "oct").filter_map(TrustedKey::from_jwk);
        let keys: Vec<_> = public.take(MOST_PUBLISHED).collect();
        if keys.is_empty() {
            return Err(KeyError::Trusted("the set holds no public key that can verify tokens"));
        }
        Ok(Self { keys, until: None })
    }

    /// Verifies an ID token against a published set, and its claims of time.
    ///
    /// # Errors
    /// [`TokenError`]; [`TokenError::UnknownKey`] if a newer set may have the key.
    pub fn verify_id_token(&self, token: &str, now: OffsetDateTime) -> Result<IdToken, TokenError> {
        let parts = Parts::parse_up_to(token, LONGEST_ID_TOKEN)?;
        let source = self.verify(&parts, now)?;
        let claims = parts.claims(source, now)?.claims;
        Ok(IdToken { claims, alg: parts.header.alg })
    }

    /// Whether a text has the form of an ID token; without a look at its signature.
    ///
    /// # Errors
    /// If it has not.
    pub fn require_form_of_id_token(token: &str) -> Result<(), TokenError> {
        Parts::parse_up_to(token, LONGEST_ID_TOKEN).map(drop)
    }

    /// Verifies a token and says which kind of key has signed it.
    pub(crate) fn verify(&self, parts: &Parts<'_>, now: OffsetDateTime) -> Result<TokenSource, TokenError> {
        if self.until.is_some_and(|until| until <= now) {
            return Err(TokenError::UnknownKey);
        }
        let alg = parts.header.alg.as_str();
        let mut refusal = match MACS.iter().any(|(name, _)| *name == alg) {
            true => TokenError::WrongAlgorithm,
            false if is_known(alg) => TokenError::UnknownKey,
            false => return Err(TokenError::WrongAlgorithm),
        };
        for key in self.keys.iter().filter(|key| key.is_named(parts.header.kid.as_deref())) {
            for (_, verifier) in key.verifiers.iter().filter(|(name, _)| *name == alg) {
                if let Some(source) = verifier.vouch(parts) {
                    return Ok(source);
                }
                refusal = TokenError::BadSignature;
            }
        }
        Err(refusal)
    }
}

/// An ID token (OpenID Connect Core) whose signature and claims of time have been verified.
#[derive(Debug, Clone)]
pub struct IdToken {
    /// The claims.
    pub claims: Map<String, Value>,
    alg: String,
}

impl IdToken {
    /// The hash that binds a code or access token to this token: the left half, in base64url (OpenID Connect Core,
    /// section 3.1.3.6).
    #[must_use]
    pub fn hash_of(&self, text: &str) -> String {
        let algorithm = match self.alg.as_str() {
            "RS384" | "PS384" | "ES384" => &SHA384,
            "RS512" | "PS512" | "ES512" | "EdDSA" => &SHA512,
            _ => &SHA256,
        };
        let hash = digest(algorithm, text.as_bytes());
        base64url::encode(&hash.as_ref()[..hash.as_ref().len() / 2])
    }
}

impl TrustedKey {
    fn bare(secret: &[u8]) -> Self {
        let verifier = Verifier::Shared(Box::new(hmac::Key::new(hmac::HMAC_SHA256, secret)));
        Self { kid: None, is_bare: true, verifiers: vec![("HS256", verifier)] }
    }

    /// None for keys that are not for signatures, of unknown kind, or malformed.
    fn from_jwk(jwk: ForeignJwk) -> Option<Self> {
        if jwk.usage.as_deref().is_some_and(|usage| usage != "sig") {
            return None;
        }
        let mut verifiers = jwk.verifiers()?;
        verifiers.retain(|(name, _)| jwk.alg.as_deref().is_none_or(|alg| alg == *name));
        (!verifiers.is_empty()).then_some(Self { kid: jwk.kid, is_bare: false, verifiers })
    }

    /// Without a `kid` in the token every key is tried.
    fn is_named(&self, kid: Option<&str>) -> bool {
        self.is_bare || kid.is_none_or(|kid| self.kid.as_deref() == Some(kid))
    }
}

impl ForeignJwk {
    fn verifiers(&self) -> Option<Vec<(&'static str, Verifier)>> {
        let member = |value: &Option<String>| base64url::decode(value.as_deref()?.trim_end_matches('='));
        let public = |name, key: Option<ParsedPublicKey>| Some(vec![(name, Verifier::Public(key?))]);
        match (self.kty.as_str(), self.crv.as_deref()) {
            ("oct", _) => {
                let key = Zeroizing::new(member(&self.k)?);
                let mac =
                    |(name, algorithm)| (name, Verifier::Shared(Box::new(hmac::Key::new(algorithm, &key))));
                Some(MACS.into_iter().map(mac).collect())
            }
            ("RSA", _) => {
                let components = PublicKeyComponents { n: member(&self.n)?, e: member(&self.e)? };
                let parsed = |(name, algorithm): &(&'static str, &'static RsaParameters)| {
                    Some((*name, Verifier::Public(components.to_parsed_public_key(algorithm).ok()?)))
                };
                RSA.iter().map(parsed).collect()
            }
            ("EC", Some(curve)) => {
                let (name, size, algorithm): (_, _, &'static EcdsaVerificationAlgorithm) = match curve {
                    "P-256" => ("ES256", 32, &ECDSA_P256_SHA256_FIXED),
                    "P-384" => ("ES384", 48, &ECDSA_P384_SHA384_FIXED),
                    "P-521" => ("ES512", 66, &ECDSA_P521_SHA512_FIXED),
                    _ => return None,
                };
                let (x, y) = (member(&self.x)?, member(&self.y)?);
                let whole = x.len() == size && y.len() == size;
                let point = whole.then(|| [&[4_u8][..], &x, &y].concat())?;
                public(name, ParsedPublicKey::new(algorithm, point).ok())
            }
            ("OKP", Some("Ed25519")) => {
                public("EdDSA", ParsedPublicKey::new(&ED25519, member(&self.x)?).ok())
            }
            _ => None,
        }
    }
}

impl Verifier {
    fn vouch(&self, parts: &Parts<'_>) -> Option<TokenSource> {
        let (message, signature) = (parts.signed, parts.signature.as_slice());
        match self {
            Self::Shared(key) => hmac::verify(key, message, signature).ok().map(|()| TokenSource::Legacy),
            Self::Public(key) => key.verify_sig(message, signature).ok().map(|()| TokenSource::External),
        }
    }
}

fn is_known(alg: &str) -> bool {
    RSA.iter().any(|(name, _)| *name == alg) || ["ES256", "ES384", "ES512", "EdDSA"].contains(&alg)
}

/// Takes both alphabets, and `.` for the padding, as PostgREST does.
fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let plain: String = text.trim().replace('-', "+").replace('_', "/").replace('.', "=");
    STANDARD_NO_PAD.decode(plain.trim_end_matches('=')).ok()
}

#[cfg(test)]
mod tests;
