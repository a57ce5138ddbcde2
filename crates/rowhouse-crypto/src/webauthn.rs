//! WebAuthn (level 2) as a relying party: the answers of authenticators to `create` and `get`.
//!
//! Attestation is neither asked for nor trusted. Leaves transport, storage and the one-time use of challenges to the caller.

mod authenticator_data;
mod client_data;
mod cose;
#[cfg(any(test, feature = "test-util"))]
pub mod soft;

use ciborium::Value;

use crate::code::sha256;

use authenticator_data::AuthenticatorData;
pub use authenticator_data::Flags;
use client_data::Ceremony;
use cose::CoseKey;

/// Longest attestation object and client data that are read.
const LONGEST: usize = 16 * 1024;

/// Why an authenticator's answer is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WebAuthnError {
    /// Bytes that are not what the specification says; the text names the part.
    #[error("malformed {0}")]
    Malformed(&'static str),
    /// The answer is to another ceremony.
    #[error("the answer is to another ceremony")]
    Ceremony,
    /// The answer is to another challenge.
    #[error("the answer is to another challenge")]
    Challenge,
    /// A page of another origin asked, or one within another's frame.
    #[error("the answer comes from a page of another origin")]
    Origin,
    /// The credential belongs to another relying party.
    #[error("the credential belongs to another relying party")]
    RelyingParty,
    /// Nobody touched the authenticator.
    #[error("nobody was present")]
    NobodyPresent,
    /// A key that is not one of ES256, RS256, EdDSA.
    #[error("the key's algorithm is not supported")]
    Algorithm,
    /// The signature is not the credential's.
    #[error("the signature is wrong")]
    Signature,
    /// The counter of signatures did not grow: two authenticators have the same key.
    #[error("the authenticator's counter did not grow: it may have been cloned")]
    Cloned,
}

/// COSE algorithms that are asked for, the preferred first: ES256, EdDSA, RS256.
pub const ALGORITHMS: [i64; 3] = [cose::ES256, cose::EDDSA, cose::RS256];

/// The service that credentials are for.
#[derive(Debug, Clone)]
pub struct RelyingParty {
    /// The domain that credentials are bound to.
    pub id: String,
    /// Origins of pages that may use them.
    pub origins: Vec<String>,
}

/// A credential that an authenticator has made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCredential {
    /// Its id.
    pub id: Vec<u8>,
    /// The COSE key.
    pub public_key: Vec<u8>,
    /// The authenticator's model; zero if it does not tell.
    pub aaguid: [u8; 16],
    /// The counter of signatures.
    pub sign_count: u32,
    /// What the authenticator says about user and credential.
    pub flags: Flags,
}

/// What an authenticator has signed.
#[derive(Debug, Clone, Copy)]
pub struct Assertion<'a> {
    /// `clientDataJSON`.
    pub client_data: &'a [u8],
    /// `authenticatorData`.
    pub authenticator_data: &'a [u8],
    /// The signature over both.
    pub signature: &'a [u8],
}

/// What is known of the credential that must have signed.
#[derive(Debug, Clone, Copy)]
pub struct KnownCredential<'a> {
    /// The COSE key.
    pub public_key: &'a [u8],
    /// The last counter of signatures.
    pub sign_count: u32,
}

/// What a right assertion leaves to be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asserted {
    /// The new counter of signatures.
    pub sign_count: u32,
    /// What the authenticator says about user and credential.
    pub flags: Flags,
}

impl RelyingParty {
    /// Verifies the answer to `navigator.credentials.create` (section 7.1). The attestation statement is not looked at.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn register(
        &self,
        challenge: &[u8],
        client_data: &[u8],
        attestation_object: &[u8],
    ) -> Result<NewCredential, WebAuthnError> {
        client_data::require(client_data, Ceremony::Create, challenge, &self.origins)?;
        let data = AuthenticatorData::parse(&authenticator_data(attestation_object)?)?;
        self.require_present(&data)?;
        let credential = data.credential.ok_or(WebAuthnError::Malformed("attested credential"))?;
        CoseKey::parse(&credential.public_key)?;
        Ok(NewCredential {
            id: credential.id,
            public_key: credential.public_key,
            aaguid: credential.aaguid,
            sign_count: data.sign_count,
            flags: data.flags,
        })
    }

    /// Verifies the answer to `navigator.credentials.get` (section 7.2).
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn authenticate(
        &self,
        challenge: &[u8],
        assertion: Assertion<'_>,
        known: KnownCredential<'_>,
    ) -> Result<Asserted, WebAuthnError> {
        client_data::require(assertion.client_data, Ceremony::Get, challenge, &self.origins)?;
        let data = AuthenticatorData::parse(assertion.authenticator_data)?;
        self.require_present(&data)?;
        let signed = [assertion.authenticator_data, &sha256(assertion.client_data)].concat();
        CoseKey::parse(known.public_key)?.verify(&signed, assertion.signature)?;
        // Authenticators without a counter always send zero.
        let counts = known.sign_count > 0 || data.sign_count > 0;
        if counts && data.sign_count <= known.sign_count {
            return Err(WebAuthnError::Cloned);
        }
        Ok(Asserted { sign_count: data.sign_count, flags: data.flags })
    }

    fn require_present(&self, data: &AuthenticatorData) -> Result<(), WebAuthnError> {
        if data.rp_id_hash != sha256(self.id.as_bytes()) {
            return Err(WebAuthnError::RelyingParty);
        }
        if data.flags.user_present { Ok(()) } else { Err(WebAuthnError::NobodyPresent) }
    }
}

/// The part `authData` of an attestation object.
fn authenticator_data(attestation_object: &[u8]) -> Result<Vec<u8>, WebAuthnError> {
    let malformed = WebAuthnError::Malformed("attestation object");
    let (object, rest) = read_cbor(attestation_object).ok_or(malformed)?;
    let entries = object.into_map().ok().filter(|_| rest.is_empty()).ok_or(malformed)?;
    let data = entries.into_iter().find(|(name, _)| name.as_text() == Some("authData"));
    data.and_then(|(_, value)| value.into_bytes().ok()).ok_or(malformed)
}

/// Reads one item of CBOR (RFC 8949); returns it with the bytes behind it.
fn read_cbor(bytes: &[u8]) -> Option<(Value, &[u8])> {
    if bytes.len() > LONGEST {
        return None;
    }
    let mut rest = bytes;
    let value = ciborium::from_reader(&mut rest).ok()?;
    Some((value, rest))
}

#[cfg(test)]
mod tests;
