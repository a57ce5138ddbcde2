use aws_lc_rs::hmac;
use proptest::prelude::*;
use rowhouse_kernel::Secret;
use serde_json::{Value, json};
use std::sync::LazyLock;
use time::{Duration, OffsetDateTime};

use super::{Key, KeyRing, Purpose, Status};
use crate::base64url::{decode, encode};
use crate::{Algorithm, KeyError, KeyPair, TokenError, TokenSource, TrustedKeys};

const LEGACY: &str = "super-secret-jwt-token-with-at-least-32-characters-long";

fn now() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap()
}

fn key(purpose: Purpose, status: Status) -> Key {
    Key::new(KeyPair::generate(Algorithm::Es256).unwrap(), purpose, status).unwrap()
}

fn ring_with(legacy: Option<&str>) -> KeyRing {
    let keys = vec![key(Purpose::Access, Status::Signing), key(Purpose::Api, Status::Signing)];
    let trusted = legacy.map(|secret| TrustedKeys::read(&Secret::new(secret), false).unwrap());
    KeyRing::new(keys, trusted).unwrap()
}

fn claims() -> Value {
    json!({ "sub": "a", "role": "authenticated", "exp": (now() + Duration::HOUR).unix_timestamp() })
}

fn hs256(header: &Value, secret: &[u8]) -> String {
    let signed = format!("{}.{}", encode(header.to_string()), encode(claims().to_string()));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), signed.as_bytes());
    format!("{signed}.{}", encode(tag))
}

/// `token` with another header; the signature stays.
fn reheaded(token: &str, header: &Value) -> String {
    format!("{}.{}", encode(header.to_string()), token.split_once('.').unwrap().1)
}

#[test]
fn signed_token_verifies_with_its_claims_and_source() {
    let ring = ring_with(None);
    let token = ring.sign(&claims(), Purpose::Access).unwrap();
    let verified = ring.verify(&token, now()).unwrap();
    assert_eq!(verified.source, TokenSource::Access);
    assert_eq!(verified.text("sub"), Some("a"));
    assert_eq!(serde_json::from_str::<Value>(&verified.json).unwrap(), claims());
    let api = ring.sign(&json!({ "role": "anon" }), Purpose::Api).unwrap();
    assert_eq!(ring.verify(&api, now()).unwrap().source, TokenSource::Api);
}

#[test]
fn header_names_kid_alg_and_typ() {
    let ring = ring_with(None);
    let token = ring.sign(&claims(), Purpose::Access).unwrap();
    let header: Value = serde_json::from_slice(&decode(token.split_once('.').unwrap().0).unwrap()).unwrap();
    assert_eq!(header, json!({ "alg": "ES256", "kid": ring.signing_kid(Purpose::Access), "typ": "JWT" }));
}

#[test]
fn retired_and_standby_keys_still_verify() {
    let old = KeyPair::generate(Algorithm::Es256).unwrap();
    let jwk = old.jwk().clone();
    let before = KeyRing::new(
        vec![Key::new(old, Purpose::Access, Status::Signing).unwrap(), key(Purpose::Api, Status::Signing)],
        None,
    )
    .unwrap();
    let token = before.sign(&claims(), Purpose::Access).unwrap();
    let keys = vec![
        Key::public(jwk, Purpose::Access).unwrap(),
        key(Purpose::Access, Status::Signing),
        key(Purpose::Access, Status::Standby),
        key(Purpose::Api, Status::Signing),
    ];
    let after = KeyRing::new(keys, None).unwrap();
    assert!(after.verify(&token, now()).is_ok());
    assert_eq!(after.jwks().keys.len(), 4);
}

#[test]
fn ring_needs_exactly_one_signer_per_purpose() {
    let two = vec![key(Purpose::Access, Status::Signing), key(Purpose::Access, Status::Signing)];
    assert!(matches!(KeyRing::new(two, None), Err(KeyError::Signers { purpose: "access", found: 2 })));
    let none = vec![key(Purpose::Access, Status::Signing), key(Purpose::Api, Status::Standby)];
    assert!(matches!(KeyRing::new(none, None), Err(KeyError::Signers { purpose: "api", found: 0 })));
}

#[test]
fn forged_headers_are_refused() {
    let ring = ring_with(None);
    let token = ring.sign(&claims(), Purpose::Access).unwrap();
    let kid = ring.signing_kid(Purpose::Access);
    for (header, error) in [
        (json!({ "alg": "none" }), TokenError::WrongAlgorithm),
        (json!({ "alg": "none", "kid": kid }), TokenError::WrongAlgorithm),
        (json!({ "alg": "None", "kid": kid }), TokenError::WrongAlgorithm),
        (json!({ "alg": "HS256", "kid": kid }), TokenError::WrongAlgorithm),
        (json!({ "alg": "RS256", "kid": kid }), TokenError::WrongAlgorithm),
        (json!({ "alg": "HS256" }), TokenError::WrongAlgorithm),
        (json!({ "alg": "ES256" }), TokenError::UnknownKey),
        (json!({ "alg": "ES256", "kid": "other" }), TokenError::UnknownKey),
        (json!({ "alg": "ES256", "kid": ring.signing_kid(Purpose::Api) }), TokenError::BadSignature),
    ] {
        assert_eq!(ring.verify(&reheaded(&token, &header), now()).unwrap_err(), error, "{header}");
    }
    let unsigned = format!("{}.", reheaded(&token, &json!({ "alg": "none" })).rsplit_once('.').unwrap().0);
    assert_eq!(ring.verify(&unsigned, now()).unwrap_err(), TokenError::WrongAlgorithm);
}

#[test]
fn public_key_does_not_serve_as_hmac_secret() {
    let ring = ring_with(Some(LEGACY));
    let jwk = serde_json::to_string(&ring.jwks().keys[0]).unwrap();
    let kid = ring.signing_kid(Purpose::Access);
    let named = hs256(&json!({ "alg": "HS256", "kid": kid }), jwk.as_bytes());
    assert_eq!(ring.verify(&named, now()).unwrap_err(), TokenError::WrongAlgorithm);
    let nameless = hs256(&json!({ "alg": "HS256" }), jwk.as_bytes());
    assert_eq!(ring.verify(&nameless, now()).unwrap_err(), TokenError::BadSignature);
}

#[test]
fn legacy_secret_verifies_tokens_of_foreign_kid_only() {
    let ring = ring_with(Some(LEGACY));
    for header in [json!({ "alg": "HS256" }), json!({ "alg": "HS256", "kid": "supabase", "typ": "JWT" })] {
        let verified = ring.verify(&hs256(&header, LEGACY.as_bytes()), now()).unwrap();
        assert_eq!(verified.source, TokenSource::Legacy);
    }
    let kid = ring.signing_kid(Purpose::Access);
    let named = hs256(&json!({ "alg": "HS256", "kid": kid }), LEGACY.as_bytes());
    assert_eq!(ring.verify(&named, now()).unwrap_err(), TokenError::WrongAlgorithm);
    let token = hs256(&json!({ "alg": "HS256" }), LEGACY.as_bytes());
    assert_eq!(ring_with(None).verify(&token, now()).unwrap_err(), TokenError::WrongAlgorithm);
}

#[test]
fn legacy_secret_is_not_published() {
    assert_eq!(ring_with(Some(LEGACY)).jwks().keys.len(), 2);
}

#[test]
fn token_beyond_eight_kibibytes_is_neither_signed_nor_read() {
    let ring = ring_with(None);
    let mut claims = claims();
    claims["fill"] = json!("x".repeat(8192));
    assert!(matches!(ring.sign(&claims, Purpose::Access), Err(KeyError::TooLong { .. })));
    let token = format!("{}.{}.{}", encode("{}"), encode(claims.to_string()), encode("signature"));
    assert_eq!(ring.verify(&token, now()).unwrap_err(), TokenError::Malformed);
}

static FUZZED: LazyLock<KeyRing> = LazyLock::new(|| ring_with(Some(LEGACY)));
static GENUINE: LazyLock<String> = LazyLock::new(|| FUZZED.sign(&claims(), Purpose::Access).unwrap());

proptest! {
    #[test]
    fn arbitrary_text_is_refused_without_panic(token in ".{0,400}") {
        prop_assert!(FUZZED.verify(&token, now()).is_err());
    }

    #[test]
    fn arbitrary_parts_are_refused_without_panic(
        header in "\\PC{0,80}", claims in proptest::collection::vec(any::<u8>(), 0..80), signature in proptest::collection::vec(any::<u8>(), 0..80)
    ) {
        let token = format!("{}.{}.{}", encode(header), encode(claims), encode(signature));
        prop_assert!(FUZZED.verify(&token, now()).is_err());
    }

    #[test]
    fn any_changed_byte_is_refused(index in 0..400_usize, byte in any::<u8>()) {
        let mut bytes = GENUINE.clone().into_bytes();
        let index = index % bytes.len();
        prop_assume!(bytes[index] != byte);
        bytes[index] = byte;
        let refused = String::from_utf8(bytes).map_or(true, |token| FUZZED.verify(&token, now()).is_err());
        prop_assert!(refused);
    }
}
