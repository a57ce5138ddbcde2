use rowhouse_kernel::{Secret, SeededRng};
use serde_json::json;

use super::{Algorithm, KeyError, KeyPair, VerifyingKey};
use crate::{Envelope, Jwk, base64url};

fn jwk(members: &serde_json::Value) -> Jwk {
    let mut jwk = json!({ "kid": "k", "use": "sig", "key_ops": ["verify"] });
    jwk.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    serde_json::from_value(jwk).unwrap()
}

fn rfc7515_key() -> Jwk {
    jwk(&json!({ "kty": "EC", "crv": "P-256", "alg": "ES256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0" }))
}

/// Header, payload and signature of RFC 7515 appendix A.3.
const RFC7515_A3: &str = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt\
    cGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";

/// Header, payload and signature of RFC 8037 appendix A.4.
const RFC8037_A4: &str = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6d\
    WbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";

fn holds(key: &Jwk, token: &str) -> bool {
    let (message, signature) = token.rsplit_once('.').unwrap();
    VerifyingKey::from_jwk(key).unwrap().verify(message.as_bytes(), &base64url::decode(signature).unwrap())
}

#[test]
fn rfc7515_example_of_es256_verifies() {
    assert!(holds(&rfc7515_key(), RFC7515_A3));
    assert!(!holds(&rfc7515_key(), &RFC7515_A3.replace("eyJpc3Mi", "eyJpc3Mj")));
}

#[test]
fn rfc8037_example_of_eddsa_verifies_and_has_its_thumbprint() {
    let key = jwk(
        &json!({ "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }),
    );
    assert!(holds(&key, RFC8037_A4));
    assert_eq!(key.thumbprint(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}

#[test]
fn rfc7638_example_has_its_thumbprint() {
    let key = jwk(&json!({ "kty": "RSA", "alg": "RS256", "e": "AQAB",
        "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMs\
              tn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91\
              CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw" }));
    assert_eq!(key.thumbprint(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
}

#[test]
fn every_algorithm_signs_what_its_public_half_verifies_after_sealing() {
    let envelope = Envelope::new(&Secret::new("secret")).unwrap();
    for algorithm in [Algorithm::Es256, Algorithm::Rs256, Algorithm::EdDsa] {
        let pair = KeyPair::generate(algorithm).unwrap();
        let sealed = pair.seal(&envelope, &*SeededRng::new(1)).unwrap();
        let again = KeyPair::unseal(&sealed, pair.jwk(), &envelope).unwrap();
        assert_eq!(again.jwk(), pair.jwk());
        let signature = again.sign(b"message").unwrap();
        let public = VerifyingKey::from_jwk(pair.jwk()).unwrap();
        assert!(public.verify(b"message", &signature), "{algorithm:?}");
        assert!(!public.verify(b"massage", &signature), "{algorithm:?}");
    }
}

#[test]
fn sealed_key_of_another_kid_is_refused() {
    let envelope = Envelope::new(&Secret::new("secret")).unwrap();
    let (one, two) =
        (KeyPair::generate(Algorithm::Es256).unwrap(), KeyPair::generate(Algorithm::Es256).unwrap());
    let sealed = one.seal(&envelope, &*SeededRng::new(1)).unwrap();
    assert!(matches!(KeyPair::unseal(&sealed, two.jwk(), &envelope), Err(KeyError::Envelope(_))));
}

#[test]
fn public_key_document_has_no_private_member() {
    let json = serde_json::to_value(KeyPair::generate(Algorithm::Es256).unwrap().jwk()).unwrap();
    let mut names: Vec<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["alg", "crv", "key_ops", "kid", "kty", "use", "x", "y"]);
}

#[test]
fn malformed_public_keys_are_refused() {
    let off_curve = Jwk { y: Some(base64url::encode([1_u8; 32])), ..rfc7515_key() };
    let no_y = Jwk { y: None, ..rfc7515_key() };
    let other_type = Jwk { alg: Algorithm::Rs256, ..rfc7515_key() };
    for key in [off_curve, no_y, other_type] {
        assert!(matches!(VerifyingKey::from_jwk(&key), Err(KeyError::Jwk { .. })));
    }
}
