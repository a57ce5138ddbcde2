//! Answers in which a client could tell this server from GoTrue: docs/compat/auth.md lists them.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Method;
use rowhouse_auth::AuthSettings;
use rowhouse_kernel::Secret;
use serde_json::{Value, json};

use crate::app::{App, PASSWORD, settings};

const SECRET: &str = "the secret of a project that moves here";

#[tokio::test]
async fn sign_up_copies_its_data_into_the_identity() {
    let app = App::start().await;
    let body = json!({ "email": "a@example.com", "password": PASSWORD, "data": { "n": 1 } });
    let user = app.post("/signup", body).await.ok()["user"].take();
    let whole = json!({ "n": 1, "sub": user["id"], "email": "a@example.com", "email_verified": true, "phone_verified": false });
    assert_eq!((&user["identities"][0]["identity_data"], &user["user_metadata"]), (&whole, &whole));
}

#[tokio::test]
async fn administrators_metadata_is_stored_as_given_and_says_once_that_the_address_is_verified() {
    let app = App::start().await;
    let key = &app.service_key;
    let body = json!({ "email": "a@example.com", "user_metadata": { "n": 1 } });
    let user = app.post_as("/admin/users", key, body).await.ok();
    assert_eq!(user["user_metadata"], json!({ "n": 1 }));
    let path = format!("/admin/users/{}", user["id"].as_str().unwrap());
    let changed = app.put_as(&path, key, json!({ "user_metadata": { "n": null, "m": 2 } })).await.ok();
    assert_eq!(changed["user_metadata"], json!({ "m": 2 }));
    let confirmed = app.put_as(&path, key, json!({ "email_confirm": true })).await.ok();
    assert_eq!(confirmed["user_metadata"], json!({ "m": 2, "email_verified": true }));
    let body = json!({ "email": "b@example.com", "email_confirm": true, "user_metadata": { "n": 1 } });
    let user = app.post_as("/admin/users", key, body).await.ok();
    assert_eq!(user["user_metadata"], json!({ "n": 1, "email_verified": true }));
    let body = json!({ "email": "c@example.com", "id": "no uuid" });
    app.post_as("/admin/users", key, body).await.is(400, "validation_failed");
}

#[tokio::test]
async fn tokens_of_a_former_secret_are_judged_as_gotrue_judges_them() {
    let app = App::with(AuthSettings { jwt_secret: Some(Secret::new(SECRET)), ..settings() }).await;
    let person = app.sign_up("a@example.com").await;
    let token = |claims: Value| sign(claims, app.now());
    let nobody = app.get("/user", &token(json!({ "sub": "auth0|1", "role": "authenticated" }))).await;
    nobody.is(400, "bad_jwt");
    assert_eq!(nobody.body["message"], "invalid claim: sub claim must be a UUID");
    let unknown = json!({ "sub": "00000000-0000-4000-8000-000000000000", "role": "authenticated" });
    app.get("/user", &token(unknown)).await.is(403, "user_not_found");
    app.get("/user", &token(json!({ "sub": person.id(), "role": "authenticated" }))).await.ok();
    for role in ["supabase_admin", "service_role"] {
        app.get("/admin/users", &token(json!({ "role": role }))).await.ok();
    }
    let editor = json!({ "role": "editor" });
    app.get("/admin/users", &token(editor)).await.is(403, "not_admin");
}

#[tokio::test]
async fn messages_of_refused_grants_are_gotrues() {
    let app = App::start().await;
    let post = async |path: &str, body: Value| {
        let answer = app.post(path, body).await;
        (answer.status.as_u16(), answer.body["message"].as_str().unwrap().to_owned())
    };
    let told = |status: u16, message: &str| (status, message.to_owned());
    let refresh = "/token?grant_type=refresh_token";
    assert_eq!(post(refresh, json!({})).await, told(400, "Refresh token is not valid"));
    let unknown = json!({ "refresh_token": "abcdefghijkl" });
    assert_eq!(post(refresh, unknown).await, told(400, "Invalid Refresh Token: Refresh Token Not Found"));
    let both = json!({ "email": "a@example.com", "phone": "15551234567", "password": PASSWORD });
    let message = "Only an email address or phone number should be provided on signup.";
    assert_eq!(post("/signup", both.clone()).await, told(400, message));
    let message = "Only an email address or phone number should be provided on login.";
    assert_eq!(post("/token?grant_type=password", both).await, told(400, message));
    let types = "Missing one of these types: signup, email_change, sms, phone_change";
    let address = "Type provided requires an email address";
    for (body, message) in [
        (json!({ "email": "a@example.com" }), types),
        (json!({ "type": "nothing", "email": "a@example.com" }), types),
        (json!({ "type": "signup" }), address),
        (json!({ "type": "email_change", "phone": "15551234567" }), address),
        (json!({ "type": "sms", "email": "a@example.com" }), "Type provided requires a phone number"),
        (
            json!({ "type": "signup", "email": "a@example.com", "phone": "15551234567" }),
            "Only an email address or phone number should be provided.",
        ),
    ] {
        assert_eq!(post("/resend", body).await, told(400, message));
    }
    assert_eq!(post("/magiclink", json!({})).await, told(422, "Password recovery requires an email"));
    let google = json!({ "provider": "google", "id_token": "x" });
    let message = "Provider (issuer \"https://accounts.google.com\") is not enabled";
    assert_eq!(post("/token?grant_type=id_token", google).await, told(400, message));
    let off = app.send(Method::GET, "/authorize?provider=google", None, "").await;
    off.is(400, "validation_failed");
    assert_eq!(off.body["message"], "Unsupported provider: provider is not enabled");
}

/// A token of that project.
fn sign(mut claims: Value, now: i64) -> String {
    claims["exp"] = (now + 3600).into();
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!("{}.{}", encode(&json!({ "alg": "HS256", "typ": "JWT" })), encode(&claims));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), text.as_bytes());
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(tag))
}
