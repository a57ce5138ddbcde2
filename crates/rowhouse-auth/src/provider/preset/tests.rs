use rowhouse_kernel::settings::{Named, Setting};
use serde_json::{Value, json};

use super::*;
use crate::provider::claim::is_issuer;

const TENANT: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";

#[expect(clippy::needless_pass_by_value, reason = "callers write json!")]
fn provider(name: &str, more: Value) -> Provider {
    let mut entry = json!({ "client_id": ["app"], "secret": "s" });
    entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let named: Named<ProviderSettings> = Named::from_text(&json!({ name: entry }).to_string()).unwrap();
    configured(name, named.get(name).unwrap())
}

#[expect(clippy::needless_pass_by_value, reason = "callers write json!")]
fn accepts(provider: &Provider, claims: Value) -> bool {
    let Protocol::Oidc { issuer, .. } = &provider.protocol else { return false };
    is_issuer(claims.as_object().unwrap(), issuer)
}

#[expect(clippy::needless_pass_by_value, reason = "callers write json!")]
fn is_verified(provider: &Provider, claims: Value) -> bool {
    Profile::of(claims.as_object().unwrap().clone(), &provider.shape).unwrap().is_verified
}

#[test]
fn microsofts_shared_directories_bind_the_issuer_to_the_tokens_own() {
    let shared = provider("azure", json!({}));
    let issuer = format!("https://login.microsoftonline.com/{TENANT}/v2.0");
    assert!(accepts(&shared, json!({ "iss": issuer, "tid": TENANT })));
    let other = "00000000-0000-0000-0000-000000000001";
    assert!(!accepts(&shared, json!({ "iss": issuer, "tid": other })));
    assert!(!accepts(&shared, json!({ "iss": issuer })));
    assert!(!accepts(&shared, json!({ "iss": "https://login.microsoftonline.com/x/v2.0", "tid": "x" })));
    let one = provider("azure", json!({ "issuer": issuer }));
    assert!(accepts(&one, json!({ "iss": issuer })));
    let another = format!("https://login.microsoftonline.com/{other}/v2.0");
    assert!(!accepts(&one, json!({ "iss": another, "tid": other })));
}

#[test]
fn microsofts_addresses_are_verified_by_their_domain_or_in_a_directory_of_ones_own() {
    let person = |edov: Value| json!({ "sub": "1", "email": "a@example.com", "email_verified": true, "xms_edov": edov });
    let shared = provider("azure", json!({}));
    let own =
        provider("azure", json!({ "issuer": format!("https://login.microsoftonline.com/{TENANT}/v2.0") }));
    for edov in [json!(true), json!("1"), json!("true"), json!(1)] {
        assert!(is_verified(&shared, person(edov)));
    }
    for edov in [Value::Null, json!(false), json!("0"), json!([true])] {
        assert!(!is_verified(&shared, person(edov.clone())));
        assert!(is_verified(&own, person(edov)));
    }
    assert!(!is_verified(&own, json!({ "sub": "1" })));
}

#[test]
fn apple_and_google_have_two_issuers_each() {
    let apple = provider("apple", json!({}));
    let google = provider("google", json!({}));
    for (provider, issuer) in [
        (&apple, "https://appleid.apple.com"),
        (&apple, "https://account.apple.com"),
        (&google, "https://accounts.google.com"),
        (&google, "accounts.google.com"),
    ] {
        assert!(accepts(provider, json!({ "iss": issuer })), "{issuer}");
        assert!(provider.is_of(issuer));
    }
    assert!(!accepts(&apple, json!({ "iss": "https://accounts.google.com" })));
    assert!(!provider("github", json!({})).is_of("https://github.com"));
}

#[test]
fn scopes_of_the_settings_are_added_once() {
    let provider = provider("gitlab", json!({ "scopes": ["read_user", "email"] }));
    assert_eq!(provider.scopes, ["openid", "email", "profile", "read_user"]);
}

#[test]
fn apples_private_key_needs_its_team_and_its_id() {
    let pem = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----";
    let with = provider("apple", json!({ "secret": pem, "team_id": "T", "key_id": "K" }));
    assert!(matches!(with.secret, ClientSecret::Apple(_)));
    let by_hand = provider("apple", json!({}));
    assert!(matches!(by_hand.secret, ClientSecret::Text(_)));
}
