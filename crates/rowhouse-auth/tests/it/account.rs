use std::time::Duration;

use http::{Method, StatusCode};
use rowhouse_auth::AuthSettings;
use serde_json::json;

use crate::app::{App, PASSWORD, settings};

#[tokio::test]
async fn user_gets_their_own_record() {
    let app = App::start().await;
    let person = app.sign_up("a@example.com").await;
    let answer = app.get("/user", person.token()).await;
    assert_eq!(answer.headers["sb-auth-user-id"], person.id());
    assert_eq!(answer.ok(), person.0["user"]);
}

#[tokio::test]
async fn bearer_is_required_and_must_be_a_users() {
    let app = App::start().await;
    let person = app.sign_up("a@example.com").await;
    app.send(Method::GET, "/user", None, "").await.is(401, "no_authorization");
    let anon = app.anon_key().await;
    app.get("/user", &anon).await.is(403, "bad_jwt");
    app.get("/user", "nonsense").await.is(403, "bad_jwt");
    app.pass(Duration::from_secs(3600));
    app.get("/user", person.token()).await.is(403, "bad_jwt");
}

#[tokio::test]
async fn app_metadata_is_not_for_its_user_to_change() {
    let app = App::start().await;
    let person = app.sign_up("a@example.com").await;
    let asked = json!({ "app_metadata": { "admin": true }, "data": { "n": 1 } });
    app.put_as("/user", person.token(), asked).await.is(403, "not_admin");
    app.put_as("/user", person.token(), json!({ "role": "service_role" })).await.ok();
    let user = app.get("/user", person.token()).await.ok();
    assert_eq!(user["app_metadata"], json!({ "provider": "email", "providers": ["email"] }));
    assert_eq!((&user["role"], &user["user_metadata"]["n"]), (&json!("authenticated"), &json!(null)));
}

#[tokio::test]
async fn sign_out_takes_effect_at_once_in_its_scope() {
    let app = App::start().await;
    let first = app.sign_up("a@example.com").await;
    let second = app.sign_in("a@example.com").await;
    let third = app.sign_in("a@example.com").await;
    let out = async |person: &crate::app::Person, scope: &str| {
        let path = format!("/logout{scope}");
        app.send(Method::POST, &path, Some(person.token()), "").await
    };
    assert_eq!(out(&first, "?scope=local").await.status, StatusCode::NO_CONTENT);
    app.get("/user", first.token()).await.is(403, "session_not_found");
    app.refresh(first.refresh_token()).await.is(400, "refresh_token_not_found");
    assert_eq!(out(&second, "?scope=others").await.status, StatusCode::NO_CONTENT);
    app.get("/user", third.token()).await.is(403, "session_not_found");
    out(&second, "?scope=everything").await.is(400, "validation_failed");
    let fourth = app.sign_in("a@example.com").await;
    assert_eq!(out(&second, "").await.status, StatusCode::NO_CONTENT);
    app.get("/user", fourth.token()).await.is(403, "session_not_found");
    out(&second, "").await.is(403, "session_not_found");
}

#[tokio::test]
async fn ban_and_deletion_take_effect_at_once() {
    let app = App::start().await;
    let person = app.sign_up("a@example.com").await;
    let sql = app.sql().await;
    sql.execute("update auth.users set banned_until = '2200-01-01'", &[]).await.unwrap();
    app.get("/user", person.token()).await.is(403, "user_banned");
    sql.execute("delete from auth.users", &[]).await.unwrap();
    app.get("/user", person.token()).await.is(403, "user_not_found");
}

#[tokio::test]
async fn data_is_merged_and_null_removes() {
    let app = App::start().await;
    let person = app.sign_up("a@example.com").await;
    app.put_as("/user", person.token(), json!({ "data": { "a": 1, "b": 2 } })).await.ok();
    let user = app.put_as("/user", person.token(), json!({ "data": { "b": null, "c": [3] } })).await.ok();
    assert_eq!((&user["user_metadata"]["a"], &user["user_metadata"]["c"]), (&json!(1), &json!([3])));
    assert!(user["user_metadata"].get("b").is_none());
}

#[tokio::test]
async fn new_password_ends_the_other_sessions() {
    let app = App::start().await;
    let (first, second) = (app.sign_up("a@example.com").await, app.sign_in("a@example.com").await);
    app.put_as("/user", second.token(), json!({ "password": PASSWORD })).await.is(422, "same_password");
    app.put_as("/user", second.token(), json!({ "password": "short" })).await.is(422, "weak_password");
    app.put_as("/user", second.token(), json!({ "password": "battery staple" })).await.ok();
    app.get("/user", first.token()).await.is(403, "session_not_found");
    app.get("/user", second.token()).await.ok();
    app.password("a@example.com", PASSWORD).await.is(400, "invalid_credentials");
    app.password("a@example.com", "battery staple").await.ok();
}

#[tokio::test]
async fn taken_address_is_reported_where_addresses_are_confirmed_at_once() {
    let app = App::start().await;
    let person = app.sign_up("a@example.com").await;
    app.sign_up("taken@example.com").await;
    app.put_as("/user", person.token(), json!({ "email": "taken@example.com" }))
        .await
        .is(422, "email_exists");
}

#[tokio::test]
async fn large_metadata_stays_with_the_user_and_out_of_the_token() {
    let app = App::start().await;
    let person = app.sign_up("a@example.com").await;
    app.put_as("/user", person.token(), json!({ "data": { "avatar": "x".repeat(100_000) } })).await.ok();
    let again = crate::app::Person(app.refresh(person.refresh_token()).await.ok());
    assert_eq!(again.0["user"]["user_metadata"]["avatar"].as_str().unwrap().len(), 100_000);
    assert_eq!(again.claims(&app)["user_metadata"], json!({}));
    app.get("/user", again.token()).await.ok();
}

#[tokio::test]
async fn new_passwords_are_limited_like_sign_ins() {
    let app =
        App::with(rowhouse_auth::AuthSettings { signin_rate_per_5min: 2, ..crate::app::settings() }).await;
    let person = app.sign_up("a@example.com").await;
    app.put_as("/user", person.token(), json!({ "password": "battery staple" })).await.ok();
    let refused = app.put_as("/user", person.token(), json!({ "password": "correct battery" })).await;
    refused.is(429, "over_request_rate_limit");
    app.put_as("/user", person.token(), json!({ "data": { "n": 1 } })).await.ok();
}

#[tokio::test]
async fn new_address_does_not_reveal_whether_it_is_taken_and_is_rate_limited() {
    let app =
        App::with(AuthSettings { mailer_autoconfirm: false, signin_rate_per_5min: 8, ..settings() }).await;
    for email in ["taken@example.com", "a@example.com"] {
        app.post("/signup", json!({ "email": email, "password": PASSWORD })).await.ok();
    }
    app.sql().await.execute("update auth.users set email_confirmed_at = now()", &[]).await.unwrap();
    let person = app.sign_in("a@example.com").await;
    for email in ["taken@example.com", "free@example.com"] {
        let answer = app.put_as("/user", person.token(), json!({ "email": email })).await.ok();
        assert_eq!((&answer["email"], &answer["new_email"]), (&json!("a@example.com"), &json!(email)));
    }
    for _ in 0..3 {
        app.put_as("/user", person.token(), json!({ "email": "b@example.com" })).await.ok();
    }
    let refused = app.put_as("/user", person.token(), json!({ "email": "b@example.com" })).await;
    refused.is(429, "over_request_rate_limit");
}

#[tokio::test]
async fn changes_of_one_user_are_limited_wherever_they_come_from() {
    let app = App::with(AuthSettings { token_rate_per_5min: 3, ..settings() }).await;
    let (first, second) = (app.sign_up("a@example.com").await, app.sign_up("b@example.com").await);
    let change = async |token: &str, n: u8, address: u8| {
        app.come_from(address);
        app.put_as("/user", token, json!({ "data": { "n": n } })).await
    };
    for n in 0..3 {
        change(first.token(), n, n).await.ok();
    }
    change(first.token(), 3, 3).await.is(429, "over_request_rate_limit");
    change(second.token(), 0, 4).await.ok();
}
