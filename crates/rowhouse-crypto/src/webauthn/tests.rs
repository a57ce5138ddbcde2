use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeySize, PublicKeyComponents};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use ciborium::Value;
use proptest::prelude::*;

use super::soft::{SoftAssertion, SoftAuthenticator, SoftRegistration};
use super::{Asserted, Assertion, CoseKey, KnownCredential, NewCredential, RelyingParty, WebAuthnError};

const CHALLENGE: &[u8] = b"a challenge of thirty-two bytes!";
const ORIGIN: &str = "https://app.example.com";

fn party() -> RelyingParty {
    RelyingParty { id: "example.com".to_owned(), origins: vec![ORIGIN.to_owned()] }
}

fn authenticator() -> SoftAuthenticator {
    SoftAuthenticator::new("example.com", ORIGIN)
}

fn register(answer: &SoftRegistration) -> Result<NewCredential, WebAuthnError> {
    party().register(CHALLENGE, &answer.client_data, &answer.attestation_object)
}

fn authenticate(known: &NewCredential, answer: &SoftAssertion) -> Result<Asserted, WebAuthnError> {
    let SoftAssertion { client_data, authenticator_data, signature } = answer;
    let known = KnownCredential { public_key: &known.public_key, sign_count: known.sign_count };
    party().authenticate(CHALLENGE, Assertion { client_data, authenticator_data, signature }, known)
}

#[test]
fn credential_is_made_and_used() {
    let mut authenticator = authenticator();
    let known = register(&authenticator.create(CHALLENGE)).unwrap();
    assert_eq!((&known.id, known.sign_count, known.aaguid), (&authenticator.id, 0, [0; 16]));
    assert!(known.flags.user_present && known.flags.user_verified && !known.flags.backed_up);
    let asserted = authenticate(&known, &authenticator.get(CHALLENGE)).unwrap();
    assert_eq!(asserted.sign_count, 1);
}

/// A change to an authenticator, and how its answers are refused.
type Fault = (fn(&mut SoftAuthenticator), WebAuthnError);

#[test]
fn answers_for_others_are_refused() {
    let faults: [Fault; 5] = [
        (|soft| soft.origin = "https://evil.example.net".to_owned(), WebAuthnError::Origin),
        (|soft| soft.origin = "http://app.example.com".to_owned(), WebAuthnError::Origin),
        (|soft| soft.rp_id = "example.net".to_owned(), WebAuthnError::RelyingParty),
        (|soft| soft.flags = 0, WebAuthnError::NobodyPresent),
        (|soft| soft.flags |= 1 << 4, WebAuthnError::Malformed("authenticator data")),
    ];
    for (change, error) in faults {
        let mut authenticator = authenticator();
        let known = register(&authenticator.create(CHALLENGE)).unwrap();
        change(&mut authenticator);
        assert_eq!(register(&authenticator.create(CHALLENGE)).unwrap_err(), error);
        assert_eq!(authenticate(&known, &authenticator.get(CHALLENGE)).unwrap_err(), error);
    }
}

#[test]
fn answers_to_another_challenge_or_ceremony_are_refused() {
    let mut authenticator = authenticator();
    let created = authenticator.create(CHALLENGE);
    let known = register(&created).unwrap();
    assert_eq!(register(&authenticator.create(b"another")).unwrap_err(), WebAuthnError::Challenge);
    assert_eq!(authenticate(&known, &authenticator.get(b"")).unwrap_err(), WebAuthnError::Challenge);
    let mixed = SoftAssertion { client_data: created.client_data, ..authenticator.get(CHALLENGE) };
    assert_eq!(authenticate(&known, &mixed).unwrap_err(), WebAuthnError::Ceremony);
}

#[test]
fn page_in_a_frame_of_another_origin_is_refused() {
    let authenticator = authenticator();
    let mut created = authenticator.create(CHALLENGE);
    let text = String::from_utf8(created.client_data).unwrap();
    created.client_data = text.replace("\"crossOrigin\":false", "\"crossOrigin\":true").into_bytes();
    assert_eq!(register(&created).unwrap_err(), WebAuthnError::Origin);
}

#[test]
fn signature_of_another_key_and_every_changed_bit_is_refused() {
    let mut authenticator = authenticator();
    let known = register(&authenticator.create(CHALLENGE)).unwrap();
    let mut other = SoftAuthenticator::new("example.com", ORIGIN);
    assert_eq!(authenticate(&known, &other.get(CHALLENGE)).unwrap_err(), WebAuthnError::Signature);
    let right = authenticator.get(CHALLENGE);
    authenticate(&known, &right).unwrap();
    for part in 0..3 {
        let length = [&right.client_data, &right.authenticator_data, &right.signature][part].len();
        for index in 0..length {
            let mut wrong = right.clone();
            [&mut wrong.client_data, &mut wrong.authenticator_data, &mut wrong.signature][part][index] ^= 1;
            assert!(authenticate(&known, &wrong).is_err(), "part {part}, byte {index}");
        }
    }
}

#[test]
fn counter_must_grow_unless_there_is_none() {
    let mut authenticator = authenticator();
    let mut known = register(&authenticator.create(CHALLENGE)).unwrap();
    known.sign_count = 5;
    for counter in [0, 4] {
        authenticator.counter = Some(counter);
        assert_eq!(authenticate(&known, &authenticator.get(CHALLENGE)).unwrap_err(), WebAuthnError::Cloned);
    }
    authenticator.counter = Some(5);
    assert_eq!(authenticate(&known, &authenticator.get(CHALLENGE)).unwrap().sign_count, 6);
    (known.sign_count, authenticator.counter) = (0, None);
    assert_eq!(authenticate(&known, &authenticator.get(CHALLENGE)).unwrap().sign_count, 0);
}

fn cose(parameters: &[(i64, Value)]) -> Vec<u8> {
    let entries = parameters.iter().map(|(label, value)| (Value::Integer((*label).into()), value.clone()));
    let mut bytes = Vec::new();
    ciborium::into_writer(&Value::Map(entries.collect()), &mut bytes).unwrap();
    bytes
}

fn number(number: i64) -> Value {
    Value::Integer(number.into())
}

#[test]
fn keys_of_rsa_and_ed25519_verify() {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let PublicKeyComponents { n, e } = PublicKeyComponents::<Vec<u8>>::from(pair.public_key());
    let key = cose(&[(1, number(3)), (3, number(-257)), (-1, Value::Bytes(n)), (-2, Value::Bytes(e))]);
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), b"message", &mut signature).unwrap();
    assert_eq!(CoseKey::parse(&key).unwrap().verify(b"message", &signature), Ok(()));
    assert!(CoseKey::parse(&key).unwrap().verify(b"massage", &signature).is_err());

    let pair = Ed25519KeyPair::generate().unwrap();
    let public = Value::Bytes(pair.public_key().as_ref().to_vec());
    let key = cose(&[(1, number(1)), (3, number(-8)), (-1, number(6)), (-2, public)]);
    let signature = pair.sign(b"message");
    assert_eq!(CoseKey::parse(&key).unwrap().verify(b"message", signature.as_ref()), Ok(()));
    assert!(CoseKey::parse(&key).unwrap().verify(b"massage", signature.as_ref()).is_err());
}

#[test]
fn other_keys_are_refused() {
    let bytes = |length: usize| Value::Bytes(vec![7; length]);
    let refused = |parameters: &[(i64, Value)]| CoseKey::parse(&cose(parameters)).unwrap_err();
    // ES512, P-384, a symmetric key, and RS1.
    assert_eq!(refused(&[(1, number(2)), (3, number(-36))]), WebAuthnError::Algorithm);
    assert_eq!(refused(&[(1, number(2)), (3, number(-7)), (-1, number(2))]), WebAuthnError::Algorithm);
    assert_eq!(refused(&[(1, number(4)), (3, number(5)), (-1, bytes(32))]), WebAuthnError::Algorithm);
    assert_eq!(refused(&[(1, number(3)), (3, number(-65535))]), WebAuthnError::Algorithm);
    // Not on the curve; too short; nothing.
    let malformed = WebAuthnError::Malformed("public key");
    let p256 =
        |x: Value, y: Value| refused(&[(1, number(2)), (3, number(-7)), (-1, number(1)), (-2, x), (-3, y)]);
    assert_eq!(p256(bytes(32), bytes(32)), malformed);
    assert_eq!(p256(bytes(31), bytes(32)), malformed);
    assert_eq!(CoseKey::parse(&[]).unwrap_err(), malformed);
}

proptest! {
    #[test]
    fn no_bytes_make_the_parsers_fail(bytes in proptest::collection::vec(any::<u8>(), 0..300), at in 0..300_usize) {
        let _ = CoseKey::parse(&bytes);
        let created = authenticator().create(CHALLENGE);
        let _ = party().register(CHALLENGE, &created.client_data, &bytes);
        // Whatever replaces the tail of a good attestation object is read or refused.
        let mut object = created.attestation_object;
        object.truncate(at);
        object.extend(bytes);
        let _ = party().register(CHALLENGE, &created.client_data, &object);
    }
}

#[test]
fn deep_and_long_cbor_is_refused() {
    let created = authenticator().create(CHALLENGE);
    for object in [vec![0x81; 10_000], vec![0x5b; 9], vec![0xbf; 16_000], vec![0; 17_000]] {
        assert!(party().register(CHALLENGE, &created.client_data, &object).is_err());
    }
}
