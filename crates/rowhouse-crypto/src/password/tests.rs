use std::time::Instant;

use rowhouse_kernel::SeededRng;

use super::{
    HashKind, NOBODY, NOBODY_BCRYPT, PasswordHash, Verdict, hash, is_current, is_supported, kind, rehearse,
    verify,
};

#[test]
fn new_hash_is_argon2id_with_todays_parameters_and_needs_no_rehash() {
    let stored = hash("correct horse", &*SeededRng::new(1)).unwrap();
    assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
    assert_eq!(verify("correct horse", Some(&stored)), Verdict::Match);
    assert_eq!(verify("correct horsf", Some(&stored)), Verdict::Mismatch);
    assert!(is_supported(&stored));
}

#[test]
fn same_password_has_another_hash_each_time() {
    let rng = SeededRng::new(1);
    assert_ne!(hash("p", &*rng).unwrap(), hash("p", &*rng).unwrap());
}

#[test]
fn bcrypt_of_every_dialect_verifies_and_asks_for_a_rehash() {
    let made = bcrypt::hash("password", 4).unwrap();
    for version in ["$2a$", "$2b$", "$2y$"] {
        let stored = made.replacen("$2b$", version, 1);
        assert_eq!(verify("password", Some(&stored)), Verdict::MatchOutdated, "{stored}");
        assert_eq!(verify("passwore", Some(&stored)), Verdict::Mismatch);
        assert!(is_supported(&stored));
    }
}

#[test]
fn argon2_with_other_parameters_verifies_and_asks_for_a_rehash() {
    // Reference implementation's test vector: version 19, t=2, m=2^16, p=1, "password"/"somesalt".
    let stored = "$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA";
    assert_eq!(verify("password", Some(stored)), Verdict::MatchOutdated);
    assert_eq!(verify("passwore", Some(stored)), Verdict::Mismatch);
}

#[test]
fn hashes_that_would_cost_too_much_are_refused_at_once() {
    let start = Instant::now();
    for stored in [
        "$argon2id$v=19$m=4194304,t=2,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA",
        "$argon2id$v=19$m=65536,t=100000,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA",
        "$2b$31$KOOEgLJSxXyN7PnM2.SOyeAl3TxfqETf1pQaaw4JFTGu5zcUsFqPW",
    ] {
        assert_eq!(verify("password", Some(stored)), Verdict::Mismatch);
        assert!(!is_supported(stored));
    }
    // Any of them would take minutes.
    assert!(start.elapsed().as_secs() < 30);
}

#[test]
fn text_in_no_supported_format_matches_nothing() {
    for stored in [
        "plain",
        "$",
        "$2b$",
        "$argon2id$",
        "$scrypt$ln=16,r=8,p=1$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E",
    ] {
        assert_eq!(verify(stored, Some(stored)), Verdict::Mismatch, "{stored}");
        assert!(!is_supported(stored), "{stored}");
    }
}

#[test]
fn unknown_account_costs_the_same_work_as_a_wrong_password() {
    assert!(is_current(&PasswordHash::new(NOBODY).unwrap()) && is_supported(NOBODY));
    assert_eq!(verify("anything", None), Verdict::Mismatch);
    assert_eq!(verify("", Some("")), Verdict::Mismatch);
}

#[test]
fn password_that_bcrypt_may_have_truncated_is_not_rehashed() {
    let stored = bcrypt::hash("x".repeat(80), 4).unwrap();
    for typed in ["x".repeat(80), "x".repeat(72) + "another ending", "x".repeat(72)] {
        assert_eq!(verify(&typed, Some(&stored)), Verdict::Match, "{typed}");
    }
    assert_eq!(verify(&"x".repeat(71), Some(&stored)), Verdict::Mismatch);
    let stored = bcrypt::hash("x".repeat(71), 4).unwrap();
    assert_eq!(verify(&"x".repeat(71), Some(&stored)), Verdict::MatchOutdated);
}

#[test]
fn kinds_are_distinguished_and_the_usual_ones_measured_ahead() {
    assert_eq!([kind(None), kind(Some("")), kind(Some(NOBODY))], [HashKind::Current; 3]);
    assert_eq!(kind(Some(NOBODY_BCRYPT)), HashKind::Bcrypt { cost: 10 });
    assert_eq!(kind(Some("text")), HashKind::Unusable);
    let mut kinds = Vec::new();
    rehearse(|kind, _| kinds.push(kind));
    assert_eq!(kinds, [HashKind::Current, HashKind::Bcrypt { cost: 10 }]);
}

/// Texts like hashes, whose cost is small where they are well-formed.
fn hash_like() -> impl proptest::strategy::Strategy<Value = String> {
    use proptest::prelude::*;
    let bcrypt = ("[2xyab$]{0,4}", "[0-9a-z-]{0,3}", "[./A-Za-z0-9ä$]{0,60}")
        .prop_map(|(version, cost, rest)| format!("$2{version}${cost}${rest}"));
    let cheap_bcrypt = "[./A-Za-z0-9]{53}".prop_map(|rest| format!("$2b$04${rest}"));
    let argon2 =
        ("argon2(id|i|d|x)?", "[mtpvk=,0-9-]{0,24}", "[A-Za-z0-9+/=$]{0,48}", "[A-Za-z0-9+/=]{0,48}")
            .prop_map(|(name, params, salt, hash)| format!("${name}$v=19${params}${salt}${hash}"));
    prop_oneof![".{0,80}", bcrypt, cheap_bcrypt, argon2]
}

/// The most that comparing with one of them may take.
const LONGEST: std::time::Duration = std::time::Duration::from_secs(20);

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config { max_shrink_iters: 200, ..Default::default() })]

    #[test]
    fn arbitrary_hashes_of_an_import_match_nothing_and_cost_a_bounded_time(stored in hash_like()) {
        let _ = (kind(Some(&stored)), is_supported(&stored));
        // Comparing is for what fits, and for what is refused at once.
        let is_dear = stored.starts_with("$argon2") && is_supported(&stored);
        let begun = std::time::Instant::now();
        let verdict = if is_dear { Verdict::Mismatch } else { verify("no such password", Some(&stored)) };
        proptest::prop_assert!(stored.is_empty() || !verdict.is_match(), "{stored}");
        proptest::prop_assert!(begun.elapsed() < LONGEST, "{stored}");
    }
}
