//! Changes of an account's address, and the proof that an old session needs.

use std::time::Duration;

use reqwest::Method;
use rowhouse_auth::AuthSettings;
use serde_json::json;

use crate::app::{App, PASSWORD, Person, settings};
use crate::confirmation::strict;

/// A signed-in user whose address was confirmed.
async fn person(app: &App, email: &str) -> Person {
    app.post("/signup", json!({ "email": email, "password": PASSWORD })).await.ok();
    let code = app.mail_to(email).await.code();
    Person(app.verify("signup", email, &code).await.ok())
}

async fn change(app: &App, person: &Person, email: &str) -> serde_json::Value {
    app.put_as("/user", person.token(), json!({ "email": email })).await.ok()
}

#[tokio::test]
async fn both_owners_confirm_in_either_order() {
    for first in ["old@example.com", "new@example.com"] {
        let app = App::with(strict()).await;
        let person = person(&app, "old@example.com").await;
        let pending = change(&app, &person, "New@example.com").await;
        assert_eq!(
            (&pending["email"], &pending["new_email"]),
            (&json!("old@example.com"), &json!("new@example.com"))
        );
        assert!(pending["email_change_sent_at"].is_string());
        let (one, two) = (app.mail_to("old@example.com").await, app.mail_to("new@example.com").await);
        assert!(one.kind == "email_change" && two.kind == "email_change");
        assert_ne!(one.code(), two.code());
        let second = if first == one.to { &two } else { &one };
        let half = app.verify("email_change", first, &app.mail_to(first).await.code()).await.ok();
        let told = "Confirmation link accepted. Please proceed to confirm link sent to the other email";
        assert_eq!(half, json!({ "msg": told, "code": "200" }));
        assert_eq!(app.get("/user", person.token()).await.ok()["email"], "old@example.com");
        let session = app.verify("email_change", &second.to, &second.code()).await.ok();
        let user = &session["user"];
        assert_eq!((&user["email"], &user["new_email"]), (&json!("new@example.com"), &json!(null)));
        assert_eq!(user["identities"][0]["email"], "new@example.com");
        app.password("new@example.com", PASSWORD).await.ok();
    }
}

#[tokio::test]
async fn one_owner_cannot_confirm_twice() {
    let app = App::with(strict()).await;
    let person = person(&app, "old@example.com").await;
    change(&app, &person, "new@example.com").await;
    let link = app.mail_to("new@example.com").await.link();
    let half = app.open(Method::GET, &link).await.fragment();
    assert!(half["message"].starts_with("Confirmation link accepted"));
    assert_eq!(app.open(Method::GET, &link).await.fragment()["error_code"], "otp_expired");
    let code = app.mail_to("new@example.com").await.code();
    app.verify("email_change", "new@example.com", &code).await.is(403, "otp_expired");
    assert_eq!(app.get("/user", person.token()).await.ok()["email"], "old@example.com");
    let again = app.mail_to("old@example.com").await.link();
    assert_eq!(app.open(Method::GET, &again).await.fragment()["type"], "email_change");
}

#[tokio::test]
async fn another_change_voids_the_letters_of_the_one_before() {
    let app = App::with(strict()).await;
    let person = person(&app, "old@example.com").await;
    change(&app, &person, "first@example.com").await;
    let (first, current) = (app.mail_to("first@example.com").await, app.mail_to("old@example.com").await);
    app.verify("email_change", "old@example.com", &current.code()).await.ok();
    change(&app, &person, "second@example.com").await;
    for mail in [first, current] {
        assert_eq!(app.open(Method::GET, &mail.link()).await.fragment()["error_code"], "otp_expired");
    }
    let second = app.mail_to("second@example.com").await;
    assert_eq!(app.verify("email_change", "second@example.com", &second.code()).await.ok()["code"], "200");
}

#[tokio::test]
async fn without_secure_change_the_new_owner_alone_confirms() {
    let app = App::with(AuthSettings { secure_email_change: false, ..strict() }).await;
    let person = person(&app, "old@example.com").await;
    let before = app.mails().await.len();
    change(&app, &person, "new@example.com").await;
    assert_eq!(app.mails().await.len(), before + 1);
    let mail = app.mail_to("new@example.com").await;
    assert_eq!(
        app.verify("email_change", "new@example.com", &mail.code()).await.ok()["user"]["email"],
        "new@example.com"
    );
}

#[tokio::test]
async fn letters_to_the_former_address_are_void_after_the_change() {
    let app = App::with(AuthSettings { secure_email_change: false, ..strict() }).await;
    let person = person(&app, "old@example.com").await;
    app.post("/recover", json!({ "email": "old@example.com" })).await.ok();
    let recovery = app.mail_to("old@example.com").await;
    change(&app, &person, "new@example.com").await;
    let code = app.mail_to("new@example.com").await.code();
    app.verify("email_change", "new@example.com", &code).await.ok();
    assert_eq!(app.open(Method::GET, &recovery.link()).await.fragment()["error_code"], "otp_expired");
}

#[tokio::test]
async fn taken_address_is_told_to_its_owner_alone() {
    let app = App::with(strict()).await;
    person(&app, "taken@example.com").await;
    let person = person(&app, "old@example.com").await;
    let pending = change(&app, &person, "taken@example.com").await;
    assert_eq!(pending["new_email"], "taken@example.com");
    assert_eq!(app.mail_to("taken@example.com").await.kind, "account_exists");
    let code = app.mail_to("old@example.com").await.code();
    assert_eq!(app.verify("email_change", "old@example.com", &code).await.ok()["code"], "200");
    assert_eq!(app.get("/user", person.token()).await.ok()["email"], "old@example.com");
}

#[tokio::test]
async fn address_that_was_taken_meanwhile_is_refused_at_the_end() {
    let app = App::with(AuthSettings { secure_email_change: false, ..strict() }).await;
    let one = person(&app, "old@example.com").await;
    change(&app, &one, "new@example.com").await;
    let code = app.mail_to("new@example.com").await.code();
    person(&app, "new@example.com").await;
    app.verify("email_change", "new@example.com", &code).await.is(422, "email_exists");
}

#[tokio::test]
async fn where_addresses_are_confirmed_at_once_a_change_is_pending_all_the_same() {
    let app = App::start().await;
    let person = app.sign_up("old@example.com").await;
    let pending = change(&app, &person, "new@example.com").await;
    assert_eq!(
        (&pending["email"], &pending["new_email"]),
        (&json!("old@example.com"), &json!("new@example.com"))
    );
    let link = app.mail_to("new@example.com").await.link();
    let tokens = app.open(Method::GET, &link).await.fragment();
    assert_eq!(app.get("/user", &tokens["access_token"]).await.ok()["email"], "new@example.com");
}

#[tokio::test]
async fn change_is_bound_to_the_code_challenge_of_its_user() {
    let app = App::with(AuthSettings { secure_email_change: false, ..strict() }).await;
    let person = person(&app, "old@example.com").await;
    let verifier = "v".repeat(43);
    let body =
        json!({ "email": "new@example.com", "code_challenge": verifier, "code_challenge_method": "plain" });
    app.put_as("/user", person.token(), body).await.ok();
    let link = app.mail_to("new@example.com").await.link();
    let code = app.open(Method::GET, &link).await.query("code").unwrap();
    let exchange = json!({ "auth_code": code, "code_verifier": verifier });
    let session = Person(app.post("/token?grant_type=pkce", exchange).await.ok());
    assert_eq!(session.0["user"]["email"], "new@example.com");
    assert_eq!(session.claims(&app)["amr"][0]["method"], "email_change");
}

#[tokio::test]
async fn letters_sent_once_more_are_bound_to_nobody_and_keep_what_was_confirmed() {
    let app = App::with(strict()).await;
    let person = person(&app, "old@example.com").await;
    change(&app, &person, "new@example.com").await;
    let (first, current) = (app.mail_to("new@example.com").await, app.mail_to("old@example.com").await);
    app.verify("email_change", "old@example.com", &current.code()).await.ok();
    let before = app.mails().await.len();
    let stranger = json!({ "type": "email_change", "email": "old@example.com", "code_challenge": "s".repeat(43),
        "code_challenge_method": "plain" });
    assert_eq!(app.post("/resend", stranger).await.ok(), json!({}));
    assert_eq!(app.mails().await.len(), before + 1);
    assert_eq!(app.open(Method::GET, &first.link()).await.fragment()["error_code"], "otp_expired");
    let link = app.mail_to("new@example.com").await.link();
    let tokens = app.open(Method::GET, &link).await.fragment();
    assert_eq!(app.get("/user", &tokens["access_token"]).await.ok()["email"], "new@example.com");
    let before = app.mails().await.len();
    let body = json!({ "type": "email_change", "email": "new@example.com" });
    assert_eq!(app.post("/resend", body).await.ok(), json!({}));
    assert_eq!(app.mails().await.len(), before);
}

#[tokio::test]
async fn changes_of_address_are_limited_by_the_gap() {
    let app = App::with(AuthSettings { mailer_max_frequency: Duration::from_secs(60), ..strict() }).await;
    let person = person(&app, "old@example.com").await;
    change(&app, &person, "new@example.com").await;
    let again = app.put_as("/user", person.token(), json!({ "email": "other@example.com" })).await;
    again.is(429, "over_email_send_rate_limit");
}

#[tokio::test]
async fn new_password_from_an_old_session_needs_the_code_of_a_letter() {
    let app = App::with(AuthSettings { secure_password_change: true, otp_attempts: 2, ..strict() }).await;
    let one = person(&app, "a@example.com").await;
    app.put_as("/user", one.token(), json!({ "password": "battery staple" })).await.ok();
    app.pass(Duration::from_secs(25 * 3600));
    let refreshed = Person(app.refresh(one.refresh_token()).await.ok());
    let set = async |nonce: Option<&str>, password: &str| {
        let body = json!({ "password": password, "nonce": nonce });
        app.put_as("/user", refreshed.token(), body).await
    };
    set(None, "horse battery").await.is(400, "reauthentication_needed");
    set(Some("123456"), "horse battery").await.is(422, "reauthentication_not_valid");
    assert_eq!(app.get("/reauthenticate", refreshed.token()).await.ok(), json!({}));
    let mail = app.mail_to("a@example.com").await;
    assert_eq!(mail.kind, "reauthentication");
    app.verify("email", "a@example.com", &mail.code()).await.is(403, "otp_expired");
    set(Some(&mail.code()), "horse battery").await.ok();
    set(Some(&mail.code()), "another horse").await.is(422, "reauthentication_not_valid");
    app.password("a@example.com", "horse battery").await.ok();

    app.get("/reauthenticate", refreshed.token()).await.ok();
    let code = app.mail_to("a@example.com").await.code();
    for _ in 0..2 {
        set(Some("x"), "another horse").await.is(422, "reauthentication_not_valid");
    }
    set(Some(&code), "another horse").await.is(422, "reauthentication_not_valid");
}

#[tokio::test]
async fn reauthentication_needs_a_session_with_a_confirmed_address() {
    let app = App::with(AuthSettings { anonymous_users: true, ..settings() }).await;
    app.send(Method::GET, "/reauthenticate", None, "").await.is(401, "no_authorization");
    let nobody = Person(app.post("/signup", json!({})).await.ok());
    app.get("/reauthenticate", nobody.token()).await.is(400, "validation_failed");
    let person = app.sign_up("a@example.com").await;
    app.sql().await.execute("update auth.users set email_confirmed_at = null", &[]).await.unwrap();
    app.get("/reauthenticate", person.token()).await.is(422, "email_not_confirmed");
}
