//! What must not work.

use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Method;
use rowhouse_auth::AuthSettings;
use rowhouse_crypto::{Algorithm, KeyPair};
use serde_json::{Value, json};

use super::id_token::present;
use super::provider::{NOW, part, signed};
use super::{FakeProvider, SITE, acme, is_error, parameter, person, sign_in, start, visit};
use crate::app::App;

async fn users(app: &App) -> i64 {
    app.sql().await.query_one("select count(*) from auth.users", &[]).await.unwrap().get(0)
}

/// The claims of a token that would be accepted.
fn claims(provider: &FakeProvider) -> Value {
    json!({
        "iss": provider.url, "aud": "web", "sub": "1", "iat": NOW, "exp": NOW + 300, "email": "a@example.com",
        "email_verified": true,
    })
}

#[tokio::test]
async fn token_that_the_providers_key_has_not_signed_is_refused() {
    let provider = FakeProvider::start().await;
    let app = start(&provider).await;
    let mut claims = claims(&provider);
    claims["exp"] = json!(NOW + 10_000);
    let jwk = provider.set(|says| says.key_set["keys"][0].clone());
    let kid = jwk["kid"].clone();
    let unsigned = format!("{}.{}.", part(&json!({ "alg": "none", "kid": kid })), part(&claims));
    // The published key as the secret of an HMAC, in each form in which a verifier may hold it.
    let confused = |key: &[u8]| {
        let message = format!("{}.{}", part(&json!({ "alg": "HS256", "kid": kid })), part(&claims));
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message.as_bytes());
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag))
    };
    let other = KeyPair::generate(Algorithm::Es256).unwrap();
    let stolen_kid = signed(&other, &json!({ "alg": "ES256", "kid": kid }), &claims);
    let own_kid = signed(&other, &json!({ "alg": "ES256", "kid": other.jwk().kid }), &claims);
    let embedded =
        signed(&other, &json!({ "alg": "ES256", "jwk": other.jwk(), "jku": "http://127.0.0.1:1/" }), &claims);
    let good = provider.id_token(claims.clone());
    let cut = good.rsplit_once('.').unwrap().0.to_owned() + ".";
    let x = URL_SAFE_NO_PAD.decode(jwk["x"].as_str().unwrap()).unwrap();
    for token in [
        unsigned,
        confused(jwk.to_string().as_bytes()),
        confused(&x),
        confused(b""),
        stolen_kid,
        own_kid,
        embedded,
        cut,
    ] {
        let body = json!({ "provider": "acme", "id_token": token });
        present(&app, body).await.is(400, "validation_failed");
    }
    provider
        .set(|says| says.key_set = json!({ "keys": [{ "kty": "oct", "kid": "s", "k": "c2VjcmV0" }, jwk] }));
    app.pass(Duration::from_secs(3700));
    let message = format!("{}.{}", part(&json!({ "alg": "HS256", "kid": "s" })), part(&claims));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, b"secret"), message.as_bytes());
    let body =
        json!({ "provider": "acme", "id_token": format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag)) });
    present(&app, body).await.is(400, "validation_failed");
    assert_eq!(users(&app).await, 0);
    present(&app, json!({ "provider": "acme", "id_token": good })).await.ok();
}

#[tokio::test]
async fn token_for_somebody_else_or_another_time_is_refused() {
    let provider = FakeProvider::start().await;
    let app = start(&provider).await;
    for (name, value) in [
        ("iss", json!("https://accounts.google.com")),
        ("iss", Value::Null),
        ("aud", json!("another")),
        ("aud", json!([])),
        ("aud", json!(["web", "another"])),
        ("aud", Value::Null),
        ("sub", json!("")),
        ("sub", Value::Null),
        ("sub", json!("x".repeat(256))),
        ("exp", json!(NOW - 31)),
        ("exp", Value::Null),
        ("exp", json!("never")),
        ("iat", json!(NOW + 60)),
        ("iat", Value::Null),
        ("nbf", json!(NOW + 60)),
        ("nonce", json!("unknown")),
    ] {
        let mut claims = claims(&provider);
        claims[name] = value.clone();
        let answer =
            present(&app, json!({ "provider": "acme", "id_token": provider.id_token(claims) })).await;
        assert_eq!(answer.body["code"], "validation_failed", "{name} {value}");
    }
    let mut shared = claims(&provider);
    (shared["aud"], shared["azp"]) = (json!(["web", "another"]), json!("another"));
    let body = json!({ "provider": "acme", "id_token": provider.id_token(shared.clone()) });
    present(&app, body).await.is(400, "validation_failed");
    assert_eq!(users(&app).await, 0);
    shared["azp"] = json!("web");
    present(&app, json!({ "provider": "acme", "id_token": provider.id_token(shared) })).await.ok();
}

#[tokio::test]
async fn callback_refuses_a_token_with_another_nonce() {
    let provider = FakeProvider::start().await;
    let app = start(&provider).await;
    for nonce in [json!("another"), Value::Null] {
        let mut claims = person("1", "a@example.com", true);
        claims["nonce"] = nonce;
        is_error(&sign_in(&app, &provider, claims).await, "unexpected_failure");
    }
    assert_eq!(users(&app).await, 0);
}

#[tokio::test]
async fn state_and_code_serve_once() {
    let provider = FakeProvider::start().await;
    let app = start(&provider).await;
    let there = visit(&app, "/authorize?provider=acme").await.target();
    let path = provider.admit(&there, person("1", "a@example.com", true));
    let (one, two) = tokio::join!(visit(&app, &path), visit(&app, &path));
    let sessions =
        [one.target(), two.target()].iter().filter(|back| parameter(back, "access_token").is_some()).count();
    assert_eq!(sessions, 1);
    is_error(&visit(&app, &path).await.target(), "bad_oauth_state");
    // A failed exchange uses the state up as well.
    let there = visit(&app, "/authorize?provider=acme").await.target();
    provider.set(|says| says.id_token = Some("no token".to_owned()));
    let path = provider.admit(&there, person("1", "a@example.com", true));
    is_error(&visit(&app, &path).await.target(), "unexpected_failure");
    provider.set(|says| says.id_token = None);
    is_error(&visit(&app, &path).await.target(), "bad_oauth_state");
    let left: i64 =
        app.sql().await.query_one("select count(*) from auth.flow_state", &[]).await.unwrap().get(0);
    assert_eq!(left, 0);
}

#[tokio::test]
async fn unverified_address_of_somebody_else_opens_nothing() {
    let provider = FakeProvider::start().await;
    let app = start(&provider).await;
    let ann = app.sign_up("a@example.com").await;
    for verified in [json!(false), json!("false"), json!(0), Value::Null, json!("yes"), json!(["true"])] {
        let mut claims = person("1", "a@example.com", true);
        claims["email_verified"] = verified;
        is_error(&sign_in(&app, &provider, claims).await, "provider_email_needs_verification");
    }
    let user = app.get("/user", ann.token()).await.ok();
    assert_eq!(user["identities"].as_array().unwrap().len(), 1);
    // Where addresses are confirmed by mail, a free address is answered alike.
    let strict = App::with(AuthSettings { mailer_autoconfirm: false, ..acme(&provider) }).await;
    let free = sign_in(&strict, &provider, person("1", "free@example.com", false)).await;
    strict.post("/signup", json!({ "email": "taken@example.com", "password": "correct horse" })).await.ok();
    let taken = sign_in(&strict, &provider, person("2", "taken@example.com", false)).await;
    assert_eq!(free, taken);
    assert_eq!(users(&strict).await, 1);
}

#[tokio::test]
async fn browser_is_sent_to_allowed_targets_only() {
    let provider = FakeProvider::start().await;
    let app = start(&provider).await;
    for target in [
        "https://evil.example/",
        "https://app.example@evil.example/",
        "//evil.example",
        "https://app.example.evil.example",
        "javascript:alert(1)",
        "https://app.example%0d%0aset-cookie:x=y",
    ] {
        let target: String = url::form_urlencoded::byte_serialize(target.as_bytes()).collect();
        let there = visit(&app, &format!("/authorize?provider=acme&redirect_to={target}")).await.target();
        let back = visit(&app, &provider.admit(&there, person("1", "a@example.com", true))).await.target();
        assert_eq!(format!("{}/", back.origin().ascii_serialization()), SITE);
    }
    let there = visit(&app, "/authorize?provider=acme").await.target();
    let state = parameter(&there, "state").unwrap();
    let path =
        format!("/callback?state={state}&error=x%0d%0aset-cookie:a=b&redirect_to=https://evil.example");
    let back = visit(&app, &path).await.target();
    assert_eq!(format!("{}/", back.origin().ascii_serialization()), SITE);
}

#[tokio::test]
async fn oversized_answers_of_a_provider_are_refused_and_oversized_claims_left_out() {
    let provider = FakeProvider::start().await;
    let app = start(&provider).await;
    let mut claims = person("1", "a@example.com", true);
    claims["picture"] = json!("x".repeat(3000));
    claims["zoneinfo"] = json!({ "deep": [1, 2, 3] });
    let session =
        present(&app, json!({ "provider": "acme", "id_token": provider.id_token(claims) })).await.ok();
    let kept = &session["user"]["user_metadata"];
    assert!(kept.get("picture").is_none() && kept.get("avatar_url").is_none());
    let mut long = person("1", "a@example.com", true);
    long["groups"] = json!(vec!["group"; 3000]);
    let body = json!({ "provider": "acme", "id_token": provider.id_token(long) });
    present(&app, body).await.is(400, "validation_failed");

    let fresh = start(&provider).await;
    let keys = provider.set(|says| says.key_set["keys"].clone());
    provider.set(|says| says.key_set = json!({ "keys": keys, "filler": "x".repeat(70_000) }));
    let token = provider.id_token(person("2", "b@example.com", true));
    let refused = present(&fresh, json!({ "provider": "acme", "id_token": token })).await;
    refused.is(500, "unexpected_failure");
}

#[tokio::test]
async fn provider_that_never_answers_costs_a_bounded_time_and_is_not_asked_again_at_once() {
    let provider = FakeProvider::start().await;
    let app = start(&provider).await;
    provider.set(|says| says.is_silent = true);
    let token = provider.id_token(person("1", "a@example.com", true));
    let body = json!({ "provider": "acme", "id_token": token });
    let first = rowhouse_testkit::in_time("an answer", present(&app, body.clone())).await;
    first.is(500, "unexpected_failure");
    present(&app, body.clone()).await.is(500, "unexpected_failure");
    assert_eq!(provider.set(|says| says.key_requests), 1);
    provider.set(|says| says.is_silent = false);
    app.pass(Duration::from_secs(4));
    present(&app, body).await.ok();
}

#[tokio::test]
async fn tokens_with_unknown_keys_do_not_become_requests() {
    let provider = FakeProvider::start().await;
    let app = start(&provider).await;
    let good = json!({ "provider": "acme", "id_token": provider.id_token(claims(&provider)) });
    present(&app, good).await.ok();
    let new = KeyPair::generate(Algorithm::EdDsa).unwrap();
    let forged = || {
        let kid = KeyPair::generate(Algorithm::Es256).unwrap();
        signed(&new, &json!({ "alg": "EdDSA", "kid": kid.jwk().kid }), &claims(&provider))
    };
    for _ in 0..5 {
        present(&app, json!({ "provider": "acme", "id_token": forged() })).await.is(400, "validation_failed");
    }
    assert_eq!(provider.set(|says| says.key_requests), 1);
    // A key that the provider has added is found once the pause is over.
    let jwk = new.jwk().clone();
    provider.set(|says| says.key_set["keys"].as_array_mut().unwrap().push(json!(jwk)));
    app.pass(Duration::from_secs(31));
    let body = json!({ "provider": "acme", "id_token": signed(&new, &json!({ "alg": "EdDSA", "kid": jwk.kid }), &claims(&provider)) });
    present(&app, body).await.ok();
    assert_eq!(provider.set(|says| says.key_requests), 2);
}

#[tokio::test]
async fn claims_of_a_request_cannot_be_mixed_into_the_callback() {
    let provider = FakeProvider::start().await;
    let app = start(&provider).await;
    let there = visit(&app, "/authorize?provider=acme").await.target();
    let state = parameter(&there, "state").unwrap();
    provider.set(|says| says.claims = Value::Null);
    let path = format!(
        "/callback?state={state}&code=c&id_token={}&access_token=x",
        provider.id_token(claims(&provider))
    );
    is_error(&visit(&app, &path).await.target(), "unexpected_failure");
    let there = visit(&app, "/authorize?provider=acme").await.target();
    let path = provider.admit(&there, person("1", "a@example.com", true));
    is_error(&visit(&app, &format!("{path}&iss=https://else.example")).await.target(), "bad_oauth_callback");
    app.send(Method::POST, "/authorize?provider=acme", None, "").await.is(405, "method_not_allowed");
}
