use std::borrow::Borrow;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mail_auth::common::crypto::Ed25519Key;
use mail_auth::common::parse::TxtRecordParser;
use mail_auth::common::verify::DomainKey;
use mail_auth::{AuthenticatedMessage, DkimResult, MessageAuthenticator, Parameters, ResolverCache, Txt};
use rowhouse_kernel::Secret;

use super::Signer;

const MESSAGE: &[u8] =
    b"From: a@shop.example\r\nTo: b@b.example\r\nSubject: S\r\nMessage-ID: <1@shop.example>\r\n\r\nBody\r\n";

pub(crate) fn ed25519() -> Secret {
    let der = Ed25519Key::generate_pkcs8().unwrap();
    Secret::new(format!("-----BEGIN {0}-----\n{1}\n-----END {0}-----\n", "PRIVATE KEY", STANDARD.encode(der)))
}

fn rsa() -> Secret {
    let command = ["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"];
    let output = std::process::Command::new("openssl").args(command).output().unwrap();
    Secret::new(String::from_utf8(output.stdout).unwrap())
}

/// A resolver's cache with one record.
struct Published(Txt);

impl ResolverCache<Box<str>, Txt> for Published {
    fn get<Q: Hash + Eq + ?Sized>(&self, _name: &Q) -> Option<Txt>
    where
        Box<str>: Borrow<Q>,
    {
        Some(self.0.clone())
    }

    fn remove<Q: Hash + Eq + ?Sized>(&self, _name: &Q) -> Option<Txt>
    where
        Box<str>: Borrow<Q>,
    {
        None
    }

    fn insert(&self, _key: Box<str>, _value: Txt, _valid_until: Instant) {}
}

struct Nothing;

impl<K, V> ResolverCache<K, V> for Nothing {
    fn get<Q: Hash + Eq + ?Sized>(&self, _name: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        None
    }

    fn remove<Q: Hash + Eq + ?Sized>(&self, _name: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        None
    }

    fn insert(&self, _key: K, _value: V, _valid_until: Instant) {}
}

async fn verifies(message: &[u8], record: &str) -> bool {
    let message = AuthenticatedMessage::parse(message).unwrap();
    let published = Published(Txt::DomainKey(Arc::new(DomainKey::parse(record.as_bytes()).unwrap())));
    let parameters: Parameters<'_, &AuthenticatedMessage<'_>, Published, Nothing, Nothing, Nothing, Nothing> =
        Parameters {
            params: &message,
            cache_txt: Some(&published),
            cache_mx: None::<&Nothing>,
            cache_ptr: None,
            cache_ipv4: None,
            cache_ipv6: None,
        };
    let authenticator = MessageAuthenticator::new_cloudflare().unwrap();
    let output = authenticator.verify_dkim(parameters).await;
    output.len() == 1 && *output[0].result() == DkimResult::Pass
}

#[tokio::test]
async fn signature_verifies_with_the_record_that_is_to_be_published() {
    for key in [ed25519(), rsa()] {
        let signer = Signer::from_key(&key, "shop.example", "rowhouse").unwrap();
        let signed = signer.sign(MESSAGE).unwrap();
        assert!(signed.ends_with(MESSAGE) && signed.starts_with(b"DKIM-Signature: "));
        assert!(verifies(&signed, signer.record()).await, "{}", signer.record());
        let changed = String::from_utf8(signed).unwrap().replace("Subject: S", "Subject: T");
        assert!(!verifies(changed.as_bytes(), signer.record()).await);
    }
}

#[test]
fn unusable_key_is_refused_by_name() {
    for text in ["", "nonsense", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"] {
        let error = Signer::from_key(&Secret::new(text), "d", "s").unwrap_err().to_string();
        assert!(error.starts_with("mail.dkim_key: "), "{error}");
    }
}
