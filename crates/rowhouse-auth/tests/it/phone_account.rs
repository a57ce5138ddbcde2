//! Numbers of accounts that exist: changes by users and administrators, and reauthentication.

use std::time::Duration;

use http::Method;
use rowhouse_auth::{AuthHookSettings, AuthSettings, SmsSettings};
use rowhouse_testkit::{LIMIT, until};
use serde_json::{Value, json};

use crate::app::{App, PASSWORD, settings};
use crate::factor::with_factor;
use crate::phone::{NUMBER, OTHER, STORED, sms, with, with_phones, wrong};

fn providers(user: &Value) -> Vec<&str> {
    user["identities"].as_array().unwrap().iter().map(|found| found["provider"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn number_changes_once_its_owner_has_confirmed_it() {
    let app = with_phones().await;
    let person = app.sign_up("a@example.com").await;
    let pending = app.put_as("/user", person.token(), json!({ "phone": NUMBER })).await.ok();
    assert_eq!((&pending["phone"], &pending["new_phone"]), (&json!(""), &json!(STORED)));
    assert!(pending["phone_change_sent_at"].is_string());
    let code = app.code_to(STORED).await;
    app.verify_phone("phone_change", NUMBER, &wrong(&code)).await.is(403, "otp_expired");
    app.verify_phone("sms", NUMBER, &code).await.is(403, "otp_expired");
    let changed = app.verify_phone("phone_change", NUMBER, &code).await.ok();
    let user = &changed["user"];
    assert_eq!((&user["phone"], &user["email"]), (&json!(STORED), &json!("a@example.com")));
    assert!(user["phone_confirmed_at"].is_string() && user.get("new_phone").is_none());
    assert_eq!(
        (providers(user), &user["app_metadata"]["providers"]),
        (vec!["email", "phone"], &json!(["email", "phone"]))
    );
    app.verify_phone("phone_change", NUMBER, &code).await.is(403, "otp_expired");
    app.password_by_phone(NUMBER, PASSWORD).await.ok();

    // A code to the former number is void with it.
    app.post("/otp", json!({ "phone": NUMBER })).await.ok();
    let former = app.code_to(STORED).await;
    app.put_as("/user", person.token(), json!({ "phone": OTHER })).await.ok();
    app.verify_phone("phone_change", OTHER, &app.code_to(OTHER).await).await.ok();
    app.verify_phone("sms", NUMBER, &former).await.is(403, "otp_expired");
    app.password_by_phone(NUMBER, PASSWORD).await.is(400, "invalid_credentials");
    app.password_by_phone(OTHER, PASSWORD).await.ok();
    let same = app.put_as("/user", person.token(), json!({ "phone": OTHER })).await.ok();
    assert!(same.get("new_phone").is_none());
    assert_eq!(app.messages().await.len(), 3);
}

#[tokio::test]
async fn number_of_somebody_else_is_told_only_to_who_has_its_code() {
    let app = with_phones().await;
    let owner = app.phone_user(NUMBER).await;
    let person = app.sign_up("a@example.com").await;
    let taken = app.put_as("/user", person.token(), json!({ "phone": NUMBER })).await.ok();
    assert_eq!(taken["new_phone"], STORED);
    app.verify_phone("phone_change", NUMBER, &app.code_to(STORED).await).await.is(422, "phone_exists");
    assert_eq!(app.get("/user", owner.token()).await.ok()["phone"], STORED);
    assert_eq!(app.get("/user", person.token()).await.ok()["phone"], "");
}

#[tokio::test]
async fn number_takes_effect_at_once_where_so_configured() {
    let app = with(SmsSettings { autoconfirm: true, ..sms() }, settings(), AuthHookSettings::default()).await;
    app.sign_up_by_phone(OTHER, PASSWORD).await.ok();
    let person = app.sign_up("a@example.com").await;
    let changed = app.put_as("/user", person.token(), json!({ "phone": NUMBER })).await.ok();
    assert_eq!(changed["phone"], STORED);
    assert!(changed["phone_confirmed_at"].is_string());
    app.put_as("/user", person.token(), json!({ "phone": OTHER })).await.is(422, "phone_exists");
    assert!(app.messages().await.is_empty());
}

#[tokio::test]
async fn anonymous_user_becomes_a_permanent_one_by_a_number() {
    let open = AuthSettings { anonymous_users: true, ..settings() };
    let app = with(sms(), open, AuthHookSettings::default()).await;
    let person = crate::app::Person(app.post("/signup", json!({})).await.ok());
    app.put_as("/user", person.token(), json!({ "password": PASSWORD })).await.is(422, "validation_failed");
    let body = json!({ "phone": NUMBER, "password": PASSWORD });
    assert_eq!(app.put_as("/user", person.token(), body).await.ok()["is_anonymous"], true);
    let user =
        app.verify_phone("phone_change", NUMBER, &app.code_to(STORED).await).await.ok()["user"].clone();
    assert_eq!((&user["is_anonymous"], providers(&user)), (&json!(false), vec!["phone"]));
    assert_eq!(user["id"], person.id());
}

#[tokio::test]
async fn malformed_changes_and_those_without_the_second_factor_are_refused() {
    let app = with_phones().await;
    let (_, raised) = with_factor(&app, "a@example.com").await;
    let low = app.sign_in("a@example.com").await;
    let change = async |token: &str, body: Value| app.put_as("/user", token, body).await;
    change(low.token(), json!({ "phone": NUMBER })).await.is(401, "insufficient_aal");
    change(raised.token(), json!({ "phone": "0170" })).await.is(400, "validation_failed");
    change(raised.token(), json!({ "phone": NUMBER, "channel": "whatsapp" }))
        .await
        .is(400, "validation_failed");
    change(raised.token(), json!({ "phone": NUMBER, "channel": "sms" })).await.ok();
    assert_eq!(app.messages().await.len(), 1);
}

#[tokio::test]
async fn code_of_a_change_is_sent_again_to_the_new_number() {
    let app = with_phones().await;
    let person = app.phone_user(NUMBER).await;
    let resend = async || app.post("/resend", json!({ "type": "phone_change", "phone": NUMBER })).await.ok();
    assert_eq!(resend().await, json!({}));
    app.put_as("/user", person.token(), json!({ "phone": OTHER })).await.ok();
    assert_eq!(resend().await, json!({}));
    until("the message", LIMIT, async || app.messages().await.len() == 3).await;
    let numbers: Vec<String> = app.messages().await.into_iter().map(|(to, _)| to).collect();
    assert_eq!(numbers, [STORED, OTHER, OTHER]);
    let code = app.code_to(OTHER).await;
    let verified = async || app.verify_phone("phone_change", OTHER, &code).await.status == 200;
    until("the code is stored", LIMIT, verified).await;
}

#[tokio::test]
async fn user_without_address_reauthenticates_by_message() {
    let strict = AuthSettings { secure_password_change: true, ..settings() };
    let app = with(sms(), strict, AuthHookSettings::default()).await;
    app.phone_user(NUMBER).await;
    let person = crate::app::Person(app.password_by_phone(NUMBER, PASSWORD).await.ok());
    app.pass(Duration::from_secs(25 * 3600));
    let person = crate::app::Person(app.refresh(person.refresh_token()).await.ok());
    let ask = async || app.send(Method::GET, "/reauthenticate", Some(person.token()), "").await;
    let change = async |nonce: &str| {
        app.put_as("/user", person.token(), json!({ "password": "new password", "nonce": nonce })).await
    };
    change("").await.is(400, "reauthentication_needed");
    assert!(ask().await.ok()["message_id"].is_string());
    let code = app.code_to(STORED).await;
    change(&wrong(&code)).await.is(422, "reauthentication_not_valid");
    change(&code).await.ok();
    app.password_by_phone(NUMBER, "new password").await.ok();

    app.sql().await.execute("update auth.users set phone_confirmed_at = null", &[]).await.unwrap();
    ask().await.is(422, "phone_not_confirmed");
    app.sql().await.execute("update auth.users set phone = null", &[]).await.unwrap();
    ask().await.is(400, "validation_failed");
}

#[tokio::test]
async fn new_number_from_an_old_session_needs_reauthentication_as_a_password_does() {
    let strict = AuthSettings { secure_password_change: true, ..settings() };
    let app = with(sms(), strict, AuthHookSettings::default()).await;
    let person = app.sign_up("a@example.com").await;
    app.pass(Duration::from_secs(25 * 3600));
    let person = crate::app::Person(app.refresh(person.refresh_token()).await.ok());
    let change = async |nonce: &str| {
        app.put_as("/user", person.token(), json!({ "phone": NUMBER, "nonce": nonce })).await
    };
    change("").await.is(400, "reauthentication_needed");
    assert!(app.messages().await.is_empty());
    app.get("/reauthenticate", person.token()).await.ok();
    let code = app.mail_to("a@example.com").await.code();
    assert_eq!(change(&code).await.ok()["new_phone"], STORED);
    change(&code).await.is(422, "reauthentication_not_valid");
}

#[tokio::test]
async fn administrators_give_and_confirm_numbers() {
    let app = App::start().await;
    let key = &app.service_key;
    let create = async |body: Value| app.post_as("/admin/users", key, body).await;
    let user = create(json!({ "phone": NUMBER, "password": PASSWORD, "phone_confirm": true })).await.ok();
    assert_eq!((&user["phone"], providers(&user)), (&json!(STORED), vec!["phone"]));
    assert!(user["phone_confirmed_at"].is_string());
    assert_eq!(user["user_metadata"]["phone_verified"], true);
    assert_eq!(user["app_metadata"], json!({ "provider": "phone", "providers": ["phone"] }));
    let both = create(json!({ "email": "a@example.com", "phone": OTHER })).await.ok();
    assert_eq!(providers(&both), ["email", "phone"]);
    assert_eq!(both["app_metadata"], json!({ "provider": "email", "providers": ["email", "phone"] }));
    assert!(both.get("phone_confirmed_at").is_none());
    create(json!({ "phone": NUMBER })).await.is(422, "phone_exists");
    create(json!({ "phone": "0170" })).await.is(400, "validation_failed");
    create(json!({ "password": PASSWORD })).await.is(400, "validation_failed");

    let path = format!("/admin/users/{}", both["id"].as_str().unwrap());
    let change = async |body: Value| app.put_as(&path, key, body).await;
    change(json!({ "phone": NUMBER })).await.is(422, "phone_exists");
    change(json!({ "phone": "0170" })).await.is(400, "validation_failed");
    assert!(change(json!({ "phone_confirm": true })).await.ok()["phone_confirmed_at"].is_string());
    let changed = change(json!({ "phone": "+1 999 5550100" })).await.ok();
    assert_eq!((&changed["phone"], providers(&changed)), (&json!("19995550100"), vec!["email", "phone"]));
    let data = &changed["identities"][1]["identity_data"];
    assert_eq!(data["phone"], "19995550100");
}
