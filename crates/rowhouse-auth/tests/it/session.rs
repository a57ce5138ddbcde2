//! How long sessions live, and their list.

use std::time::Duration;

use http::Method;
use rowhouse_auth::AuthSettings;
use serde_json::{Value, json};

use crate::app::{App, Person, settings};

const HOUR: Duration = Duration::from_secs(3600);
const MINUTE: Duration = Duration::from_secs(60);

async fn refused_as(app: &App, token: &str, message: &str) {
    let answer = app.refresh(token).await;
    answer.is(400, "session_expired");
    assert_eq!(answer.body["message"], format!("Invalid Refresh Token: Session Expired{message}"));
}

#[tokio::test]
async fn timebox_ends_a_session_however_much_it_is_used() {
    let app = App::with(AuthSettings { session_timebox: Some(2 * HOUR), ..settings() }).await;
    let first = app.sign_up("a@example.com").await;
    app.pass(HOUR);
    let second = Person(app.refresh(first.refresh_token()).await.ok());
    app.pass(HOUR);
    refused_as(&app, second.refresh_token(), "").await;
    app.sign_in("a@example.com").await;
}

#[tokio::test]
async fn inactivity_ends_a_session_that_was_not_refreshed() {
    let app = App::with(AuthSettings { session_inactivity: Some(2 * HOUR), ..settings() }).await;
    let first = app.sign_up("a@example.com").await;
    app.pass(HOUR);
    let second = Person(app.refresh(first.refresh_token()).await.ok());
    app.pass(HOUR);
    app.refresh(first.refresh_token()).await.ok();
    app.pass(HOUR);
    let third = Person(app.refresh(second.refresh_token()).await.ok());
    app.pass(2 * HOUR);
    refused_as(&app, third.refresh_token(), " (Inactivity)").await;
    refused_as(&app, third.refresh_token(), " (Inactivity)").await;
}

#[tokio::test]
async fn session_without_the_second_factor_of_its_user_ends_early() {
    let app = App::with(AuthSettings { session_aal_limit: Some(HOUR), ..settings() }).await;
    let person = app.sign_up("a@example.com").await;
    app.pass(HOUR);
    let person = Person(app.refresh(person.refresh_token()).await.ok());
    let client = app.sql().await;
    let enroll = |status| {
        format!(
            "insert into auth.mfa_factors (id, user_id, factor_type, status, created_at, updated_at) \
             select gen_random_uuid(), id, 'totp', '{status}', now(), now() from auth.users"
        )
    };
    client.batch_execute(&enroll("unverified")).await.unwrap();
    let person = Person(app.refresh(person.refresh_token()).await.ok());
    client.batch_execute(&enroll("verified")).await.unwrap();
    refused_as(&app, person.refresh_token(), " (Low AAL: User Needs MFA Verification)").await;
    client.batch_execute("update auth.sessions set aal = 'aal2'").await.unwrap();
    app.refresh(person.refresh_token()).await.ok();
}

#[tokio::test]
async fn single_session_ends_the_others_at_the_next_sign_in() {
    let app = App::with(AuthSettings { single_session_per_user: true, ..settings() }).await;
    let first = app.sign_up("a@example.com").await;
    let other = app.sign_up("b@example.com").await;
    app.pass(MINUTE);
    let second = app.sign_in("a@example.com").await;
    app.get("/user", first.token()).await.is(403, "session_not_found");
    app.refresh(first.refresh_token()).await.is(400, "refresh_token_not_found");
    app.refresh(second.refresh_token()).await.ok();
    app.refresh(other.refresh_token()).await.ok();
}

#[tokio::test]
async fn older_session_of_before_the_setting_is_superseded() {
    let app = App::start().await;
    let first = app.sign_up("a@example.com").await;
    app.pass(HOUR);
    let second = app.sign_in("a@example.com").await;
    let app = App::on(app.db.clone(), AuthSettings { single_session_per_user: true, ..settings() }).await;
    refused_as(&app, first.refresh_token(), " (Revoked by Newer Login)").await;
    app.refresh(second.refresh_token()).await.ok();
}

fn ids(list: &Value) -> Vec<&str> {
    list["sessions"].as_array().unwrap().iter().map(|session| session["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn user_lists_and_ends_sessions() {
    let app = App::start().await;
    let first = app.sign_up("a@example.com").await;
    app.pass(MINUTE);
    let second = app.sign_in("a@example.com").await;
    let stranger = app.sign_up("b@example.com").await;
    let id = |person: &Person| person.claims(&app)["session_id"].as_str().unwrap().to_owned();
    let (one, two) = (id(&first), id(&second));
    let list = app.get("/sessions", second.token()).await.ok();
    assert_eq!(ids(&list), [two.as_str(), one.as_str()]);
    let session = &list["sessions"][0];
    assert_eq!((&session["is_current"], &list["sessions"][1]["is_current"]), (&json!(true), &json!(false)));
    assert_eq!((&session["aal"], &session["ip"]), (&json!("aal1"), &json!("192.0.2.1")));
    assert_eq!(session["amr"][0]["method"], "password");
    let end = async |path: String, by: &Person| app.send(Method::DELETE, &path, Some(by.token()), "").await;
    end(format!("/sessions/{one}"), &stranger).await.is(404, "session_not_found");
    assert_eq!(end(format!("/sessions/{one}"), &second).await.status, 204);
    app.get("/user", first.token()).await.is(403, "session_not_found");
    app.refresh(first.refresh_token()).await.is(400, "refresh_token_not_found");
    end(format!("/sessions/{one}"), &second).await.is(404, "session_not_found");
    end("/sessions/x".to_owned(), &second).await.is(400, "validation_failed");
    app.get("/sessions", first.token()).await.is(403, "session_not_found");
    assert_eq!(ids(&app.get("/sessions", second.token()).await.ok()), [two]);
}

#[tokio::test]
async fn administrator_lists_and_ends_sessions() {
    let app = App::start().await;
    let person = app.sign_up("a@example.com").await;
    let path = format!("/admin/users/{}/sessions", person.id());
    app.get(&path, person.token()).await.is(403, "not_admin");
    let list = app.get(&path, &app.service_key).await.ok();
    let session = format!("{path}/{}", ids(&list)[0]);
    let end = async |path: &str, token: &str| app.send(Method::DELETE, path, Some(token), "").await;
    end(&session, person.token()).await.is(403, "not_admin");
    assert_eq!(end(&session, &app.service_key).await.status, 204);
    end(&session, &app.service_key).await.is(404, "session_not_found");
    app.get("/user", person.token()).await.is(403, "session_not_found");
    assert_eq!(app.get(&path, &app.service_key).await.ok(), json!({ "sessions": [] }));
    let nobody = "/admin/users/00000000-0000-4000-8000-000000000001/sessions";
    app.get(nobody, &app.service_key).await.is(404, "user_not_found");
    app.get("/admin/users/x/sessions", &app.service_key).await.is(400, "validation_failed");
    let one = format!("{nobody}/00000000-0000-4000-8000-000000000001");
    end(&one, &app.service_key).await.is(404, "user_not_found");
}
