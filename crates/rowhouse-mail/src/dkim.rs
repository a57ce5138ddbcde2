//! DKIM (RFC 6376, RFC 8463): signs outgoing messages, and gives the record that the domain has to publish.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mail_auth::common::crypto::{Ed25519Key, RsaKey, Sha256};
use mail_auth::common::headers::HeaderWriter;
use mail_auth::dkim::{DkimSigner, Done};
use rowhouse_kernel::Secret;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;

use crate::error::MailError;
use crate::settings::MailSettings;

/// Headers that a reader sees or that software acts on.
const SIGNED: &[&str] = &[
    "From",
    "To",
    "Cc",
    "Subject",
    "Date",
    "Message-ID",
    "Reply-To",
    "In-Reply-To",
    "References",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
];
/// `SEQUENCE { OID rsaEncryption, NULL }`
const RSA_ALGORITHM: &[u8] =
    &[0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];

/// Signs for one domain.
pub(crate) struct Signer {
    key: Key,
    record: String,
}

enum Key {
    Rsa(DkimSigner<RsaKey<Sha256>, Done>),
    Ed25519(DkimSigner<Ed25519Key, Done>),
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer").field("record", &self.record).finish_non_exhaustive()
    }
}

impl Signer {
    /// The configured one, if any.
    pub(crate) fn new(settings: &MailSettings) -> Result<Option<Self>, MailError> {
        let (Some(domain), Some(key)) = (&settings.dkim_domain, &settings.dkim_key) else { return Ok(None) };
        Self::from_key(key, domain, &settings.dkim_selector).map(Some)
    }

    fn from_key(key: &Secret, domain: &str, selector: &str) -> Result<Self, MailError> {
        let unusable = |error: &dyn std::fmt::Display| MailError::Unusable(format!("mail.dkim_key: {error}"));
        let der = PrivateKeyDer::from_pem_slice(key.expose().as_bytes())
            .map_err(|_| unusable(&"expected a private key in PEM"))?;
        if let Ok(rsa) = RsaKey::<Sha256>::from_key_der(der.clone_key()) {
            let record = format!("v=DKIM1; k=rsa; p={}", STANDARD.encode(spki(&rsa.public_key())));
            let signer =
                DkimSigner::from_key(rsa).domain(domain).selector(selector).headers(SIGNED.iter().copied());
            return Ok(Self { key: Key::Rsa(signer), record });
        }
        let ed25519 = Ed25519Key::from_pkcs8_maybe_unchecked_der(der.secret_der());
        let ed25519 = ed25519.map_err(|_| unusable(&"expected RSA (2048 bits or more) or Ed25519"))?;
        let record = format!("v=DKIM1; k=ed25519; p={}", STANDARD.encode(ed25519.public_key()));
        let signer =
            DkimSigner::from_key(ed25519).domain(domain).selector(selector).headers(SIGNED.iter().copied());
        Ok(Self { key: Key::Ed25519(signer), record })
    }

    /// The message with its signature in front.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, String> {
        let signature = match &self.key {
            Key::Rsa(signer) => signer.sign(message),
            Key::Ed25519(signer) => signer.sign(message),
        };
        let header = signature.map_err(|error| format!("the message cannot be signed: {error}"))?.to_header();
        Ok([header.as_bytes(), message].concat())
    }

    /// The text that the domain publishes under `selector._domainkey`.
    pub(crate) fn record(&self) -> &str {
        &self.record
    }
}

/// The SubjectPublicKeyInfo that records contain, from PKCS#1 (RFC 6376 section 3.6.1 and its errata).
fn spki(pkcs1: &[u8]) -> Vec<u8> {
    let bits = element(0x03, &[&[0], pkcs1].concat());
    element(0x30, &[RSA_ALGORITHM, &bits].concat())
}

/// A DER element of less than 64 KiB.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap_or(u16::MAX).to_be_bytes();
    let head: &[u8] = match content.len() {
        0..=127 => &[tag, length[1]],
        128..=255 => &[tag, 0x81, length[1]],
        _ => &[tag, 0x82, length[0], length[1]],
    };
    [head, content].concat()
}

#[cfg(test)]
pub(crate) mod tests;
