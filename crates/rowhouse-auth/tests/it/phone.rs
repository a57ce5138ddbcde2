//! Sign-up and sign-in by number, and what the other phone tests stand on.

use std::time::Duration;

use rowhouse_auth::{AuthHookSettings, AuthSettings, SmsSettings};
use rowhouse_testkit::TestDatabase;
use serde_json::{Value, json};

use crate::app::{Answer, App, PASSWORD, Person, settings};

pub(crate) const NUMBER: &str = "+49 170 1234567";
/// As it is stored.
pub(crate) const STORED: &str = "491701234567";
pub(crate) const OTHER: &str = "43664555123";

pub(crate) fn sms() -> SmsSettings {
    SmsSettings {
        enabled: true,
        max_frequency: Duration::ZERO,
        number_rate_per_hour: 10_000,
        address_rate_per_hour: 10_000,
        total_rate_per_hour: 10_000,
        ..SmsSettings::default()
    }
}

pub(crate) async fn with_phones() -> App {
    with(sms(), settings(), AuthHookSettings::default()).await
}

pub(crate) async fn with(sms: SmsSettings, settings: AuthSettings, hooks: AuthHookSettings) -> App {
    App::with_setup(TestDatabase::create().await, settings, |setup| {
        setup.settings.put(sms);
        setup.settings.put(hooks);
        setup.settings.update(|mfa: &mut rowhouse_auth::MfaSettings| mfa.mfa_phone_enabled = true);
    })
    .await
}

impl App {
    /// Numbers and texts of all messages so far.
    pub(crate) async fn messages(&self) -> Vec<(String, String)> {
        let sql = "select phone, body from auth.captured_messages order by id";
        let rows = self.sql().await.query(sql, &[]).await.unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    }

    /// The code in the latest message to a number.
    pub(crate) async fn code_to(&self, phone: &str) -> String {
        let messages = self.messages().await;
        let (_, text) = messages.into_iter().rev().find(|(to, _)| to == phone).unwrap();
        text.strip_prefix("Your code is ").unwrap().to_owned()
    }

    pub(crate) async fn sign_up_by_phone(&self, phone: &str, password: &str) -> Answer {
        self.post("/signup", json!({ "phone": phone, "password": password })).await
    }

    pub(crate) async fn password_by_phone(&self, phone: &str, password: &str) -> Answer {
        self.post("/token?grant_type=password", json!({ "phone": phone, "password": password })).await
    }

    pub(crate) async fn verify_phone(&self, kind: &str, phone: &str, code: &str) -> Answer {
        self.post("/verify", json!({ "type": kind, "phone": phone, "token": code })).await
    }

    /// A user with a confirmed number and a session.
    pub(crate) async fn phone_user(&self, phone: &str) -> Person {
        self.sign_up_by_phone(phone, PASSWORD).await.ok();
        let stored = phone.replace(['+', ' '], "");
        Person(self.verify_phone("sms", phone, &self.code_to(&stored).await).await.ok())
    }

    pub(crate) async fn count(&self, what: &str) -> i64 {
        self.sql().await.query_one(&format!("select count(*) from {what}"), &[]).await.unwrap().get(0)
    }
}

/// Another code of the same length.
pub(crate) fn wrong(code: &str) -> String {
    let last = code.len() - 1;
    let digit = code.as_bytes()[last] - b'0';
    format!("{}{}", &code[..last], (digit + 1) % 10)
}

#[tokio::test]
async fn sign_up_sends_a_code_that_confirms_the_number_and_signs_in_once() {
    let app = with_phones().await;
    let body = json!({ "phone": NUMBER, "password": PASSWORD, "data": { "name": "Ann" } });
    let user = app.post("/signup", body).await.ok();
    assert_eq!((&user["phone"], &user["email"]), (&json!(STORED), &json!("")));
    assert_eq!(user["app_metadata"], json!({ "provider": "phone", "providers": ["phone"] }));
    assert_eq!(user["identities"][0]["provider"], "phone");
    assert_eq!(user["identities"][0]["identity_data"]["name"], "Ann");
    assert!(user["confirmation_sent_at"].is_string() && user.get("phone_confirmed_at").is_none());
    assert!(user.get("access_token").is_none());
    app.password_by_phone(NUMBER, PASSWORD).await.is(400, "phone_not_confirmed");
    app.password_by_phone(NUMBER, "wrong").await.is(400, "invalid_credentials");

    let code = app.code_to(STORED).await;
    assert_eq!(code.len(), 6);
    app.verify_phone("sms", NUMBER, &wrong(&code)).await.is(403, "otp_expired");
    let person = Person(app.verify_phone("sms", STORED, &code).await.ok());
    let shown = &person.0["user"];
    assert_eq!(shown["id"], user["id"]);
    assert!(shown["phone_confirmed_at"].is_string() && shown["confirmed_at"].is_string());
    assert_eq!(shown["user_metadata"]["phone_verified"], true);
    assert_eq!(shown["identities"][0]["identity_data"]["phone_verified"], true);
    let claims = person.claims(&app);
    assert_eq!((&claims["phone"], &claims["amr"][0]["method"]), (&json!(STORED), &json!("otp")));
    app.verify_phone("sms", STORED, &code).await.is(403, "otp_expired");
    for name in [NUMBER, STORED, "+491701234567"] {
        let again = Person(app.password_by_phone(name, PASSWORD).await.ok());
        assert_eq!(again.id(), person.id(), "{name}");
    }
    app.password_by_phone(OTHER, PASSWORD).await.is(400, "invalid_credentials");
}

#[tokio::test]
async fn numbers_are_confirmed_at_once_where_so_configured() {
    let app = with(SmsSettings { autoconfirm: true, ..sms() }, settings(), AuthHookSettings::default()).await;
    let person = Person(app.sign_up_by_phone(NUMBER, PASSWORD).await.ok());
    assert!(person.0["user"]["phone_confirmed_at"].is_string());
    assert!(app.messages().await.is_empty());
    app.sign_up_by_phone(STORED, PASSWORD).await.is(422, "user_already_exists");
    app.password_by_phone(STORED, PASSWORD).await.ok();
    let shown = app.post("/otp", json!({ "phone": OTHER, "create_user": false })).await;
    shown.is(422, "otp_disabled");
    let settings = app.send(http::Method::GET, "/settings", None, "").await.ok();
    let found = (&settings["external"]["phone"], &settings["phone_autoconfirm"], &settings["sms_provider"]);
    assert_eq!(found, (&json!(true), &json!(true), &json!("sink")));
}

#[tokio::test]
async fn everything_about_numbers_is_refused_where_they_are_switched_off() {
    let app = App::start().await;
    let person = app.sign_up("a@example.com").await;
    for (path, body) in [
        ("/signup", json!({ "phone": NUMBER, "password": PASSWORD })),
        ("/otp", json!({ "phone": NUMBER })),
        ("/resend", json!({ "type": "sms", "phone": NUMBER })),
        ("/resend", json!({ "type": "phone_change", "phone": NUMBER })),
        ("/token?grant_type=password", json!({ "phone": NUMBER, "password": PASSWORD })),
        ("/verify", json!({ "type": "sms", "phone": NUMBER, "token": "123456" })),
    ] {
        app.post(path, body).await.is(400, "phone_provider_disabled");
    }
    app.put_as("/user", person.token(), json!({ "phone": NUMBER })).await.is(400, "phone_provider_disabled");
    let settings = app.send(http::Method::GET, "/settings", None, "").await.ok();
    let found = (&settings["external"]["phone"], &settings["sms_provider"]);
    assert_eq!(found, (&json!(false), &json!("")));
}

#[tokio::test]
async fn malformed_requests_with_numbers_are_refused() {
    let app = with_phones().await;
    let both = json!({ "phone": NUMBER, "email": "a@example.com", "password": PASSWORD, "token": "1", "type": "sms" });
    let channel = json!({ "phone": NUMBER, "password": PASSWORD, "channel": "whatsapp" });
    let challenge = json!({ "phone": NUMBER, "password": PASSWORD, "code_challenge_method": "s256",
        "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM" });
    let malformed = json!({ "phone": "0170", "password": PASSWORD, "token": "1", "type": "sms" });
    let no_type = json!({ "phone": NUMBER });
    for (path, body) in [
        ("/signup", &both),
        ("/otp", &both),
        ("/resend", &both),
        ("/verify", &both),
        ("/token?grant_type=password", &both),
        ("/signup", &channel),
        ("/otp", &channel),
        ("/signup", &challenge),
        ("/signup", &malformed),
        ("/otp", &malformed),
        ("/resend", &malformed),
        ("/verify", &malformed),
        ("/signup", &no_type),
        ("/recover", &no_type),
        ("/resend", &no_type),
    ] {
        app.post(path, body.clone()).await.is(400, "validation_failed");
    }
    for body in [
        json!({ "type": "signup", "phone": NUMBER }),
        json!({ "type": "sms", "email": "a@example.com" }),
        json!({ "type": "carrier pigeon", "phone": NUMBER }),
    ] {
        app.post("/resend", body).await.is(400, "validation_failed");
    }
    let body = json!({ "email": "a@example.com", "channel": "sms" });
    app.post("/otp", body).await.is(400, "validation_failed");
    app.post("/verify", json!({ "type": "sms", "token_hash": "x" })).await.is(400, "validation_failed");
    app.verify_phone("signup", NUMBER, "123456").await.is(403, "otp_expired");
    app.verify("sms", "a@example.com", "123456").await.is(403, "otp_expired");
    assert!(app.messages().await.is_empty());
    assert_eq!(app.count("auth.users").await, 0);
}

/// What a client sees, but for ids and times.
fn shape(answer: Value) -> Value {
    let mut user = answer;
    let id = user["id"].take();
    assert_eq!(user["user_metadata"]["sub"], id);
    user["phone"] = Value::Null;
    user["user_metadata"]["sub"] = Value::Null;
    user["user_metadata"]["phone"] = Value::Null;
    user["identities"] = Value::Null;
    user
}

#[tokio::test]
async fn sign_up_with_a_known_number_looks_like_any_other_and_gives_its_owner_a_code() {
    let app = with_phones().await;
    let owner = app.phone_user(NUMBER).await;
    let known = app.sign_up_by_phone(NUMBER, "another password").await.ok();
    let free = app.sign_up_by_phone(OTHER, "another password").await.ok();
    assert_ne!(known["id"], owner.0["user"]["id"]);
    assert_eq!(app.sign_up_by_phone(NUMBER, PASSWORD).await.ok()["id"], known["id"]);
    assert_eq!(shape(known), shape(free));
    app.password_by_phone(NUMBER, "another password").await.is(400, "invalid_credentials");
    app.password_by_phone(NUMBER, PASSWORD).await.ok();
    let again = Person(app.verify_phone("sms", NUMBER, &app.code_to(STORED).await).await.ok());
    assert_eq!(again.id(), owner.id());
    app.password_by_phone(NUMBER, PASSWORD).await.ok();
}

#[tokio::test]
async fn password_of_a_stranger_does_not_survive_the_owners_confirmation() {
    let app = with_phones().await;
    let stranger = app.sign_up_by_phone(NUMBER, "of a stranger").await.ok();
    app.post("/otp", json!({ "phone": NUMBER })).await.ok();
    let owner = Person(app.verify_phone("sms", NUMBER, &app.code_to(STORED).await).await.ok());
    assert_eq!(stranger["id"], owner.id());
    app.password_by_phone(NUMBER, "of a stranger").await.is(400, "invalid_credentials");

    app.sign_up_by_phone(OTHER, PASSWORD).await.ok();
    // Longer than the code is valid: the owner types in whatever code comes last.
    app.pass(Duration::from_secs(61));
    let second = app.sign_up_by_phone(OTHER, "of a stranger").await.ok();
    let owner = Person(app.verify_phone("sms", OTHER, &app.code_to(OTHER).await).await.ok());
    assert_eq!(second["id"], owner.id());
    for password in ["of a stranger", PASSWORD] {
        app.password_by_phone(OTHER, password).await.is(400, "invalid_credentials");
    }
}

#[tokio::test]
async fn number_signed_up_again_with_its_password_keeps_it() {
    let app = with_phones().await;
    app.sign_up_by_phone(NUMBER, PASSWORD).await.ok();
    app.sign_up_by_phone(NUMBER, PASSWORD).await.ok();
    app.verify_phone("sms", NUMBER, &app.code_to(STORED).await).await.ok();
    app.password_by_phone(NUMBER, PASSWORD).await.ok();
}

#[tokio::test]
async fn wrong_passwords_lock_a_number_as_they_lock_an_address() {
    let app = with_phones().await;
    app.phone_user(NUMBER).await;
    for _ in 0..10 {
        app.password_by_phone(NUMBER, "wrong").await.is(400, "invalid_credentials");
    }
    for phone in [NUMBER, STORED] {
        app.password_by_phone(phone, PASSWORD).await.is(429, "over_request_rate_limit");
    }
    app.pass(Duration::from_secs(61));
    app.password_by_phone(NUMBER, PASSWORD).await.ok();
}
