use proptest::prelude::*;
use rowhouse_kernel::{SeededRng, SessionId};

use super::{CounterKey, CounterToken, CounterTokenError, base64url, read_counter, write_counter};

fn key(seed: u64) -> CounterKey {
    CounterKey::new(&CounterKey::generate(&*SeededRng::new(seed)))
}

fn token(session: u8, counter: i64) -> CounterToken {
    CounterToken { session: SessionId(uuid::Uuid::from_bytes([session; 16])), counter }
}

#[test]
fn token_is_read_with_its_key_only() {
    let text = key(1).sign(token(7, 300));
    assert_eq!(key(1).read(&text), Ok(token(7, 300)));
    assert_eq!(key(2).read(&text), Err(CounterTokenError::Signature));
}

#[test]
fn derived_keys_read_only_their_own_tokens() {
    let bytes = CounterKey::generate(&*SeededRng::new(1));
    let (own, derived) = (CounterKey::new(&bytes), CounterKey::derived(&bytes, "a"));
    let text = derived.sign(token(7, 300));
    assert_eq!(CounterKey::derived(&bytes, "a").read(&text), Ok(token(7, 300)));
    assert_eq!(own.read(&text), Err(CounterTokenError::Signature));
    assert_eq!(CounterKey::derived(&bytes, "b").read(&text), Err(CounterTokenError::Signature));
    assert_eq!(derived.read(&own.sign(token(7, 300))), Err(CounterTokenError::Signature));
}

#[test]
fn token_of_another_counter_session_or_version_is_refused() {
    let bytes = base64url::decode(&key(1).sign(token(7, 5))).unwrap();
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        assert_eq!(
            key(1).read(&base64url::encode(&changed)),
            Err(CounterTokenError::Layout),
            "{at}: checksum"
        );
        let body = changed.len() - 4;
        let checksum = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &changed[..body]);
        changed[body..].copy_from_slice(&checksum.as_ref()[..4]);
        let read = key(1).read(&base64url::encode(&changed));
        assert!(read.is_err() || at >= body, "{at}: {read:?}");
    }
}

#[test]
fn texts_of_another_kind_are_refused() {
    let genuine = key(1).sign(token(7, 5));
    for text in
        ["", "-", "A", "Zq3dTn5sRk1xYp0vWb8cHe", "abcdefghijkl", &genuine[1..], &format!("{genuine}=")]
    {
        assert_eq!(key(1).read(text), Err(CounterTokenError::Layout), "{text}");
    }
    assert_eq!(key(1).read(&"A".repeat(1_000_000)), Err(CounterTokenError::Layout));
}

#[test]
fn a_counter_has_one_form() {
    for bytes in [&[][..], &[0x80], &[0x81, 0x00], &[0x01, 0x01], &[0xff; 9], &[0x80; 10]] {
        assert_eq!(read_counter(bytes), None, "{bytes:?}");
    }
}

proptest! {
    #[test]
    fn counters_are_read_as_written(counter in 0..=i64::MAX) {
        let mut bytes = Vec::new();
        write_counter(counter.unsigned_abs(), &mut bytes);
        prop_assert_eq!(read_counter(&bytes), Some(counter));
        prop_assert_eq!(key(1).read(&key(1).sign(token(3, counter))), Ok(token(3, counter)));
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,80}") {
        prop_assert!(key(1).read(&text).is_err());
    }
}

proptest! {
    #[test]
    fn arbitrary_text_is_no_refresh_token(
        text in ".{0,120}", bytes in proptest::collection::vec(any::<u8>(), 0..80),
    ) {
        prop_assert!(key(1).read(&text).is_err());
        prop_assert!(key(1).read(&base64url::encode(bytes)).is_err());
    }

    #[test]
    fn counter_has_one_token_and_every_changed_letter_is_refused(
        counter in 0..i64::MAX, place in 0..80_usize, letter in "[A-Za-z0-9_=+/.-]",
    ) {
        let text = key(1).sign(token(7, counter));
        prop_assert_eq!(key(1).read(&text), Ok(token(7, counter)));
        let place = place % text.len();
        let changed = format!("{}{letter}{}", &text[..place], &text[place + 1..]);
        prop_assert!(changed == text || key(1).read(&changed).is_err());
        prop_assert!(key(1).read(&text[..place]).is_err());
    }
}
