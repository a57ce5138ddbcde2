use super::{EmailError, Password, PasswordError, email};
use crate::settings::AuthSettings;

fn password(text: &str) -> Password {
    serde_json::from_value(text.into()).unwrap()
}

#[test]
fn addresses_are_lower_cased_and_checked() {
    assert_eq!(email("Ann.O+x@Example.COM").unwrap(), "ann.o+x@example.com");
    assert_eq!(email("a@localhost").unwrap(), "a@localhost");
    let longest = format!("{}@{}.de", "a".repeat(64), "b".repeat(63));
    assert!(email(&longest).is_ok());
    for wrong in [
        "a", "@b", "a@", "a b@c", "a@b c", "a@-b", "a@b-", "a@b..c", "a@@b", "ä@b", "a@b\0", "a\n@b", "a@b@c",
    ] {
        assert_eq!(email(wrong), Err(EmailError::Malformed), "{wrong:?}");
    }
}

#[test]
fn empty_and_overlong_addresses_have_different_errors() {
    assert_eq!(email(""), Err(EmailError::Missing));
    assert_eq!(email(&"a".repeat(300)), Err(EmailError::TooLong));
}

#[test]
fn short_password_is_weak_by_characters_not_bytes() {
    let settings = AuthSettings::default();
    assert!(password("123456").require_acceptable(&settings).is_ok());
    assert!(password("ππππππ").require_acceptable(&settings).is_ok());
    let refused = password("ππππ").require_acceptable(&settings).unwrap_err();
    assert_eq!(refused.to_string(), "Password should be at least 6 characters.");
    assert!(matches!(refused, PasswordError::Weak(weak) if weak.reasons == ["length"]));
}

#[test]
fn password_beyond_72_bytes_is_refused_instead_of_truncated() {
    let settings = AuthSettings::default();
    assert!(password(&"a".repeat(72)).require_acceptable(&settings).is_ok());
    let refused = password(&"a".repeat(73)).require_acceptable(&settings).unwrap_err();
    assert_eq!(refused.to_string(), "Password cannot be longer than 72 characters");
}

#[test]
fn password_is_masked_in_debug() {
    assert!(!format!("{:?}", password("hunter2")).contains("hunter2"));
}

#[test]
fn a_character_of_each_class_is_required() {
    let settings = AuthSettings {
        password_required_characters: vec!["abc".to_owned(), "0123456789".to_owned(), "äß".to_owned()],
        ..AuthSettings::default()
    };
    assert!(password("xxxxa1ß").require_acceptable(&settings).is_ok());
    let PasswordError::Weak(weak) = password("xaß").require_acceptable(&settings).unwrap_err() else {
        panic!()
    };
    assert_eq!(weak.reasons, ["length", "characters"]);
    assert!(weak.message.ends_with("one character of each: abc, 0123456789, äß."), "{}", weak.message);
}

#[test]
fn chosen_addresses_are_bound_to_the_domains_given() {
    let settings =
        AuthSettings { allowed_email_domains: vec!["Example.com".to_owned()], ..AuthSettings::default() };
    assert_eq!(super::chosen_email("A@EXAMPLE.com", &settings).unwrap(), "a@example.com");
    for wrong in ["a@sub.example.com", "a@example.com.evil.example", "a@xexample.com"] {
        assert_eq!(super::chosen_email(wrong, &settings), Err(EmailError::NotAuthorized), "{wrong}");
    }
    assert!(super::chosen_email("a@anywhere.example", &AuthSettings::default()).is_ok());
}
