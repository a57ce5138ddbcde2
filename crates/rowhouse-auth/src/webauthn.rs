//! WebAuthn on the wire: options for browsers, their answers as auth-js sends them, and credentials as GoTrue stores
//! them. The verification is `rowhouse_crypto`'s.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rowhouse_crypto::webauthn::{
    ALGORITHMS, Asserted, Assertion, Flags, KnownCredential, NewCredential, RelyingParty, WebAuthnError,
};
use rowhouse_kernel::Rng;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

use crate::model::User;
use crate::settings::MfaSettings;

/// Bytes of a challenge; section 13.4.3 asks for 16 at least.
const CHALLENGE: usize = 32;
/// Hints on how to reach an authenticator, as section 5.8.4 names them.
const TRANSPORTS: [&str; 6] = ["usb", "nfc", "ble", "smart-card", "hybrid", "internal"];

/// Bytes as base64url, padded or not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Base64Url(pub(crate) Vec<u8>);

impl std::fmt::Display for Base64Url {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Base64Url {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = URL_SAFE_NO_PAD.decode(text.trim_end_matches('='));
        bytes.map(Self).map_err(|_| serde::de::Error::custom("expected base64url"))
    }
}

impl Serialize for Base64Url {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Bytes as padded base64, Go's form.
mod base64_text {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?.unwrap_or_default();
        STANDARD.decode(text).map_err(|_| serde::de::Error::custom("expected base64"))
    }
}

/// A browser's answer to `navigator.credentials.create`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Creation {
    #[serde(rename = "rawId")]
    raw_id: Base64Url,
    r#type: String,
    response: CreationResponse,
}

#[derive(Debug, Clone, Deserialize)]
struct CreationResponse {
    #[serde(rename = "clientDataJSON")]
    client_data: Base64Url,
    #[serde(rename = "attestationObject")]
    attestation_object: Base64Url,
    #[serde(default)]
    transports: Option<Vec<String>>,
}

impl Creation {
    /// The credential, if the answer is right.
    pub(crate) fn verify(&self, rp: &RelyingParty, challenge: &[u8]) -> Result<NewCredential, WebAuthnError> {
        let CreationResponse { client_data, attestation_object, .. } = &self.response;
        let new = rp.register(challenge, &client_data.0, &attestation_object.0)?;
        let is_same = self.r#type == "public-key" && new.id == self.raw_id.0;
        if is_same { Ok(new) } else { Err(WebAuthnError::Malformed("credential id")) }
    }

    /// Hints that are known.
    pub(crate) fn transports(&self) -> Vec<&'static str> {
        let told = self.response.transports.as_deref().unwrap_or_default();
        TRANSPORTS.into_iter().filter(|known| told.iter().any(|told| told == known)).collect()
    }
}

/// A browser's answer to `navigator.credentials.get`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Proof {
    #[serde(rename = "rawId")]
    raw_id: Base64Url,
    r#type: String,
    response: ProofResponse,
}

#[derive(Debug, Clone, Deserialize)]
struct ProofResponse {
    #[serde(rename = "clientDataJSON")]
    client_data: Base64Url,
    #[serde(rename = "authenticatorData")]
    authenticator_data: Base64Url,
    signature: Base64Url,
    #[serde(default, rename = "userHandle")]
    user_handle: Option<Base64Url>,
}

impl Proof {
    /// The credential that has signed.
    pub(crate) fn credential_id(&self) -> &[u8] {
        &self.raw_id.0
    }

    /// The user that the authenticator keeps with the credential.
    pub(crate) fn user(&self) -> Option<Uuid> {
        std::str::from_utf8(&self.response.user_handle.as_ref()?.0).ok()?.parse().ok()
    }

    /// Whether the known credential has signed.
    pub(crate) fn verify(
        &self,
        rp: &RelyingParty,
        challenge: &[u8],
        known: KnownCredential<'_>,
    ) -> Result<Asserted, WebAuthnError> {
        if self.r#type != "public-key" {
            return Err(WebAuthnError::Malformed("credential type"));
        }
        let response = &self.response;
        let assertion = Assertion {
            client_data: &response.client_data.0,
            authenticator_data: &response.authenticator_data.0,
            signature: &response.signature.0,
        };
        rp.authenticate(challenge, assertion, known)
    }
}

/// A ceremony in progress, as it is stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SessionData {
    pub(crate) challenge: Base64Url,
}

impl SessionData {
    pub(crate) fn new(rng: &dyn Rng) -> Self {
        let mut challenge = vec![0; CHALLENGE];
        rng.fill(&mut challenge);
        Self { challenge: Base64Url(challenge) }
    }

    pub(crate) fn to_json(&self) -> Value {
        json!(self)
    }
}

/// A credential in `auth.mfa_factors.web_authn_credential`, in the form of GoTrue's library.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StoredCredential {
    #[serde(with = "base64_text")]
    pub(crate) id: Vec<u8>,
    #[serde(rename = "publicKey", with = "base64_text")]
    pub(crate) public_key: Vec<u8>,
    #[serde(rename = "attestationType", default)]
    attestation_type: String,
    #[serde(default)]
    transport: Option<Vec<String>>,
    #[serde(default)]
    flags: StoredFlags,
    pub(crate) authenticator: StoredAuthenticator,
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct StoredFlags {
    user_present: bool,
    user_verified: bool,
    backup_eligible: bool,
    backup_state: bool,
}

impl From<Flags> for StoredFlags {
    fn from(flags: Flags) -> Self {
        Self {
            user_present: flags.user_present,
            user_verified: flags.user_verified,
            backup_eligible: flags.backup_eligible,
            backup_state: flags.backed_up,
        }
    }
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct StoredAuthenticator {
    #[serde(rename = "AAGUID", with = "base64_text", default)]
    aaguid: Vec<u8>,
    #[serde(rename = "signCount", default)]
    pub(crate) sign_count: u32,
    #[serde(rename = "cloneWarning", default)]
    clone_warning: bool,
    #[serde(default)]
    attachment: String,
}

impl StoredCredential {
    pub(crate) fn new(created: NewCredential, transports: &[&'static str]) -> Self {
        Self {
            id: created.id,
            public_key: created.public_key,
            attestation_type: "none".to_owned(),
            transport: Some(transports.iter().map(|name| (*name).to_owned()).collect()),
            flags: created.flags.into(),
            authenticator: StoredAuthenticator {
                aaguid: created.aaguid.to_vec(),
                sign_count: created.sign_count,
                ..StoredAuthenticator::default()
            },
        }
    }

    /// What the next answer is compared with.
    pub(crate) fn known(&self) -> KnownCredential<'_> {
        KnownCredential { public_key: &self.public_key, sign_count: self.authenticator.sign_count }
    }

    /// The credential after it was used.
    pub(crate) fn used(mut self, asserted: Asserted) -> Self {
        self.authenticator.sign_count = asserted.sign_count;
        self.flags = asserted.flags.into();
        self
    }
}

/// The relying party: as configured, else the front end's host and origin.
pub(crate) fn relying_party(settings: &MfaSettings, site: &str) -> RelyingParty {
    let site = Url::parse(site).ok();
    let host = site.as_ref().and_then(Url::host_str).unwrap_or_default();
    let id = settings.webauthn_rp_id.clone().unwrap_or_else(|| host.to_owned());
    let origins = match settings.webauthn_rp_origins.as_slice() {
        [] => site.iter().map(|url| url.origin().ascii_serialization()).collect(),
        given => given.to_vec(),
    };
    RelyingParty { id, origins }
}

/// A party's name and id, and how long users may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms<'a> {
    pub(crate) id: &'a str,
    pub(crate) name: &'a str,
    pub(crate) time: Duration,
}

/// Whether the authenticator keeps the user with the credential, so that no name has to be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Discoverable {
    Required,
    Discouraged,
}

/// Options for `navigator.credentials.create`.
pub(crate) fn creation_options(
    terms: Terms<'_>,
    user: &User,
    session: &SessionData,
    exclude: &[Vec<u8>],
    discoverable: Discoverable,
) -> Value {
    let name = [&user.email, &user.phone].into_iter().find(|name| !name.is_empty()).unwrap_or(&user.email);
    let display_name = user.user_metadata.get("name").and_then(Value::as_str).unwrap_or(name);
    let resident_key = match discoverable {
        Discoverable::Required => "required",
        Discoverable::Discouraged => "discouraged",
    };
    let algorithms = ALGORITHMS.map(|alg| json!({ "type": "public-key", "alg": alg }));
    json!({
        "rp": { "id": terms.id, "name": terms.name },
        // The text of the id, as GoTrue has it: imported credentials come back with it.
        "user": { "id": Base64Url(user.id.to_string().into_bytes()), "name": name, "displayName": display_name },
        "challenge": session.challenge,
        "pubKeyCredParams": algorithms,
        "timeout": milliseconds(terms.time),
        "excludeCredentials": descriptors(exclude),
        "authenticatorSelection": {
            "residentKey": resident_key,
            "requireResidentKey": discoverable == Discoverable::Required,
            "userVerification": "preferred",
        },
        "attestation": "none",
    })
}

/// Options for `navigator.credentials.get`.
pub(crate) fn request_options(terms: Terms<'_>, session: &SessionData, allow: &[Vec<u8>]) -> Value {
    let mut options = json!({
        "challenge": session.challenge,
        "timeout": milliseconds(terms.time),
        "rpId": terms.id,
        "userVerification": "preferred",
    });
    if !allow.is_empty() {
        options["allowCredentials"] = descriptors(allow);
    }
    options
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn descriptors(ids: &[Vec<u8>]) -> Value {
    ids.iter().map(|id| json!({ "type": "public-key", "id": Base64Url(id.clone()) })).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{StoredCredential, relying_party};
    use crate::settings::MfaSettings;

    #[test]
    fn relying_party_is_the_front_end_unless_it_is_configured() {
        let party = relying_party(&MfaSettings::default(), "https://app.example.com:8443/x");
        assert_eq!(
            (party.id.as_str(), party.origins),
            ("app.example.com", vec!["https://app.example.com:8443".into()])
        );
        let given = MfaSettings {
            webauthn_rp_id: Some("example.com".into()),
            webauthn_rp_origins: vec!["https://www.example.com".into()],
            ..MfaSettings::default()
        };
        let party = relying_party(&given, "https://app.example.com");
        assert_eq!(
            (party.id.as_str(), party.origins),
            ("example.com", vec!["https://www.example.com".into()])
        );
    }

    #[test]
    fn credential_of_gotrue_is_read() {
        let stored = json!({
            "id": "AQI=", "publicKey": "AwQ=", "attestationType": "none", "transport": null,
            "flags": { "userPresent": true, "userVerified": true, "backupEligible": false, "backupState": false },
            "authenticator": { "AAGUID": "AAAAAAAAAAAAAAAAAAAAAA==", "signCount": 7, "cloneWarning": false, "attachment": "" },
            "attestation": { "clientDataJSON": "" },
        });
        let read: StoredCredential = serde_json::from_value(stored).unwrap();
        assert_eq!((read.id.as_slice(), read.known().sign_count), ([1, 2].as_slice(), 7));
    }
}
