//! Passkeys, with an authenticator in software.

use std::time::Duration;

use http::{Method, StatusCode};
use rowhouse_auth::MfaSettings;
use rowhouse_testkit::SoftAuthenticator;
use serde_json::{Value, json};

use crate::app::{Answer, App, Person, mfa_settings};
use crate::factor::with_factor;
use crate::webauthn::{asserted, authenticator, created, start};

async fn begin(app: &App, person: &Person) -> Value {
    app.post_as("/passkeys/registration/options", person.token(), json!({})).await.ok()
}

async fn register(app: &App, person: &Person, begun: &Value, key: &SoftAuthenticator) -> Answer {
    let body =
        json!({ "challenge_id": begun["challenge_id"], "credential": created(key, &begun["options"]) });
    app.post_as("/passkeys/registration/verify", person.token(), body).await
}

async fn begin_signin(app: &App) -> Value {
    app.post("/passkeys/authentication/options", json!({})).await.ok()
}

async fn answer(app: &App, begun: &Value, credential: Value) -> Answer {
    let body = json!({ "challenge_id": begun["challenge_id"], "credential": credential });
    app.post("/passkeys/authentication/verify", body).await
}

async fn sign_in(app: &App, key: &mut SoftAuthenticator, user: &str) -> Answer {
    let begun = begin_signin(app).await;
    let credential = asserted(key, &begun["options"], user);
    answer(app, &begun, credential).await
}

/// A new user with a passkey.
pub(crate) async fn with_passkey(app: &App, email: &str) -> (SoftAuthenticator, Person, Value) {
    let (key, person) = (authenticator(), app.sign_up(email).await);
    let begun = begin(app, &person).await;
    let passkey = register(app, &person, &begun, &key).await.ok();
    (key, person, passkey)
}

#[tokio::test]
async fn passkey_is_registered_and_signs_its_user_in() {
    let app = start().await;
    let (mut key, person) = (authenticator(), app.sign_up("a@example.com").await);
    let begun = begin(&app, &person).await;
    assert_eq!(begun["expires_at"], app.now() + 300);
    assert_eq!(begun["options"]["authenticatorSelection"]["residentKey"], "required");
    let passkey = register(&app, &person, &begun, &key).await.ok();
    assert_eq!(passkey["friendly_name"], "Passkey", "its authenticator tells no model");
    let begun = begin_signin(&app).await;
    assert!(begun["options"].get("allowCredentials").is_none());
    app.pass(Duration::from_secs(60));
    let credential = asserted(&mut key, &begun["options"], person.id());
    let session = Person(answer(&app, &begun, credential).await.ok());
    assert_eq!(session.id(), person.id());
    let claims = session.claims(&app);
    assert_eq!((&claims["aal"], &claims["amr"][0]["method"]), (&json!("aal1"), &json!("passkey")));
    let listed = app.get("/passkeys", session.token()).await.ok();
    assert_eq!((&listed[0]["id"], listed.as_array().unwrap().len()), (&passkey["id"], 1));
    assert_eq!(listed[0]["last_used_at"], "2027-01-15T08:01:00Z");
    assert_eq!(begin(&app, &person).await["options"]["excludeCredentials"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn ceremonies_are_answered_once_and_in_time() {
    let app = start().await;
    let (mut key, person, _) = with_passkey(&app, "a@example.com").await;
    let begun = begin_signin(&app).await;
    let credential = asserted(&mut key, &begun["options"], person.id());
    answer(&app, &begun, credential.clone()).await.ok();
    answer(&app, &begun, credential.clone()).await.is(400, "webauthn_challenge_not_found");
    let next = begin_signin(&app).await;
    answer(&app, &next, credential).await.is(400, "webauthn_verification_failed");
    let right = asserted(&mut key, &next["options"], person.id());
    answer(&app, &next, right).await.is(400, "webauthn_challenge_not_found");
    let late = begin_signin(&app).await;
    app.pass(Duration::from_secs(300));
    let right = asserted(&mut key, &late["options"], person.id());
    answer(&app, &late, right).await.is(400, "webauthn_challenge_expired");

    let begun = begin(&app, &person).await;
    app.pass(Duration::from_secs(300));
    register(&app, &person, &begun, &authenticator()).await.is(400, "webauthn_challenge_expired");
    register(&app, &person, &begun, &authenticator()).await.is(400, "webauthn_challenge_not_found");
    // A ceremony of another kind or of another user.
    let stranger = app.sign_up("b@example.com").await;
    let begun = begin(&app, &person).await;
    register(&app, &stranger, &begun, &authenticator()).await.is(400, "webauthn_challenge_not_found");
    let signin = begin_signin(&app).await;
    register(&app, &person, &signin, &authenticator()).await.is(400, "webauthn_challenge_not_found");
}

#[tokio::test]
async fn forged_answers_are_refused() {
    let app = start().await;
    let (mut key, person, _) = with_passkey(&app, "a@example.com").await;
    let (mut other, stranger, _) = with_passkey(&app, "b@example.com").await;
    let mut clone = key.copy();
    sign_in(&app, &mut key, person.id()).await.ok();
    sign_in(&app, &mut clone, person.id()).await.is(400, "webauthn_verification_failed");
    // Another user's handle, and an unregistered key with the user's handle.
    sign_in(&app, &mut other, person.id()).await.is(400, "webauthn_verification_failed");
    sign_in(&app, &mut authenticator(), person.id()).await.is(400, "webauthn_verification_failed");
    for (rp_id, origin) in
        [("rowhouse.test", "https://evil.example"), ("evil.example", "http://rowhouse.test")]
    {
        let mut forger = other.copy();
        (forger.rp_id, forger.origin) = (rp_id.to_owned(), origin.to_owned());
        sign_in(&app, &mut forger, stranger.id()).await.is(400, "webauthn_verification_failed");
        let begun = begin(&app, &person).await;
        let foreign = SoftAuthenticator::new(rp_id, origin);
        register(&app, &person, &begun, &foreign).await.is(400, "webauthn_verification_failed");
    }
    sign_in(&app, &mut other, stranger.id()).await.ok();
}

#[tokio::test]
async fn credential_is_registered_once() {
    let app = start().await;
    let (key, person, _) = with_passkey(&app, "a@example.com").await;
    let stranger = app.sign_up("b@example.com").await;
    for person in [&person, &stranger] {
        let begun = begin(&app, person).await;
        register(&app, person, &begun, &key).await.is(422, "webauthn_credential_exists");
    }
}

#[tokio::test]
async fn passkeys_have_their_limits() {
    let app = start().await;
    let limited = MfaSettings { passkeys_enabled: true, max_passkeys_per_user: 1, ..mfa_settings() };
    let (_, person, _) = with_passkey(&app, "a@example.com").await;
    let app =
        App::with_setup(app.db.clone(), crate::app::settings(), |setup| setup.settings.put(limited)).await;
    let begun = app.post_as("/passkeys/registration/options", person.token(), json!({})).await;
    begun.is(422, "too_many_passkeys");
    let off = App::with_setup(app.db.clone(), crate::app::settings(), |_| {}).await;
    off.get("/passkeys", person.token()).await.is(404, "passkey_disabled");
    off.post("/passkeys/authentication/options", json!({})).await.is(404, "passkey_disabled");
    assert_eq!(off.send(Method::GET, "/settings", None, "").await.ok()["passkeys_enabled"], false);
    assert_eq!(app.send(Method::GET, "/settings", None, "").await.ok()["passkeys_enabled"], true);
}

#[tokio::test]
async fn passkeys_are_managed_by_their_user_with_the_second_factor() {
    let app = start().await;
    let (_, person, passkey) = with_passkey(&app, "a@example.com").await;
    let path = format!("/passkeys/{}", passkey["id"].as_str().unwrap());
    let rename = async |token: &str, name: &str| {
        let body = json!({ "friendly_name": name }).to_string();
        app.send(Method::PATCH, &path, Some(token), body).await
    };
    assert_eq!(rename(person.token(), "laptop").await.ok()["friendly_name"], "laptop");
    rename(person.token(), "").await.is(400, "validation_failed");
    rename(person.token(), &"x".repeat(121)).await.is(400, "validation_failed");
    let (_, stranger) = with_factor(&app, "b@example.com").await;
    rename(stranger.token(), "mine").await.is(404, "validation_failed");
    app.delete_as(&path, stranger.token()).await.is(404, "validation_failed");
    app.delete_as("/passkeys/x", stranger.token()).await.is(404, "validation_failed");
    let low = app.sign_in("b@example.com").await;
    app.post_as("/passkeys/registration/options", low.token(), json!({})).await.is(403, "insufficient_aal");
    app.delete_as(&path, low.token()).await.is(403, "insufficient_aal");
    assert_eq!(app.delete_as(&path, person.token()).await.status, StatusCode::NO_CONTENT);
    app.delete_as(&path, person.token()).await.is(404, "validation_failed");
}

#[tokio::test]
async fn users_who_may_not_sign_in_are_refused() {
    let app = start().await;
    let (mut key, person, _) = with_passkey(&app, "a@example.com").await;
    let change = async |sql: &str| {
        app.sql().await.batch_execute(sql).await.unwrap();
    };
    change("update auth.users set banned_until = '2200-01-01'").await;
    sign_in(&app, &mut key, person.id()).await.is(403, "user_banned");
    change("update auth.users set banned_until = null, email_confirmed_at = null").await;
    sign_in(&app, &mut key, person.id()).await.is(403, "email_not_confirmed");
    change("update auth.users set email_confirmed_at = now(), deleted_at = now()").await;
    sign_in(&app, &mut key, person.id()).await.is(400, "webauthn_verification_failed");
}

#[tokio::test]
async fn operator_lists_and_removes_passkeys() {
    let app = start().await;
    let (mut key, person, passkey) = with_passkey(&app, "a@example.com").await;
    let path = format!("/admin/users/{}/passkeys", person.id());
    let listed = app.get(&path, &app.service_key).await.ok();
    assert_eq!((&listed[0]["id"], listed.as_array().unwrap().len()), (&passkey["id"], 1));
    app.get(&path, person.token()).await.is(403, "not_admin");
    let nobody = "/admin/users/00000000-0000-0000-0000-000000000000/passkeys";
    app.get(nobody, &app.service_key).await.is(404, "user_not_found");
    let one = format!("{path}/{}", passkey["id"].as_str().unwrap());
    assert_eq!(app.delete_as(&one, &app.service_key).await.status, StatusCode::NO_CONTENT);
    app.delete_as(&one, &app.service_key).await.is(404, "validation_failed");
    sign_in(&app, &mut key, person.id()).await.is(400, "webauthn_verification_failed");
}

#[tokio::test]
async fn malformed_requests_are_refused() {
    let app = start().await;
    let (mut key, person, _) = with_passkey(&app, "a@example.com").await;
    let begun = begin_signin(&app).await;
    let right = asserted(&mut key, &begun["options"], person.id());
    let post = async |body: Value| app.post("/passkeys/authentication/verify", body).await;
    post(json!({ "credential": right })).await.is(400, "validation_failed");
    post(json!({ "challenge_id": "x", "credential": right })).await.is(400, "validation_failed");
    post(json!({ "challenge_id": begun["challenge_id"] })).await.is(400, "validation_failed");
    let odd = json!({ "challenge_id": begun["challenge_id"], "credential": { "rawId": 1 } });
    post(odd).await.is(400, "webauthn_verification_failed");
    answer(&app, &begun, right).await.ok();
    app.send(Method::POST, "/passkeys/registration/options", None, "{}").await.is(401, "no_authorization");
}

#[tokio::test]
async fn client_names_a_new_passkey() {
    let app = start().await;
    let (key, person) = (authenticator(), app.sign_up("a@example.com").await);
    let register = async |name: &str| {
        let begun = begin(&app, &person).await;
        let credential = created(&key, &begun["options"]);
        let body =
            json!({ "challenge_id": begun["challenge_id"], "credential": credential, "friendly_name": name });
        app.post_as("/passkeys/registration/verify", person.token(), body).await
    };
    register(&"x".repeat(121)).await.is(400, "validation_failed");
    assert_eq!(register("Ann's laptop").await.ok()["friendly_name"], "Ann's laptop");
}
