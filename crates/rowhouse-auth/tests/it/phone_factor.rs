//! Second factors of the kind `phone`.

use std::time::Duration;

use rowhouse_auth::{AuthHookSettings, MfaSettings, SmsSettings};
use serde_json::{Value, json};

use crate::app::{Answer, App, Person, mfa_settings, settings};
use crate::phone::{NUMBER, OTHER, STORED, sms, with, with_phones, wrong};

struct Handset {
    id: String,
}

impl Handset {
    async fn enroll(app: &App, person: &Person, phone: &str) -> Self {
        let factor = enroll(app, person, phone, "handset").await.ok();
        Self { id: factor["id"].as_str().unwrap().to_owned() }
    }

    async fn challenge(&self, app: &App, person: &Person) -> Answer {
        app.post_as(&format!("/factors/{}/challenge", self.id), person.token(), json!({ "channel": "sms" }))
            .await
    }

    async fn answer(&self, app: &App, person: &Person, challenge: &Value, code: &str) -> Answer {
        let body = json!({ "challenge_id": challenge["id"], "code": code });
        app.post_as(&format!("/factors/{}/verify", self.id), person.token(), body).await
    }
}

async fn enroll(app: &App, person: &Person, phone: &str, name: &str) -> Answer {
    let body = json!({ "factor_type": "phone", "phone": phone, "friendly_name": name });
    app.post_as("/factors", person.token(), body).await
}

#[tokio::test]
async fn number_is_enrolled_raises_the_session_and_is_removed() {
    let app = with_phones().await;
    let person = app.sign_up("a@example.com").await;
    let factor = enroll(&app, &person, NUMBER, "handset").await.ok();
    assert_eq!((&factor["type"], &factor["phone"]), (&json!("phone"), &json!(NUMBER)));
    let handset = Handset { id: factor["id"].as_str().unwrap().to_owned() };
    assert!(app.messages().await.is_empty());
    let challenge = handset.challenge(&app, &person).await.ok();
    assert_eq!((&challenge["type"], &challenge["expires_at"]), (&json!("phone"), &json!(app.now() + 300)));
    let code = app.code_to(STORED).await;
    let refused = handset.answer(&app, &person, &challenge, &wrong(&code)).await;
    refused.is(422, "mfa_verification_failed");
    assert_eq!(refused.body["message"], "Invalid MFA Phone code entered");
    app.pass(Duration::from_secs(1));
    let raised = Person(handset.answer(&app, &person, &challenge, &code).await.ok());
    let claims = raised.claims(&app);
    assert_eq!((&claims["aal"], &claims["amr"][0]["method"]), (&json!("aal2"), &json!("mfa/phone")));
    handset.answer(&app, &raised, &challenge, &code).await.is(422, "mfa_ip_address_mismatch");
    let factors = app.get("/user", raised.token()).await.ok()["factors"].clone();
    assert_eq!((&factors[0]["phone"], &factors[0]["status"]), (&json!(STORED), &json!("verified")));

    enroll(&app, &raised, STORED, "second").await.is(422, "mfa_verified_factor_exists");
    let low = app.sign_in("a@example.com").await;
    let path = format!("/factors/{}", handset.id);
    app.delete_as(&path, low.token()).await.is(422, "insufficient_aal");
    app.delete_as(&path, raised.token()).await.ok();
    handset.challenge(&app, &raised).await.is(404, "mfa_factor_not_found");
}

#[tokio::test]
async fn strangers_who_use_up_all_messages_keep_nobody_from_a_second_factor() {
    let few = SmsSettings { total_rate_per_hour: 2, ..sms() };
    let app = with(few, settings(), AuthHookSettings::default()).await;
    let person = app.sign_up("a@example.com").await;
    let handset = Handset::enroll(&app, &person, NUMBER).await;
    // What sends nothing does not count.
    for n in 0..3 {
        let phone = format!("4366455500{n}");
        app.post("/otp", json!({ "phone": phone, "create_user": false })).await.ok();
        app.post("/resend", json!({ "type": "sms", "phone": phone })).await.ok();
    }
    for n in 3..5 {
        app.post("/otp", json!({ "phone": format!("4366455500{n}") })).await.ok();
    }
    app.post("/otp", json!({ "phone": OTHER })).await.is(429, "over_sms_send_rate_limit");
    for _ in 0..2 {
        handset.challenge(&app, &person).await.ok();
    }
    handset.challenge(&app, &person).await.is(429, "over_sms_send_rate_limit");
}

#[tokio::test]
async fn code_is_of_one_challenge_ends_and_is_guessed_in_vain() {
    let app = with_phones().await;
    let person = app.sign_up("a@example.com").await;
    let handset = Handset::enroll(&app, &person, NUMBER).await;
    let first = handset.challenge(&app, &person).await.ok();
    let code = app.code_to(STORED).await;
    let second = handset.challenge(&app, &person).await.ok();
    if app.code_to(STORED).await != code {
        handset.answer(&app, &person, &second, &code).await.is(422, "mfa_verification_failed");
    }
    app.pass(Duration::from_secs(300));
    handset.answer(&app, &person, &first, &code).await.is(422, "mfa_challenge_expired");
    let third = handset.challenge(&app, &person).await.ok();
    let code = app.code_to(STORED).await;
    app.come_from(2);
    handset.answer(&app, &person, &third, &code).await.is(422, "mfa_ip_address_mismatch");
    app.come_from(1);
    for _ in 0..5 {
        handset.answer(&app, &person, &third, &wrong(&code)).await;
    }
    handset.answer(&app, &person, &third, &code).await.is(429, "over_request_rate_limit");
    app.pass(Duration::from_secs(61));
    handset.answer(&app, &person, &third, &code).await.ok();
}

#[tokio::test]
async fn number_is_needed_and_an_unfinished_one_gives_way() {
    let app = with_phones().await;
    let person = app.sign_up("a@example.com").await;
    for phone in ["", "0170"] {
        enroll(&app, &person, phone, "handset").await.is(400, "validation_failed");
    }
    let first = Handset::enroll(&app, &person, NUMBER).await;
    let second = Handset::enroll(&app, &person, NUMBER).await;
    assert_ne!(first.id, second.id);
    first.challenge(&app, &person).await.is(404, "mfa_factor_not_found");
    enroll(&app, &person, OTHER, "handset").await.is(422, "mfa_factor_name_conflict");
    let path = format!("/factors/{}/challenge", second.id);
    let body = json!({ "channel": "whatsapp" });
    app.post_as(&path, person.token(), body).await.is(400, "validation_failed");
    app.send(http::Method::POST, &path, Some(person.token()), "").await.ok();
}

#[tokio::test]
async fn factor_is_not_used_where_the_kind_is_switched_off() {
    let app = with_phones().await;
    let person = app.sign_up("a@example.com").await;
    let handset = Handset::enroll(&app, &person, NUMBER).await;
    let app = App::with_setup(app.db.clone(), settings(), |setup| {
        setup.settings.put(sms());
        setup.settings.put(MfaSettings { mfa_phone_enabled: false, ..mfa_settings() });
    })
    .await;
    let person = app.sign_in("a@example.com").await;
    handset.challenge(&app, &person).await.is(422, "mfa_phone_verify_not_enabled");
    let refused = handset.answer(&app, &person, &json!({ "id": handset.id }), "123456").await;
    refused.is(422, "mfa_phone_verify_not_enabled");
    enroll(&app, &person, OTHER, "other").await.is(422, "mfa_phone_enroll_not_enabled");
}

#[tokio::test]
async fn changes_reauthentication_and_challenges_by_message_are_limited() {
    let gap = Duration::from_secs(60);
    let slow = SmsSettings { max_frequency: gap, ..sms() };
    let app = with(slow, settings(), AuthHookSettings::default()).await;
    let person = app.phone_user(NUMBER).await;
    let handset = Handset::enroll(&app, &person, NUMBER).await;
    let change = async || app.put_as("/user", person.token(), json!({ "phone": OTHER })).await;
    let reauthenticate = async || app.get("/reauthenticate", person.token()).await;
    for _ in 0..2 {
        handset.challenge(&app, &person).await.ok();
        change().await.ok();
        reauthenticate().await.ok();
        for refused in [handset.challenge(&app, &person).await, change().await, reauthenticate().await] {
            refused.is(429, "over_sms_send_rate_limit");
            assert_eq!(refused.headers["retry-after"], "60");
        }
        app.pass(gap);
    }
    assert_eq!(app.messages().await.len(), 7);
}
