//! An authenticator in software, for tests: one ES256 credential, and every part that a forger could change.

use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use ciborium::Value;
use serde_json::json;

use crate::base64url;
use crate::code::sha256;

/// User present, user verified.
const PRESENT: u8 = 0b0000_0101;
/// A credential is attested.
const ATTESTED: u8 = 0b0100_0000;

/// One authenticator with one credential, in a browser that shows one page.
pub struct SoftAuthenticator {
    /// The relying party that the credential belongs to.
    pub rp_id: String,
    /// The page's origin.
    pub origin: String,
    /// Flags of authenticator data, without that of an attested credential.
    pub flags: u8,
    /// The last counter of signatures; stays zero if it is `None`.
    pub counter: Option<u32>,
    /// The credential's id.
    pub id: Vec<u8>,
    key: Arc<EcdsaKeyPair>,
}

impl std::fmt::Debug for SoftAuthenticator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SoftAuthenticator")
    }
}

/// The answer to `create`.
#[derive(Debug, Clone)]
pub struct SoftRegistration {
    /// `clientDataJSON`.
    pub client_data: Vec<u8>,
    /// `attestationObject`.
    pub attestation_object: Vec<u8>,
}

/// The answer to `get`.
#[derive(Debug, Clone)]
pub struct SoftAssertion {
    /// `clientDataJSON`.
    pub client_data: Vec<u8>,
    /// `authenticatorData`.
    pub authenticator_data: Vec<u8>,
    /// The signature over both.
    pub signature: Vec<u8>,
}

impl SoftAuthenticator {
    /// A new credential for `rp_id`, on a page of `origin`.
    #[must_use]
    pub fn new(rp_id: &str, origin: &str) -> Self {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING)
            .unwrap_or_else(|_| unreachable!("a key for a test"));
        let id = sha256(key.public_key().as_ref()).to_vec();
        let (rp_id, origin) = (rp_id.to_owned(), origin.to_owned());
        Self { rp_id, origin, flags: PRESENT, counter: Some(0), id, key: Arc::new(key) }
    }

    /// Another authenticator with the same key, as it was at this time: a clone.
    #[must_use]
    pub fn copy(&self) -> Self {
        let (rp_id, origin, id) = (self.rp_id.clone(), self.origin.clone(), self.id.clone());
        Self { rp_id, origin, id, flags: self.flags, counter: self.counter, key: Arc::clone(&self.key) }
    }

    /// Answers `navigator.credentials.create`.
    #[must_use]
    pub fn create(&self, challenge: &[u8]) -> SoftRegistration {
        let mut data = self.authenticator_data(self.flags | ATTESTED, self.counter.unwrap_or_default());
        data.extend([0_u8; 16]);
        data.extend(u16::try_from(self.id.len()).unwrap_or(u16::MAX).to_be_bytes());
        data.extend(&self.id);
        data.extend(self.cose());
        let object = Value::Map(vec![
            (Value::Text("fmt".to_owned()), Value::Text("none".to_owned())),
            (Value::Text("attStmt".to_owned()), Value::Map(Vec::new())),
            (Value::Text("authData".to_owned()), Value::Bytes(data)),
        ]);
        SoftRegistration {
            client_data: self.client_data("webauthn.create", challenge),
            attestation_object: encode(&object),
        }
    }

    /// Answers `navigator.credentials.get`; each answer counts.
    #[must_use]
    pub fn get(&mut self, challenge: &[u8]) -> SoftAssertion {
        self.counter = self.counter.map(|counter| counter + 1);
        let authenticator_data = self.authenticator_data(self.flags, self.counter.unwrap_or_default());
        let client_data = self.client_data("webauthn.get", challenge);
        let signed = [authenticator_data.as_slice(), &sha256(&client_data)].concat();
        let signature = self
            .key
            .sign(&SystemRandom::new(), &signed)
            .map_or_else(|_| Vec::new(), |made| made.as_ref().to_vec());
        SoftAssertion { client_data, authenticator_data, signature }
    }

    fn client_data(&self, kind: &str, challenge: &[u8]) -> Vec<u8> {
        let challenge = base64url::encode(challenge);
        json!({ "type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": false })
            .to_string()
            .into_bytes()
    }

    fn authenticator_data(&self, flags: u8, counter: u32) -> Vec<u8> {
        let mut data = sha256(self.rp_id.as_bytes()).to_vec();
        data.push(flags);
        data.extend(counter.to_be_bytes());
        data
    }

    /// The public key as COSE.
    fn cose(&self) -> Vec<u8> {
        let point = self.key.public_key().as_ref();
        let number = |number: i64| Value::Integer(number.into());
        encode(&Value::Map(vec![
            (number(1), number(2)),
            (number(3), number(-7)),
            (number(-1), number(1)),
            (number(-2), Value::Bytes(point[1..33].to_vec())),
            (number(-3), Value::Bytes(point[33..].to_vec())),
        ]))
    }
}

fn encode(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    let written = ciborium::into_writer(value, &mut bytes);
    debug_assert!(written.is_ok(), "a vector takes everything");
    bytes
}
