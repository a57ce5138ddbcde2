use serde_json::json;
use time::OffsetDateTime;
use uuid::Uuid;

use super::*;
use crate::model::{Identity, Object};

fn profile(email: Option<&str>, is_verified: bool) -> Profile {
    Profile { subject: "1".to_owned(), email: email.map(str::to_owned), is_verified, data: Object::new() }
}

fn owner(is_confirmed: bool) -> User {
    let at = OffsetDateTime::UNIX_EPOCH;
    let mut user = crate::claims::tests::user();
    user.email_confirmed_at = is_confirmed.then_some(at);
    user.phone_confirmed_at = None;
    user.identities.clear();
    user
}

fn identity(provider: &str) -> Identity {
    let id = Uuid::nil();
    serde_json::from_value(
        json!({ "identity_id": id, "id": "x", "user_id": id, "identity_data": {}, "provider": provider }),
    )
    .unwrap()
}

const EMAIL: &str = "a@example.com";

#[test]
fn verified_address_links_to_the_account_that_has_it_confirmed() {
    let (person, user) = (profile(Some(EMAIL), true), owner(true));
    assert_eq!(decide(&person, Some(&user), false, false), Newcomer::Link(user.id));
    assert_eq!(decide(&person, None, false, false), Newcomer::Create { email: Some(EMAIL) });
}

#[test]
fn unverified_address_links_to_nothing_whatever_is_configured() {
    let (person, user) = (profile(Some(EMAIL), false), owner(true));
    for at_once in [true, false] {
        assert_eq!(decide(&person, Some(&user), false, at_once), Newcomer::Unverified);
        assert_eq!(decide(&person, Some(&user), true, at_once), Newcomer::Create { email: None });
    }
    assert_eq!(decide(&person, None, false, false), Newcomer::Unverified);
    assert_eq!(decide(&person, None, false, true), Newcomer::Create { email: Some(EMAIL) });
}

#[test]
fn account_that_nobody_has_proved_to_own_is_taken_over() {
    let person = profile(Some(EMAIL), true);
    let mut user = owner(false);
    user.identities.push(identity("email"));
    assert_eq!(decide(&person, Some(&user), false, false), Newcomer::TakeOver(user.id));
}

#[test]
fn account_in_use_without_its_address_loses_only_the_address() {
    let person = profile(Some(EMAIL), true);
    let mut by_phone = owner(false);
    by_phone.phone_confirmed_at = Some(OffsetDateTime::UNIX_EPOCH);
    let mut by_provider = owner(false);
    by_provider.identities.push(identity("github"));
    for user in [by_phone, by_provider] {
        let displaced = Newcomer::Displace { from: user.id, email: EMAIL };
        assert_eq!(decide(&person, Some(&user), false, false), displaced);
    }
}

#[test]
fn person_without_address_needs_a_provider_for_which_it_is_optional() {
    assert_eq!(decide(&profile(None, false), None, false, true), Newcomer::NoEmail);
    assert_eq!(decide(&profile(None, false), None, true, false), Newcomer::Create { email: None });
}
