//! Several sign-ups for an address that waits for its confirmation.

use reqwest::Method;
use serde_json::{Value, json};

use crate::app::{App, PASSWORD};
use crate::confirmation::{sign_up, strict};

#[tokio::test]
async fn of_two_rival_sign_ups_neither_password_survives() {
    let app = App::with(strict()).await;
    let body =
        |password: &str, n: u8| json!({ "email": "a@example.com", "password": password, "data": { "n": n } });
    app.post("/signup", body(PASSWORD, 1)).await.ok();
    let first = app.mail_to("a@example.com").await;
    app.post("/signup", body("of a stranger", 2)).await.ok();
    // Once more, and by the letter that the stranger can have sent again.
    app.post("/signup", body("of a stranger", 2)).await.ok();
    app.post("/resend", json!({ "type": "signup", "email": "a@example.com" })).await.ok();
    let last = app.mail_to("a@example.com").await;
    assert_eq!(app.open(Method::GET, &first.link()).await.fragment()["error_code"], "otp_expired");
    let session = app.verify("signup", "a@example.com", &last.code()).await.ok();
    assert_eq!(session["user"]["user_metadata"]["n"], Value::Null);
    assert_eq!(session["user"]["identities"][0]["identity_data"]["n"], Value::Null);
    for password in ["of a stranger", PASSWORD] {
        app.password("a@example.com", password).await.is(400, "invalid_credentials");
    }
}

#[tokio::test]
async fn sign_up_repeated_with_its_password_keeps_it_and_voids_the_earlier_letter() {
    let app = App::with(strict()).await;
    let body = |n: u8| json!({ "email": "a@example.com", "password": PASSWORD, "data": { "n": n } });
    app.post("/signup", body(1)).await.ok();
    let first = app.mail_to("a@example.com").await;
    app.post("/signup", body(2)).await.ok();
    let second = app.mail_to("a@example.com").await;
    assert_eq!(app.open(Method::GET, &first.link()).await.fragment()["error_code"], "otp_expired");
    let session = app.verify("signup", "a@example.com", &second.code()).await.ok();
    assert_eq!(session["user"]["user_metadata"]["n"], 2);
    assert_eq!(session["user"]["identities"][0]["identity_data"]["n"], 2);
    app.password("a@example.com", PASSWORD).await.ok();
}

#[tokio::test]
async fn sign_up_replaces_one_whose_letter_has_expired() {
    let app = App::with(strict()).await;
    sign_up(&app, "a@example.com", "of a stranger").await;
    app.pass(std::time::Duration::from_secs(86_400));
    sign_up(&app, "a@example.com", PASSWORD).await;
    let link = app.mail_to("a@example.com").await.link();
    app.open(Method::GET, &link).await.fragment();
    app.password("a@example.com", "of a stranger").await.is(400, "invalid_credentials");
    app.password("a@example.com", PASSWORD).await.ok();
}

#[tokio::test]
async fn password_is_void_once_somebody_has_asked_for_a_magic_link() {
    let app = App::with(strict()).await;
    sign_up(&app, "a@example.com", "of a stranger").await;
    app.post("/otp", json!({ "email": "a@example.com" })).await.ok();
    app.post("/resend", json!({ "type": "signup", "email": "a@example.com" })).await.ok();
    let code = app.mail_to("a@example.com").await.code();
    app.verify("signup", "a@example.com", &code).await.ok();
    app.password("a@example.com", "of a stranger").await.is(400, "invalid_credentials");
}
