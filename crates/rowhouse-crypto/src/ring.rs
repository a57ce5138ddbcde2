//! The key ring: one signing key per purpose, the other keys whose tokens are still valid, and the keys of
//! external issuers.
//!
//! Immutable: a rotation builds a new ring. Leaves storage and scheduling of rotations to `rowhouse-auth`.

use std::collections::{HashMap, HashSet};

use serde::Serialize;
use time::OffsetDateTime;

use crate::token::Parts;
use crate::{
    Jwk, JwkSet, KeyError, KeyPair, TokenError, TokenSource, TrustedKeys, VerifiedToken, VerifyingKey,
    base64url,
};

/// What a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Users' access tokens, short-lived.
    Access,
    /// `anon_key` and `service_role_key`, long-lived.
    Api,
}

impl Purpose {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Access, Self::Api];

    /// As stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Api => "api",
        }
    }

    /// Reads [`Purpose::as_str`] back.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|purpose| purpose.as_str() == name)
    }

    fn source(self) -> TokenSource {
        match self {
            Self::Access => TokenSource::Access,
            Self::Api => TokenSource::Api,
        }
    }
}

/// A key's stage. A removed key is in no ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// Published before it signs, so that verifiers with a cached key set know it in time.
    Standby,
    /// Signs.
    Signing,
    /// Signs no more; tokens that it has signed are still accepted.
    Verifying,
}

impl Status {
    /// As stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Standby => "standby",
            Self::Signing => "signing",
            Self::Verifying => "verifying",
        }
    }

    /// Reads [`Status::as_str`] back.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Standby, Self::Signing, Self::Verifying].into_iter().find(|status| status.as_str() == name)
    }
}

/// A key with its purpose and status.
#[derive(Debug)]
pub struct Key {
    jwk: Jwk,
    purpose: Purpose,
    status: Status,
    pair: Option<KeyPair>,
    verifier: VerifyingKey,
}

impl Key {
    /// A key that can sign.
    ///
    /// # Errors
    /// [`KeyError::Jwk`].
    pub fn new(pair: KeyPair, purpose: Purpose, status: Status) -> Result<Self, KeyError> {
        let verifier = VerifyingKey::from_jwk(pair.jwk())?;
        Ok(Self { jwk: pair.jwk().clone(), purpose, status, pair: Some(pair), verifier })
    }

    /// A key without a private half; its status is `verifying`.
    ///
    /// # Errors
    /// [`KeyError::Jwk`].
    pub fn public(jwk: Jwk, purpose: Purpose) -> Result<Self, KeyError> {
        let verifier = VerifyingKey::from_jwk(&jwk)?;
        Ok(Self { jwk, purpose, status: Status::Verifying, pair: None, verifier })
    }

    /// The public half.
    #[must_use]
    pub fn jwk(&self) -> &Jwk {
        &self.jwk
    }

    /// What it signs.
    #[must_use]
    pub fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// Its stage.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status
    }
}

#[derive(Debug)]
struct Signer {
    /// The encoded JOSE header with its dot; the same for every token of one key.
    head: String,
    pair: KeyPair,
}

/// Signs and verifies tokens; shared behind one pointer and replaced as a whole.
#[derive(Debug)]
pub struct KeyRing {
    access: Signer,
    api: Signer,
    known: HashMap<String, Known>,
    jwks: JwkSet,
    trusted: Option<TrustedKeys>,
    /// `jti` of API keys that have been revoked.
    revoked: HashSet<String>,
}

#[derive(Debug)]
struct Known {
    algorithm: &'static str,
    source: TokenSource,
    verifier: VerifyingKey,
}

impl KeyRing {
    /// Builds a ring. `trusted` are keys of other issuers: accepted, never used to sign, never published.
    ///
    /// # Errors
    /// [`KeyError::Signers`] unless each purpose has exactly one signing key.
    pub fn new(mut keys: Vec<Key>, trusted: Option<TrustedKeys>) -> Result<Self, KeyError> {
        let jwks = JwkSet { keys: keys.iter().map(|key| key.jwk.clone()).collect() };
        let access = take_signer(&mut keys, Purpose::Access)?;
        let api = take_signer(&mut keys, Purpose::Api)?;
        let known = keys.into_iter().map(|key| {
            let known = Known {
                algorithm: key.jwk.alg.as_str(),
                source: key.purpose.source(),
                verifier: key.verifier,
            };
            (key.jwk.kid, known)
        });
        Ok(Self { access, api, known: known.collect(), jwks, trusted, revoked: HashSet::new() })
    }

    /// The same ring, which refuses API keys with these ids (`jti`).
    #[must_use]
    pub fn without(self, revoked: impl IntoIterator<Item = String>) -> Self {
        Self { revoked: revoked.into_iter().collect(), ..self }
    }

    /// The public halves of this installation's keys.
    #[must_use]
    pub fn jwks(&self) -> &JwkSet {
        &self.jwks
    }

    /// The kid that signs for `purpose` now.
    #[must_use]
    pub fn signing_kid(&self, purpose: Purpose) -> &str {
        &self.signer(purpose).pair.jwk().kid
    }

    /// Signs `claims` as a compact JWS with `kid` and `typ` set.
    ///
    /// # Errors
    /// [`KeyError::Claims`], [`KeyError::TooLong`], [`KeyError::Library`].
    pub fn sign(&self, claims: &impl Serialize, purpose: Purpose) -> Result<String, KeyError> {
        let signer = self.signer(purpose);
        let mut token = signer.head.clone();
        token.push_str(&base64url::encode(serde_json::to_vec(claims)?));
        let signature = signer.pair.sign(token.as_bytes())?;
        token.push('.');
        token.push_str(&base64url::encode(signature));
        match token.len() {
            length if length > crate::MAX_TOKEN_LENGTH => Err(KeyError::TooLong { length }),
            _ => Ok(token),
        }
    }

    /// Checks form, key, signature and clock claims, in that order. Issuer, audience and role are left to the caller.
    ///
    /// # Errors
    /// The first reason to refuse; see [`TokenError`].
    pub fn verify(&self, token: &str, now: OffsetDateTime) -> Result<VerifiedToken, TokenError> {
        let parts = Parts::parse(token)?;
        let known = parts.header.kid.as_deref().and_then(|kid| self.known.get(kid));
        let source = match (known, self.trusted.as_ref()) {
            (Some(key), _) if parts.header.alg != key.algorithm => return Err(TokenError::WrongAlgorithm),
            (Some(key), _) if key.verifier.verify(parts.signed, &parts.signature) => key.source,
            (Some(_), _) => return Err(TokenError::BadSignature),
            (None, Some(trusted)) => trusted.verify(&parts, now)?,
            (None, None) if crate::Algorithm::parse(&parts.header.alg).is_none() => {
                return Err(TokenError::WrongAlgorithm);
            }
            (None, None) => return Err(TokenError::UnknownKey),
        };
        let mut token = parts.claims(source, now)?;
        if let Some(trusted) = self.trusted.as_ref().filter(|_| source.is_foreign()) {
            token.expires_at = trusted.end(token.expires_at);
        }
        match token.text("jti") {
            Some(id) if source == TokenSource::Api && self.revoked.contains(id) => {
                Err(TokenError::UnknownKey)
            }
            _ => Ok(token),
        }
    }

    fn signer(&self, purpose: Purpose) -> &Signer {
        match purpose {
            Purpose::Access => &self.access,
            Purpose::Api => &self.api,
        }
    }
}

/// Takes the private half of the one key that signs for `purpose`; its public half stays for verifying.
fn take_signer(keys: &mut [Key], purpose: Purpose) -> Result<Signer, KeyError> {
    let mut pairs: Vec<KeyPair> = keys
        .iter_mut()
        .filter(|key| key.purpose == purpose && key.status == Status::Signing)
        .filter_map(|key| key.pair.take())
        .collect();
    match (pairs.pop(), pairs.len()) {
        (Some(pair), 0) => Ok(Signer { head: encoded_header(pair.jwk()), pair }),
        (last, others) => {
            Err(KeyError::Signers { purpose: purpose.as_str(), found: others + usize::from(last.is_some()) })
        }
    }
}

fn encoded_header(jwk: &Jwk) -> String {
    let header = serde_json::json!({ "alg": jwk.alg, "kid": jwk.kid, "typ": "JWT" });
    base64url::encode(header.to_string()) + "."
}

#[cfg(test)]
mod tests;
