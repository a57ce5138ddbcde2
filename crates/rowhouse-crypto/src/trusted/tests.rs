use aws_lc_rs::hmac;
use rowhouse_kernel::Secret;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use super::TrustedKeys;
use crate::base64url::encode;
use crate::token::Parts;
use crate::{Algorithm, KeyError, KeyPair, TokenError, TokenSource};

const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;
const SECRET: &str = "reallyreallyreallyreallyverysafe";

fn keys(text: &str) -> TrustedKeys {
    TrustedKeys::read(&Secret::new(text), false).unwrap()
}

fn vouch(keys: &TrustedKeys, token: &str) -> Result<TokenSource, TokenError> {
    keys.verify(&Parts::parse(token)?, NOW)
}

fn mac(header: &Value, algorithm: hmac::Algorithm, secret: &[u8]) -> String {
    let signed = format!("{}.{}", encode(header.to_string()), encode("{}"));
    let tag = hmac::sign(&hmac::Key::new(algorithm, secret), signed.as_bytes());
    format!("{signed}.{}", encode(tag))
}

fn signed(header: &Value, pair: &KeyPair) -> String {
    let signed = format!("{}.{}", encode(header.to_string()), encode("{}"));
    let signature = pair.sign(signed.as_bytes()).unwrap();
    format!("{signed}.{}", encode(signature))
}

#[test]
fn secret_as_text_base64_and_jwk_is_the_same_secret() {
    let token = mac(&json!({ "alg": "HS256" }), hmac::HMAC_SHA256, SECRET.as_bytes());
    let jwk = json!({ "kty": "oct", "k": encode(SECRET) });
    for text in [SECRET.to_owned(), jwk.to_string(), json!({ "keys": [jwk] }).to_string()] {
        assert_eq!(vouch(&keys(&text), &token), Ok(TokenSource::Legacy), "{text}");
    }
    for text in
        ["cmVhbGx5cmVhbGx5cmVhbGx5cmVhbGx5dmVyeXNhZmU=", "cmVhbGx5cmVhbGx5cmVhbGx5cmVhbGx5dmVyeXNhZmU."]
    {
        let read = TrustedKeys::read(&Secret::new(text), true).unwrap();
        assert_eq!(vouch(&read, &token), Ok(TokenSource::Legacy), "{text}");
        assert_eq!(vouch(&keys(text), &token), Err(TokenError::BadSignature), "{text}");
    }
}

#[test]
fn public_keys_of_every_kind_verify_as_external() {
    for algorithm in [Algorithm::Es256, Algorithm::Rs256, Algorithm::EdDsa] {
        let pair = KeyPair::generate(algorithm).unwrap();
        let jwk = serde_json::to_string(pair.jwk()).unwrap();
        let set = format!("{{\"keys\":[{{\"kty\":\"new\"}},{jwk}]}}");
        for header in [json!({ "alg": algorithm }), json!({ "alg": algorithm, "kid": pair.jwk().kid })] {
            assert_eq!(vouch(&keys(&jwk), &signed(&header, &pair)), Ok(TokenSource::External));
            assert_eq!(vouch(&keys(&set), &signed(&header, &pair)), Ok(TokenSource::External));
        }
        let other = KeyPair::generate(algorithm).unwrap();
        let forged = signed(&json!({ "alg": algorithm }), &other);
        assert_eq!(vouch(&keys(&jwk), &forged), Err(TokenError::BadSignature));
    }
}

#[test]
fn kid_of_a_token_must_be_that_of_the_jwk() {
    let pair = KeyPair::generate(Algorithm::Es256).unwrap();
    let token = signed(&json!({ "alg": "ES256", "kid": "other" }), &pair);
    let mut jwk = serde_json::to_value(pair.jwk()).unwrap();
    assert_eq!(vouch(&keys(&jwk.to_string()), &token), Err(TokenError::UnknownKey));
    jwk.as_object_mut().unwrap().remove("kid");
    assert_eq!(vouch(&keys(&jwk.to_string()), &token), Err(TokenError::UnknownKey));
}

#[test]
fn public_jwk_does_not_serve_as_shared_secret() {
    let pair = KeyPair::generate(Algorithm::Rs256).unwrap();
    let jwk = serde_json::to_string(pair.jwk()).unwrap();
    for material in [jwk.as_bytes(), pair.jwk().n.as_deref().unwrap().as_bytes()] {
        let token = mac(&json!({ "alg": "HS256" }), hmac::HMAC_SHA256, material);
        assert_eq!(vouch(&keys(&jwk), &token), Err(TokenError::WrongAlgorithm));
    }
    let none = format!("{}.{}.", encode(r#"{"alg":"none"}"#), encode("{}"));
    assert_eq!(vouch(&keys(&jwk), &none), Err(TokenError::WrongAlgorithm));
}

#[test]
fn algorithm_of_a_jwk_binds() {
    let jwk = json!({ "kty": "oct", "k": encode(SECRET), "alg": "HS512" }).to_string();
    let token = |name: &str, algorithm| mac(&json!({ "alg": name }), algorithm, SECRET.as_bytes());
    assert_eq!(vouch(&keys(&jwk), &token("HS512", hmac::HMAC_SHA512)), Ok(TokenSource::Legacy));
    assert_eq!(vouch(&keys(&jwk), &token("HS256", hmac::HMAC_SHA256)), Err(TokenError::WrongAlgorithm));
    assert!(vouch(&keys(SECRET), &token("HS512", hmac::HMAC_SHA512)).is_err());
}

#[test]
fn json_without_a_usable_key_is_refused_instead_of_taken_as_a_secret() {
    let encrypting = json!({ "kty": "oct", "k": encode(SECRET), "use": "enc" }).to_string();
    for text in ["{", "{}", r#"{"keys":[]}"#, r#"{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}"#, &encrypting]
    {
        let read = TrustedKeys::read(&Secret::new(text), false);
        assert!(matches!(read, Err(KeyError::Trusted(_))), "{text}");
    }
    assert!(matches!(TrustedKeys::read(&Secret::new("no base64!"), true), Err(KeyError::Trusted(_))));
}

#[test]
fn keys_are_trusted_until_their_end_and_tokens_end_with_them() {
    let token = mac(&json!({ "alg": "HS256" }), hmac::HMAC_SHA256, SECRET.as_bytes());
    let (soon, later) = (NOW + Duration::SECOND, NOW + Duration::HOUR);
    let ending = |until| keys(SECRET).until(until);
    assert_eq!(vouch(&ending(Some(soon)), &token), Ok(TokenSource::Legacy));
    assert_eq!(vouch(&ending(Some(NOW)), &token), Err(TokenError::UnknownKey));
    assert_eq!(ending(Some(soon)).end(Some(later)), Some(soon));
    assert_eq!(ending(Some(later)).end(Some(soon)), Some(soon));
    assert_eq!((ending(Some(soon)).end(None), ending(None).end(None)), (Some(soon), None));
}

#[test]
fn published_set_verifies_id_tokens_with_its_public_keys_only() {
    let now = time::OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap();
    for (algorithm, hash) in [
        (Algorithm::Es256, "LCa0a2j_xo_5m0U8HTBBNA"),
        (Algorithm::Rs256, "LCa0a2j_xo_5m0U8HTBBNA"),
        (Algorithm::EdDsa, "9_u6bgY2-JDlb7vzKD5STG-jIErimDgtYkdB0NxmODI"),
    ] {
        let pair = KeyPair::generate(algorithm).unwrap();
        let shared = json!({ "kty": "oct", "kid": "s", "k": encode(SECRET) });
        let set = json!({ "keys": [shared, pair.jwk()] }).to_string();
        let keys = TrustedKeys::read_published(set.as_bytes()).unwrap();
        let token = signed(&json!({ "alg": algorithm, "kid": pair.jwk().kid }), &pair);
        let hashed = keys.verify_id_token(&token, now).unwrap().hash_of("foo");
        assert_eq!(hashed, hash, "{algorithm:?}");
        let forged = mac(&json!({ "alg": "HS256", "kid": "s" }), hmac::HMAC_SHA256, SECRET.as_bytes());
        assert_eq!(keys.verify_id_token(&forged, now).unwrap_err(), TokenError::WrongAlgorithm);
        let long = format!("{token}{}", "A".repeat(16 * 1024));
        assert_eq!(keys.verify_id_token(&long, now).unwrap_err(), TokenError::Malformed);
    }
    for set in [r#"{"keys":[]}"#, "[]", r#"{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}"#] {
        assert!(matches!(TrustedKeys::read_published(set.as_bytes()), Err(KeyError::Trusted(_))));
    }
}

static ISSUER: std::sync::LazyLock<KeyPair> =
    std::sync::LazyLock::new(|| KeyPair::generate(Algorithm::Es256).unwrap());

proptest::proptest! {
    #[test]
    fn arbitrary_key_sets_and_tokens_are_refused_without_panic(
        set in ".{0,200}", kty in "(RSA|EC|OKP|oct|X)", member in "[A-Za-z0-9_=-]{0,90}",
        header in "[{}a-zA-Z0-9:,\" ]{0,80}", claims in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..80),
    ) {
        let _ = TrustedKeys::read_published(set.as_bytes());
        let jwk = serde_json::json!({ "kty": kty, "crv": "P-256", "n": member, "e": member, "x": member, "y": member, "k": member });
        let keys = serde_json::json!({ "keys": [jwk, ISSUER.jwk()] }).to_string();
        if let Ok(keys) = TrustedKeys::read_published(keys.as_bytes()) {
            let now = time::OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap();
            let parts = [header.as_bytes(), &claims, member.as_bytes()].map(crate::base64url::encode);
            proptest::prop_assert!(keys.verify_id_token(&parts.join("."), now).is_err());
            proptest::prop_assert!(keys.verify_id_token(&set, now).is_err());
        }
    }
}
