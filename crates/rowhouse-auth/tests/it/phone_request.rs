//! Codes that somebody asks for by number: what they do, their bounds, and what they do not tell.

use std::time::Duration;

use rowhouse_auth::{AuthHookSettings, AuthSettings, SmsSettings};
use rowhouse_kernel::Secret;
use rowhouse_testkit::{LIMIT, until};
use serde_json::json;

use crate::app::{App, Person, settings};
use crate::log::Log;
use crate::phone::{NUMBER, OTHER, STORED, sms, with, with_phones, wrong};

async fn configured(sms: SmsSettings) -> App {
    with(sms, settings(), AuthHookSettings::default()).await
}

/// Waits for messages that are sent after the answer.
async fn until_sent(app: &App, count: usize) {
    let is_sent = async || app.messages().await.len() >= count;
    until(format!("{count} messages"), LIMIT, is_sent).await;
}

/// The codes that are stored.
async fn stored(app: &App) -> Option<String> {
    let sql = "select string_agg(token_hash, ' ') from auth.one_time_tokens";
    app.sql().await.query_one(sql, &[]).await.unwrap().get(0)
}

/// Waits for a code: it is stored after its message.
async fn until_stored(app: &App, former: Option<String>) {
    until("the code is stored", LIMIT, async || stored(app).await != former).await;
}

#[tokio::test]
async fn code_makes_an_account_and_signs_in_again() {
    let app = with_phones().await;
    let answer = app.post("/otp", json!({ "phone": NUMBER, "data": { "name": "Ann" } })).await.ok();
    assert!(answer["message_id"].is_string());
    let code = app.code_to(STORED).await;
    let person = Person(app.verify_phone("sms", NUMBER, &code).await.ok());
    assert_eq!(person.0["user"]["user_metadata"]["name"], "Ann");
    app.password_by_phone(NUMBER, "").await.is(400, "invalid_credentials");

    let answer = app.post("/otp", json!({ "phone": NUMBER })).await.ok();
    assert!(answer["message_id"].is_string(), "as for a number without an account");
    let again = Person(app.verify_phone("sms", NUMBER, &app.code_to(STORED).await).await.ok());
    assert_eq!(again.id(), person.id());
}

#[tokio::test]
async fn where_unknown_numbers_get_nothing_the_answer_comes_before_the_lookup() {
    let app = with_phones().await;
    app.phone_user(NUMBER).await;
    for (phone, messages) in [(OTHER, 1), (NUMBER, 2)] {
        let answer = app.post("/otp", json!({ "phone": phone, "create_user": false })).await;
        assert_eq!(answer.ok(), json!({}), "{phone}");
        until_sent(&app, messages).await;
    }
    until_stored(&app, None).await;
    let known = Person(app.verify_phone("sms", NUMBER, &app.code_to(STORED).await).await.ok());
    assert_eq!(known.0["user"]["phone"], STORED);
    assert_eq!((app.count("auth.users").await, app.messages().await.len()), (1, 2));

    let closed = AuthSettings { disable_signup: true, ..settings() };
    let app = with(sms(), closed, AuthHookSettings::default()).await;
    assert_eq!(app.post("/otp", json!({ "phone": NUMBER })).await.ok(), json!({}));
    app.sign_up_by_phone(NUMBER, "correct horse").await.is(422, "signup_disabled");
    assert_eq!(app.count("auth.users").await, 0);

    let closed = AuthSettings { disable_signup: true, ..settings() };
    let known = SmsSettings { autoconfirm: true, ..sms() };
    let app = with(known, closed, AuthHookSettings::default()).await;
    app.post("/otp", json!({ "phone": NUMBER })).await.is(422, "signup_disabled");
}

#[tokio::test]
async fn hook_that_refuses_users_does_not_tell_that_a_number_is_unknown() {
    let app = with_phones().await;
    app.phone_user(NUMBER).await;
    let refuse = "create function public.refuse(event jsonb) returns jsonb language sql security definer \
        set search_path = public as \
        $$ select '{\"error\": {\"http_code\": 403, \"message\": \"no\"}}'::jsonb $$";
    app.db.migrate(refuse).await;
    let hooks = AuthHookSettings {
        before_user_created: Some("pg-functions://postgres/public/refuse".to_owned()),
        ..AuthHookSettings::default()
    };
    let app = App::with_setup(app.db.clone(), settings(), |setup| {
        setup.settings.put(sms());
        setup.settings.put(hooks);
    })
    .await;
    for phone in [OTHER, NUMBER] {
        assert_eq!(app.post("/otp", json!({ "phone": phone })).await.ok(), json!({}));
    }
    until_sent(&app, 2).await;
    assert_eq!(app.count("auth.users").await, 1);
}

#[tokio::test]
async fn code_is_sent_again_only_to_a_number_that_waits_for_it() {
    let app = with_phones().await;
    app.phone_user(NUMBER).await;
    app.sign_up_by_phone(OTHER, "correct horse").await.ok();
    let (first, former) = (app.code_to(OTHER).await, stored(&app).await);
    for phone in ["19999999999", NUMBER, OTHER] {
        let answer = app.post("/resend", json!({ "type": "sms", "phone": phone })).await;
        assert_eq!(answer.ok(), json!({}), "{phone}");
    }
    until_sent(&app, 3).await;
    let numbers: Vec<String> = app.messages().await.into_iter().map(|(to, _)| to).collect();
    assert_eq!(numbers, [STORED, OTHER, OTHER]);
    until_stored(&app, former).await;
    let second = app.code_to(OTHER).await;
    if first != second {
        app.verify_phone("sms", OTHER, &first).await.is(403, "otp_expired");
    }
    app.verify_phone("sms", OTHER, &second).await.ok();
    app.password_by_phone(OTHER, "correct horse").await.ok();
}

#[tokio::test]
async fn code_ends_by_time_and_by_wrong_guesses() {
    let app = with_phones().await;
    let code = async || {
        app.post("/otp", json!({ "phone": NUMBER })).await.ok();
        app.code_to(STORED).await
    };
    let old = code().await;
    app.pass(Duration::from_secs(60));
    app.verify_phone("sms", NUMBER, &old).await.is(403, "otp_expired");
    let guessed = code().await;
    for _ in 0..10 {
        app.verify_phone("sms", NUMBER, &wrong(&guessed)).await.is(403, "otp_expired");
    }
    app.verify_phone("sms", NUMBER, &guessed).await.is(403, "otp_expired");
    let good = code().await;
    app.post("/otp", json!({ "phone": OTHER })).await.ok();
    app.verify_phone("sms", OTHER, &wrong(&app.code_to(OTHER).await)).await.is(403, "otp_expired");
    app.verify_phone("phone_change", NUMBER, &good).await.is(403, "otp_expired");
    app.verify_phone("sms", NUMBER, &good).await.ok();
}

#[tokio::test]
async fn banned_user_gets_no_session() {
    let app = with_phones().await;
    let person = app.phone_user(NUMBER).await;
    let path = format!("/admin/users/{}", person.id());
    app.put_as(&path, &app.service_key, json!({ "ban_duration": "24h" })).await.ok();
    app.post("/otp", json!({ "phone": NUMBER })).await.ok();
    app.verify_phone("sms", NUMBER, &app.code_to(STORED).await).await.is(403, "user_banned");
    app.password_by_phone(NUMBER, "correct horse").await.is(400, "user_banned");
}

#[tokio::test]
async fn messages_are_limited_alike_for_known_and_unknown_numbers() {
    let gap = Duration::from_secs(60);
    let app = configured(SmsSettings { max_frequency: gap, ..sms() }).await;
    app.phone_user(NUMBER).await;
    app.pass(gap);
    for phone in [NUMBER, OTHER] {
        for create_user in [true, false] {
            app.pass(gap);
            let body = json!({ "phone": phone, "create_user": create_user });
            app.post("/otp", body.clone()).await.ok();
            let refused = app.post("/otp", body).await;
            refused.is(429, "over_sms_send_rate_limit");
            assert_eq!(refused.headers["retry-after"], "60");
            let message = "For security purposes, you can only request this after 60 seconds.";
            assert_eq!(refused.body["message"], message);
        }
        app.sign_up_by_phone(phone, "correct horse").await.is(429, "over_sms_send_rate_limit");
        let resend = json!({ "type": "sms", "phone": phone });
        app.post("/resend", resend).await.is(429, "over_sms_send_rate_limit");
    }
}

#[tokio::test]
async fn messages_are_limited_per_number_per_network_and_altogether() {
    let ask = async |app: &App, n: u8| app.post("/otp", json!({ "phone": format!("4366455500{n}") })).await;
    let app = configured(SmsSettings { number_rate_per_hour: 2, ..sms() }).await;
    for network in 1..=2 {
        app.come_from(network);
        ask(&app, 1).await.ok();
    }
    app.come_from(3);
    ask(&app, 1).await.is(429, "over_sms_send_rate_limit");
    ask(&app, 2).await.ok();

    let app = configured(SmsSettings { address_rate_per_hour: 2, ..sms() }).await;
    ask(&app, 1).await.ok();
    ask(&app, 2).await.ok();
    ask(&app, 3).await.is(429, "over_sms_send_rate_limit");
    app.come_from(2);
    ask(&app, 3).await.ok();

    let app = configured(SmsSettings { total_rate_per_hour: 2, ..sms() }).await;
    for n in 1..=2 {
        app.come_from(n);
        ask(&app, n).await.ok();
    }
    app.come_from(3);
    ask(&app, 3).await.is(429, "over_sms_send_rate_limit");
    app.pass(Duration::from_secs(1800));
    ask(&app, 3).await.ok();
}

/// The counter of messages beyond the total limit, of all tests of this process.
fn dropped() -> u64 {
    let shown = rowhouse_http::Metrics::install().unwrap().render();
    let counter = "rowhouse_auth_messages_total{outcome=\"limited\"} ";
    shown.lines().find_map(|line| line.strip_prefix(counter)).map_or(0, |count| count.parse().unwrap())
}

#[tokio::test]
async fn messages_that_are_dropped_after_the_answer_are_counted_and_logged_once_a_minute() {
    let log = Log::capture();
    let app = configured(SmsSettings { total_rate_per_hour: 1, ..sms() }).await;
    app.phone_user(NUMBER).await;
    let ask = async || {
        let before = dropped();
        for _ in 0..3 {
            app.post("/otp", json!({ "phone": NUMBER, "create_user": false })).await.ok();
        }
        until("three messages are dropped", LIMIT, async || dropped() >= before + 3).await;
        log.lines_with("auth_sms.total_rate_per_hour").len()
    };
    assert_eq!(app.post("/otp", json!({ "phone": NUMBER })).await.status, 429, "the total is used up");
    assert_eq!(ask().await, 1);
    app.pass(Duration::from_secs(61));
    assert_eq!(ask().await, 2);
    assert!(log.lines_with(STORED).is_empty(), "numbers are not logged");
}

#[tokio::test]
async fn number_with_a_code_of_its_own_gets_no_message_and_only_while_that_is_valid() {
    let until = "2027-01-15T09:00:00Z";
    let fixed = SmsSettings {
        test_otp: Some(Secret::new(format!("{STORED}=424242"))),
        test_otp_valid_until: Some(until.to_owned()),
        ..sms()
    };
    let app = configured(fixed).await;
    app.verify_phone("sms", NUMBER, "424242").await.is(403, "otp_expired");
    let answer = app.post("/otp", json!({ "phone": NUMBER })).await.ok();
    assert_eq!(answer, json!({ "message_id": "test-otp" }));
    app.verify_phone("sms", NUMBER, "424242").await.ok();
    app.verify_phone("sms", NUMBER, "424242").await.is(403, "otp_expired");
    assert!(app.messages().await.is_empty());
    app.post("/otp", json!({ "phone": OTHER })).await.ok();
    assert_eq!(app.messages().await.len(), 1);
    app.pass(Duration::from_secs(3600));
    app.post("/otp", json!({ "phone": NUMBER })).await.ok();
    let code = app.code_to(STORED).await;
    if code != "424242" {
        app.verify_phone("sms", NUMBER, "424242").await.is(403, "otp_expired");
    }
    app.verify_phone("sms", NUMBER, &code).await.ok();
}
