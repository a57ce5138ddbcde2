//! Refusals that the tests of the topics do not meet, by endpoint. docs/auth-tests.md lists all of them.

use std::time::Duration;

use axum::Router;
use axum::routing::post;
use reqwest::Method;
use rowhouse_auth::{AuthHookSettings, AuthSettings};
use rowhouse_kernel::Secret;
use rowhouse_testkit::TestDatabase;
use serde_json::{Value, json};

use crate::app::{App, PASSWORD, Person, settings};
use crate::confirmation::strict;

const NOBODY: &str = "00000000-0000-4000-8000-000000000000";

#[tokio::test]
async fn ways_to_sign_in_that_are_not_there_are_named() {
    let app = App::start().await;
    let web3 = json!({ "chain": "solana", "message": "x", "signature": "y" });
    app.post("/token?grant_type=web3", web3).await.is(422, "web3_provider_disabled");
    app.post("/sso", json!({ "domain": "example.com" })).await.is(404, "saml_provider_disabled");
}

#[tokio::test]
async fn code_is_exchanged_in_time_and_with_its_verifier() {
    let app = App::with(strict()).await;
    let verifier = "v".repeat(43);
    let body = json!({ "email": "a@example.com", "password": PASSWORD, "code_challenge": verifier,
        "code_challenge_method": "plain" });
    app.post("/signup", body).await.ok();
    let exchange = async |code: &str, verifier: &str| {
        let body = json!({ "auth_code": code, "code_verifier": verifier });
        app.post("/token?grant_type=pkce", body).await
    };
    exchange("", &verifier).await.is(400, "validation_failed");
    exchange(NOBODY, "").await.is(400, "validation_failed");
    exchange(NOBODY, &verifier).await.is(404, "flow_state_not_found");
    let opened = app.open(Method::GET, &app.mail_to("a@example.com").await.link()).await;
    let code = opened.query("code").unwrap();
    let ban = "update auth.users set banned_until = '2200-01-01'";
    app.sql().await.batch_execute(ban).await.unwrap();
    exchange(&code, &verifier).await.is(400, "user_banned");
    app.pass(Duration::from_secs(24 * 3600));
    exchange(&code, &verifier).await.is(422, "flow_state_expired");
}

#[tokio::test]
async fn addresses_of_other_domains_are_refused_wherever_they_are_chosen() {
    let domains = vec!["example.com".to_owned()];
    let app = App::with(AuthSettings { allowed_email_domains: domains, ..settings() }).await;
    let person = app.sign_up("a@example.com").await;
    let other = json!({ "email": "a@else.example", "password": PASSWORD });
    app.post("/signup", other.clone()).await.is(400, "email_address_not_authorized");
    app.post("/otp", other.clone()).await.is(400, "email_address_not_authorized");
    app.post("/magiclink", other).await.is(400, "email_address_not_authorized");
    let change = json!({ "email": "a@else.example" });
    app.put_as("/user", person.token(), change).await.is(400, "email_address_not_authorized");
}

#[tokio::test]
async fn long_answer_of_a_hook_is_refused() {
    let router = Router::new().route("/hook", post(async || "x".repeat(300_000)));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let server = tokio::spawn(async { axum::serve(listener, router).await });
    let hooks = AuthHookSettings {
        before_user_created: Some(url),
        secret: Some(Secret::new("a secret of the project's hooks, 32+")),
        ..AuthHookSettings::default()
    };
    let app = App::hooked(TestDatabase::create().await, settings(), hooks).await;
    let body = json!({ "email": "a@example.com", "password": PASSWORD });
    app.post("/signup", body).await.is(422, "hook_payload_over_size_limit");
    server.abort();
}

#[tokio::test]
async fn letters_have_their_gap_whatever_asks_for_them() {
    let gap = Duration::from_mins(1);
    let app = App::with(AuthSettings { mailer_max_frequency: gap, ..strict() }).await;
    app.post("/signup", json!({ "email": "a@example.com", "password": PASSWORD })).await.ok();
    let signup = json!({ "type": "signup", "email": "a@example.com" });
    app.post("/resend", signup).await.is(429, "over_email_send_rate_limit");
    app.post("/signup", json!({ "email": "a@example.com", "password": PASSWORD }))
        .await
        .is(429, "over_email_send_rate_limit");
    // Asking for a link drops the password of an address that waits for its confirmation.
    app.sql().await.batch_execute("update auth.users set email_confirmed_at = now()").await.unwrap();
    for path in ["/otp", "/magiclink"] {
        app.pass(gap);
        app.post(path, json!({ "email": "a@example.com" })).await.ok();
        app.post(path, json!({ "email": "a@example.com" })).await.is(429, "over_email_send_rate_limit");
    }
    let person = app.sign_in("a@example.com").await;
    app.get("/reauthenticate", person.token()).await.ok();
    app.get("/reauthenticate", person.token()).await.is(429, "over_email_send_rate_limit");
}

#[tokio::test]
async fn requests_for_letters_and_their_codes_are_limited_by_address() {
    let app = App::with(AuthSettings { signin_rate_per_5min: 3, ..settings() }).await;
    let person = app.sign_up("a@example.com").await;
    let paths = ["/otp", "/magiclink", "/recover", "/resend", "/verify", "/signup"];
    for (n, path) in paths.iter().enumerate() {
        app.come_from(10 + u8::try_from(n).unwrap());
        let body = match *path {
            "/verify" => json!({ "type": "email", "email": "a@example.com", "token": "000000" }),
            _ => json!({}),
        };
        for _ in 0..3 {
            app.post(path, body.clone()).await;
        }
        app.post(path, body).await.is(429, "over_request_rate_limit");
    }
    app.come_from(30);
    for _ in 0..3 {
        app.get("/reauthenticate", person.token()).await;
    }
    app.get("/reauthenticate", person.token()).await.is(429, "over_request_rate_limit");
    app.send(Method::GET, "/verify?type=signup&token=x", None, "").await.is(429, "over_request_rate_limit");
}

#[tokio::test]
async fn malformed_magic_links_and_invitations_are_refused() {
    let app = App::start().await;
    for body in [json!({}), json!({ "email": "nobody" }), json!({ "email": "a@b.example", "phone": "1" })] {
        let answer = app.post("/magiclink", body.clone()).await;
        assert_eq!(answer.body["code"], "validation_failed", "{body}");
        app.post_as("/invite", &app.service_key, json!({ "email": body["phone"] }))
            .await
            .is(400, "validation_failed");
    }
    app.post_as("/invite", &app.anon_key, json!({})).await.is(403, "not_admin");
}

#[tokio::test]
async fn administrators_changes_are_refused_with_their_codes() {
    let app = App::start().await;
    let key = &app.service_key;
    app.sign_up("taken@example.com").await;
    let user = app.post_as("/admin/users", key, json!({ "email": "a@example.com" })).await.ok();
    let one = format!("/admin/users/{}", user["id"].as_str().unwrap());
    app.post_as("/admin/users", key, json!({ "email": "b@example.com", "password": "x" }))
        .await
        .is(422, "weak_password");
    app.put_as(&one, key, json!({ "password": "x" })).await.is(422, "weak_password");
    app.put_as(&one, key, json!({ "email": "taken@example.com" })).await.is(422, "email_exists");
    app.put_as(&one, key, json!({ "ban_duration": "soon" })).await.is(400, "validation_failed");
    app.put_as(&format!("/admin/users/{NOBODY}"), key, json!({})).await.is(404, "user_not_found");
    app.delete_as(&format!("/admin/users/{NOBODY}"), key).await.is(404, "user_not_found");
    let nobody = format!("/admin/users/{NOBODY}/factors/{NOBODY}");
    app.delete_as(&nobody, key).await.is(404, "mfa_factor_not_found");
    for path in ["", "/factors", "/passkeys"] {
        app.get(&format!("{one}{path}"), &app.anon_key).await.is(403, "not_admin");
        app.get(&format!("/admin/users/x{path}"), key).await.is(404, "validation_failed");
    }
}

#[tokio::test]
async fn ended_session_is_told_wherever_a_live_one_is_needed() {
    let app = App::start().await;
    let person = app.sign_up("a@example.com").await;
    app.send(Method::POST, "/logout", Some(person.token()), "").await;
    let token = person.token();
    app.put_as("/user", token, json!({ "data": {} })).await.is(403, "session_not_found");
    app.post_as("/tenant", token, json!({ "tenant_id": NOBODY })).await.is(403, "session_not_found");
    app.get("/reauthenticate", token).await.is(403, "session_not_found");
    app.post_as("/factors", token, json!({ "factor_type": "totp" })).await.is(403, "session_not_found");
    app.post_as(&format!("/factors/{NOBODY}/challenge"), token, json!({})).await.is(403, "session_not_found");
    app.get("/factors/recovery_codes", token).await.is(403, "session_not_found");
    app.delete_as(&format!("/sessions/{NOBODY}"), token).await.is(403, "session_not_found");
}

#[tokio::test]
async fn anonymous_user_has_no_recovery_codes() {
    let app = App::with(AuthSettings { anonymous_users: true, ..settings() }).await;
    let nobody = Person(app.post("/signup", json!({})).await.ok());
    app.get("/factors/recovery_codes", nobody.token()).await.is(403, "no_authorization");
    app.post_as("/factors/recovery_codes", nobody.token(), Value::Null).await.is(403, "no_authorization");
}

#[tokio::test]
async fn imported_factor_of_a_kind_that_is_off_is_not_challenged() {
    let app = App::start().await;
    let person = app.sign_up("a@example.com").await;
    let factor = "insert into auth.mfa_factors (id, user_id, factor_type, status, phone, created_at, updated_at) \
                  values (gen_random_uuid(), $1::text::uuid, 'phone', 'verified', '15551234567', now(), now()) returning id::text";
    let factor: String = app.sql().await.query_one(factor, &[&person.id()]).await.unwrap().get(0);
    let challenge = app.post_as(&format!("/factors/{factor}/challenge"), person.token(), json!({})).await;
    challenge.is(422, "mfa_phone_verify_not_enabled");
}
