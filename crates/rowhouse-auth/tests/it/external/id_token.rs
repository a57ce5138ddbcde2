//! Sign-in with a provider's ID token.

use rowhouse_crypto::digest_hex;
use serde_json::{Value, json};

use super::{FakeProvider, person, start};
use crate::app::{Answer, App};

pub(crate) async fn present(app: &App, body: Value) -> Answer {
    app.post("/token?grant_type=id_token", body).await
}

#[tokio::test]
async fn id_token_opens_a_session_for_any_of_our_client_ids() {
    let provider = FakeProvider::start().await;
    let app = start(&provider).await;
    for audience in [json!("web"), json!("phone"), json!(["phone"])] {
        let mut claims = person("1", "a@example.com", true);
        claims["aud"] = audience;
        let session =
            present(&app, json!({ "provider": "acme", "id_token": provider.id_token(claims) })).await.ok();
        assert_eq!(session["user"]["email"], "a@example.com");
        assert!(session.get("provider_token").is_none());
    }
    let token = provider.id_token(person("1", "a@example.com", true));
    present(&app, json!({ "issuer": provider.url, "client_id": "web", "id_token": token })).await.ok();
}

#[tokio::test]
async fn nonce_in_the_token_is_the_hash_of_the_clients() {
    let provider = FakeProvider::start().await;
    let app = start(&provider).await;
    let token = |nonce: Value| {
        let mut claims = person("1", "a@example.com", true);
        claims["nonce"] = nonce;
        provider.id_token(claims)
    };
    let bound = token(digest_hex("mine").into());
    present(&app, json!({ "provider": "acme", "id_token": bound, "nonce": "mine" })).await.ok();
    for (token, nonce) in [
        (bound.clone(), "other"),
        (bound.clone(), ""),
        (bound.clone(), &digest_hex("mine")),
        (token("mine".into()), "mine"),
        (token(Value::Null), "mine"),
    ] {
        let body = json!({ "provider": "acme", "id_token": token, "nonce": nonce });
        present(&app, body).await.is(400, "validation_failed");
    }
}

#[tokio::test]
async fn access_token_must_be_the_one_that_the_id_token_names() {
    let provider = FakeProvider::start().await;
    let app = start(&provider).await;
    let mut claims = person("1", "a@example.com", true);
    claims["at_hash"] = half_hash("theirs").into();
    let token = provider.id_token(claims);
    let body = |access: &str| json!({ "provider": "acme", "id_token": token, "access_token": access });
    present(&app, body("theirs")).await.ok();
    present(&app, body("another")).await.is(400, "validation_failed");
}

/// SHA-256 cut in half (OpenID Connect Core, section 3.1.3.6).
fn half_hash(text: &str) -> String {
    use base64::Engine as _;
    let hex = digest_hex(text);
    let bytes: Vec<u8> =
        (0..16).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()).collect();
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

#[tokio::test]
async fn each_refusal_has_its_code() {
    let provider = FakeProvider::start().await;
    let app = start(&provider).await;
    let token = provider.id_token(person("1", "a@example.com", true));
    for body in [
        json!({ "provider": "acme" }),
        json!({ "id_token": token }),
        json!({ "provider": "nobody", "id_token": token }),
        json!({ "issuer": "https://else.example", "client_id": "web", "id_token": token }),
        json!({ "provider": "acme", "issuer": "https://else.example", "id_token": token }),
        json!({ "provider": "acme", "id_token": "no token" }),
    ] {
        present(&app, body).await.is(400, "validation_failed");
    }
    for provider in ["google", "facebook"] {
        let body = json!({ "provider": provider, "id_token": token });
        present(&app, body).await.is(400, "provider_disabled");
    }
    let linking = json!({ "provider": "acme", "id_token": token, "link_identity": true });
    present(&app, linking).await.is(401, "no_authorization");
    let unverified = provider.id_token(person("2", "b@example.com", false));
    let ann = app.sign_up("b@example.com").await;
    let body = json!({ "provider": "acme", "id_token": unverified });
    present(&app, body).await.is(422, "provider_email_needs_verification");
    app.get("/user", ann.token()).await.ok();
}
