//! Who delivers messages: Twilio, a webhook, the project's hook, the sink; and what is left when they do not.

use std::time::Duration;

use rowhouse_auth::{AuthHookSettings, SmsProvider, SmsSettings};
use rowhouse_kernel::Secret;
use rowhouse_testkit::{Receiver, SILENCE};
use serde_json::{Value, json};

use crate::app::{App, PASSWORD, settings};
use crate::phone::{NUMBER, OTHER, STORED, sms, with, with_phones};

fn answer(status: u16, body: &Value) -> String {
    let body = body.to_string();
    let length = body.len();
    format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
}

fn twilio(port: u16) -> SmsSettings {
    SmsSettings {
        provider: SmsProvider::Twilio,
        twilio_account_sid: Some("AC1".to_owned()),
        twilio_auth_token: Some(Secret::new("token")),
        twilio_sender: Some("MG1".to_owned()),
        twilio_url: format!("http://127.0.0.1:{port}"),
        timeout: Duration::from_millis(500),
        ..sms()
    }
}

fn webhook(port: u16) -> SmsSettings {
    SmsSettings {
        provider: SmsProvider::Webhook,
        webhook_url: Some(format!("http://127.0.0.1:{port}/sms")),
        webhook_secret: Some(Secret::new("a secret of the project's messages")),
        timeout: Duration::from_millis(500),
        ..sms()
    }
}

async fn configured(sms: SmsSettings) -> App {
    with(sms, settings(), AuthHookSettings::default()).await
}

/// Nothing of a request is left.
async fn is_untouched(app: &App) {
    for table in ["auth.users", "auth.identities", "auth.one_time_tokens", "audit.entries"] {
        let sql = match table {
            "audit.entries" => "audit.entries where target_kind = 'user'",
            table => table,
        };
        assert_eq!(app.count(sql).await, 0, "{table}");
    }
}

#[tokio::test]
async fn twilio_is_sent_the_message_by_either_channel() {
    let sent = answer(201, &json!({ "sid": "SM1", "status": "queued" }));
    let mut receiver = Receiver::start(&[&sent]).await;
    let app = configured(twilio(receiver.port)).await;
    let shown = app.post("/otp", json!({ "phone": NUMBER })).await.ok();
    assert_eq!(shown, json!({ "message_id": "SM1" }));
    let request = receiver.next().await;
    assert!(
        request.head.starts_with("POST /2010-04-01/Accounts/AC1/Messages.json HTTP/1.1"),
        "{}",
        request.head
    );
    assert_eq!(request.header("authorization"), "Basic QUMxOnRva2Vu");
    let form: Vec<(String, String)> =
        url::form_urlencoded::parse(request.body.as_bytes()).into_owned().collect();
    let text = &form[2].1;
    assert_eq!(form[0], ("To".to_owned(), format!("+{STORED}")));
    assert_eq!(form[1], ("From".to_owned(), "MG1".to_owned()));
    let code = text.strip_prefix("Your code is ").unwrap();
    app.verify_phone("sms", NUMBER, code).await.ok();

    app.post("/otp", json!({ "phone": NUMBER, "channel": "whatsapp" })).await.ok();
    let request = receiver.next().await;
    assert!(request.body.starts_with("To=whatsapp%3A%2B491701234567&From=MG1&Body="), "{}", request.body);
    app.post("/otp", json!({ "phone": NUMBER, "channel": "pigeon" })).await.is(400, "validation_failed");
    let settings = app.send(http::Method::GET, "/settings", None, "").await.ok();
    assert_eq!(settings["sms_provider"], "twilio");
}

#[tokio::test]
async fn restored_copy_sends_nothing_until_it_is_activated() {
    let sent = answer(201, &json!({ "sid": "SM1", "status": "queued" }));
    let receiver = Receiver::start(&[&sent]).await;
    let app = configured(twilio(receiver.port)).await;
    app.sql().await.batch_execute("update rowhouse.backup_state set copy_of = 'b1'").await.unwrap();
    let refused = app.sign_up_by_phone(NUMBER, PASSWORD).await;
    refused.is(503, "unexpected_failure");
    assert!(
        refused.body["message"].as_str().unwrap().contains("rowhouse backup activate"),
        "{}",
        refused.body
    );
    is_untouched(&app).await;
    app.sql().await.batch_execute("update rowhouse.backup_state set copy_of = null").await.unwrap();
    app.sign_up_by_phone(NUMBER, PASSWORD).await.ok();
}

#[tokio::test]
async fn message_that_cannot_be_sent_leaves_nothing_and_the_next_try_works() {
    let refused = answer(400, &json!({ "code": 21211, "message": "'To' number +491701234567" }));
    let failed = answer(201, &json!({ "sid": "SM1", "status": "failed", "error_code": 30007 }));
    let good = answer(201, &json!({ "sid": "SM2", "status": "queued" }));
    let receiver = Receiver::start(&[&refused, &failed, SILENCE, &good]).await;
    let app = configured(twilio(receiver.port)).await;
    for _ in 0..3 {
        let answer = app.sign_up_by_phone(NUMBER, PASSWORD).await;
        answer.is(422, "sms_send_failed");
        assert_eq!(answer.body["message"], "Error sending confirmation OTP to provider");
        is_untouched(&app).await;
    }
    app.sign_up_by_phone(NUMBER, PASSWORD).await.ok();
    assert_eq!((app.count("auth.users").await, app.count("auth.one_time_tokens").await), (1, 1));
}

#[tokio::test]
async fn failure_changes_nothing_of_an_account_either() {
    let good = answer(201, &json!({ "sid": "SM1", "status": "queued" }));
    let refused = answer(500, &json!({}));
    let mut receiver = Receiver::start(&[&good, &refused]).await;
    let app = configured(twilio(receiver.port)).await;
    let person = app.sign_up("a@example.com").await;
    let change = async |phone: &str| {
        app.put_as("/user", person.token(), json!({ "phone": phone, "data": { "n": 1 } })).await
    };
    change(NUMBER).await.ok();
    let code = receiver.next().await.body.rsplit('+').next().unwrap().to_owned();
    let before = app.get("/user", person.token()).await.ok();
    change(OTHER).await.is(422, "sms_send_failed");
    assert_eq!(app.get("/user", person.token()).await.ok(), before);
    let factor = json!({ "factor_type": "phone", "phone": OTHER, "friendly_name": "x" });
    let factor = app.post_as("/factors", person.token(), factor).await.ok();
    let path = format!("/factors/{}/challenge", factor["id"].as_str().unwrap());
    app.post_as(&path, person.token(), json!({})).await.is(422, "sms_send_failed");
    assert_eq!(app.count("auth.mfa_challenges").await, 0);
    app.verify_phone("phone_change", NUMBER, &code).await.ok();
    app.sql().await.execute("update auth.users set email = null", &[]).await.unwrap();
    app.get("/reauthenticate", person.token()).await.is(422, "sms_send_failed");
    assert_eq!(app.count("auth.one_time_tokens").await, 0);
}

#[tokio::test]
async fn failure_does_not_tell_which_numbers_are_known() {
    let good = answer(201, &json!({ "sid": "SM1", "status": "queued" }));
    let refused = answer(500, &json!({}));
    let mut receiver = Receiver::start(&[&good, &refused]).await;
    let app = configured(twilio(receiver.port)).await;
    app.sign_up_by_phone(NUMBER, PASSWORD).await.ok();
    receiver.next().await;
    for phone in [OTHER, NUMBER] {
        let quiet = app.post("/otp", json!({ "phone": phone, "create_user": false })).await;
        assert_eq!(quiet.ok(), json!({}), "{phone}");
        app.post("/resend", json!({ "type": "sms", "phone": phone })).await.ok();
        app.post("/otp", json!({ "phone": phone })).await.is(422, "sms_send_failed");
        app.sign_up_by_phone(phone, PASSWORD).await.is(422, "sms_send_failed");
    }
}

#[tokio::test]
async fn webhook_is_sent_a_signed_message_once() {
    let good = answer(200, &json!({ "message_id": "m-1" }));
    let mut receiver = Receiver::start(&[&good, &answer(500, &json!({}))]).await;
    let app = configured(webhook(receiver.port)).await;
    assert_eq!(app.post("/otp", json!({ "phone": NUMBER })).await.ok(), json!({ "message_id": "m-1" }));
    let request = receiver.next().await;
    assert!(request.header("webhook-signature").starts_with("v1,"));
    assert_eq!(request.header("webhook-timestamp"), app.now().to_string());
    let body: Value = serde_json::from_str(&request.body).unwrap();
    let code = body["otp"].as_str().unwrap();
    let wanted =
        json!({ "phone": STORED, "channel": "sms", "text": format!("Your code is {code}"), "otp": code });
    assert_eq!(body, wanted);
    app.verify_phone("sms", NUMBER, code).await.ok();
    app.post("/otp", json!({ "phone": OTHER })).await.is(422, "sms_send_failed");
    assert_eq!(app.count("auth.users").await, 1);
    app.post("/otp", json!({ "phone": OTHER, "channel": "whatsapp" })).await.is(400, "validation_failed");
}

#[tokio::test]
async fn hook_takes_the_place_of_the_provider_and_its_refusal_leaves_nothing() {
    let hooks = AuthHookSettings {
        send_sms: Some("pg-functions://postgres/public/send_sms".to_owned()),
        ..AuthHookSettings::default()
    };
    let app = with(sms(), settings(), hooks).await;
    app.db
        .migrate(
            "create table public.seen (event jsonb);
             create function public.send_sms(event jsonb) returns jsonb language plpgsql as $$ begin
               if event -> 'sms' ->> 'phone' = '43664555123' then
                 return '{\"error\": {\"http_code\": 429, \"message\": \"not there\"}}';
               end if;
               insert into public.seen values (event); return '{}'; end $$;",
        )
        .await;
    app.sql().await.query_one("select auth.confine_hook('\"public\".\"send_sms\"')", &[]).await.unwrap();
    let refused = app.sign_up_by_phone(OTHER, PASSWORD).await;
    assert_eq!((refused.status.as_u16(), &refused.body["message"]), (429, &json!("not there")));
    is_untouched(&app).await;

    let user = app
        .post("/signup", json!({ "phone": NUMBER, "password": PASSWORD, "channel": "whatsapp" }))
        .await
        .ok();
    let seen = async || -> Value {
        let sql = "select event from public.seen order by event -> 'metadata' ->> 'uuid' desc limit 1";
        app.sql().await.query_one(sql, &[]).await.unwrap().get(0)
    };
    let event = seen().await;
    assert_eq!((&event["sms"]["phone"], &event["user"]["phone"]), (&json!(STORED), &json!(STORED)));
    assert_eq!((&event["user"]["id"], &event["metadata"]["name"]), (&user["id"], &json!("send-sms")));
    assert!(event["sms"].get("sms_type").is_none());
    let verified = app.verify_phone("sms", NUMBER, event["sms"]["otp"].as_str().unwrap()).await.ok();
    let token = verified["access_token"].as_str().unwrap();
    let factor = json!({ "factor_type": "phone", "phone": NUMBER, "friendly_name": "x" });
    let factor = app.post_as("/factors", token, factor).await.ok();
    app.pass(Duration::from_secs(1));
    app.post_as(&format!("/factors/{}/challenge", factor["id"].as_str().unwrap()), token, json!({}))
        .await
        .ok();
    assert_eq!(seen().await["sms"]["sms_type"], "mfa");
    assert!(app.messages().await.is_empty());
}

#[tokio::test]
async fn codes_are_neither_in_the_log_nor_in_plain_in_the_tables() {
    let app = with_phones().await;
    app.sign_up_by_phone(NUMBER, PASSWORD).await.ok();
    let code = app.code_to(STORED).await;
    let entries = "select coalesce(string_agg(e::text, ' '), '') from audit.entries e";
    let stored =
        "select string_agg(t.code_hash || t.token_hash || t.relates_to, ' ') from auth.one_time_tokens t";
    for sql in [entries, stored] {
        let text: String = app.sql().await.query_one(sql, &[]).await.unwrap().get(0);
        assert!(!text.contains(&code), "{text}");
    }
    app.verify_phone("sms", NUMBER, &code).await.ok();
    let actions =
        "select string_agg(action, ' ' order by action) from audit.entries where target_kind = 'user'";
    let actions: String = app.sql().await.query_one(actions, &[]).await.unwrap().get(0);
    assert_eq!(actions, "login user_confirmation_requested user_confirmed user_signedup");
    let named =
        "select count(*) from audit.entries where details -> 'traits' ->> 'user_phone' = '491701234567'";
    assert!(app.sql().await.query_one(named, &[]).await.unwrap().get::<_, i64>(0) >= 3);
}

#[tokio::test]
async fn sink_keeps_the_latest_hundred_messages() {
    let app = with_phones().await;
    app.sql()
        .await
        .batch_execute(
            "insert into auth.captured_messages (phone, channel, body, sent_at) select '1', 'sms', n::text,
               '2020-01-01'::timestamptz + n * interval '1 s' from generate_series(1, 150) n",
        )
        .await
        .unwrap();
    app.post("/otp", json!({ "phone": NUMBER })).await.ok();
    assert_eq!(app.count("auth.captured_messages").await, 100);
    assert_eq!(app.count("auth.captured_messages where body::text = '1'").await, 0);
    app.code_to(STORED).await;
}
