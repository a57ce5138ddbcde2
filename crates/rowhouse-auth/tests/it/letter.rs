//! Letters that are asked for by address: magic links, recovery, and once more.

use reqwest::Method;
use rowhouse_auth::AuthSettings;
use serde_json::{Value, json};

use crate::app::{App, PASSWORD, Person, settings};
use crate::confirmation::strict;

/// An application with a confirmed user.
async fn with_user(settings: AuthSettings) -> App {
    let app = App::with(settings).await;
    app.post("/signup", json!({ "email": "a@example.com", "password": PASSWORD })).await.ok();
    let sql = "update auth.users set email_confirmed_at = now()";
    app.sql().await.execute(sql, &[]).await.unwrap();
    app
}

async fn letters(app: &App) -> Vec<(String, String)> {
    app.mails().await.into_iter().map(|mail| (mail.kind, mail.to)).collect()
}

#[tokio::test]
async fn magic_link_signs_in_by_link_and_by_code() {
    let app = with_user(strict()).await;
    for (path, kind) in [("/otp", "magiclink"), ("/magiclink", "email")] {
        assert_eq!(app.post(path, json!({ "email": "A@example.com" })).await.ok(), json!({}));
        let mail = app.mail_to("a@example.com").await;
        assert_eq!(mail.kind, "magic_link");
        let session = app.verify(kind, "a@example.com", &mail.code()).await.ok();
        assert!(session["user"]["recovery_sent_at"].is_string());
        assert_eq!(app.open(Method::GET, &mail.link()).await.fragment()["error_code"], "otp_expired");
    }
    app.post("/otp", json!({ "email": "a@example.com" })).await.ok();
    let opened = app.open(Method::GET, &app.mail_to("a@example.com").await.link()).await.fragment();
    assert_eq!(opened["type"], "magiclink");
    app.password("a@example.com", PASSWORD).await.ok();
}

#[tokio::test]
async fn magic_link_for_an_unknown_address_makes_an_account_where_wanted() {
    let app = App::with(strict()).await;
    let body = json!({ "email": "new@example.com", "data": { "n": 1 } });
    assert_eq!(app.post("/otp", body).await.ok(), json!({}));
    let mail = app.mail_to("new@example.com").await;
    assert_eq!(mail.kind, "confirmation");
    let session = app.verify("email", "new@example.com", &mail.code()).await.ok();
    assert_eq!(session["user"]["user_metadata"]["n"], 1);
    let before = app.mails().await.len();
    let body = json!({ "email": "other@example.com", "create_user": false });
    assert_eq!(app.post("/otp", body).await.ok(), json!({}));
    let closed = App::on(app.db.clone(), AuthSettings { disable_signup: true, ..strict() }).await;
    assert_eq!(closed.post("/otp", json!({ "email": "other@example.com" })).await.ok(), json!({}));
    assert_eq!(app.mails().await.len(), before);
}

#[tokio::test]
async fn where_addresses_are_confirmed_at_once_unknown_ones_are_told() {
    let app = App::start().await;
    let body = json!({ "email": "a@example.com", "create_user": false });
    app.post("/otp", body).await.is(422, "otp_disabled");
    let closed = App::on(app.db.clone(), AuthSettings { disable_signup: true, ..settings() }).await;
    closed.post("/otp", json!({ "email": "a@example.com" })).await.is(422, "signup_disabled");
    app.post("/otp", json!({ "email": "a@example.com" })).await.ok();
    let mail = app.mail_to("a@example.com").await;
    assert_eq!(mail.kind, "magic_link");
    app.verify("magiclink", "a@example.com", &mail.code()).await.ok();
}

#[tokio::test]
async fn password_of_a_stranger_does_not_survive_the_owners_own_letter() {
    for (path, kind) in [("/otp", "email"), ("/recover", "recovery")] {
        let app = App::with(strict()).await;
        let stranger = json!({ "email": "a@example.com", "password": "of a stranger" });
        app.post("/signup", stranger).await.ok();
        app.post(path, json!({ "email": "a@example.com" })).await.ok();
        let code = app.mail_to("a@example.com").await.code();
        app.verify(kind, "a@example.com", &code).await.ok();
        app.password("a@example.com", "of a stranger").await.is(400, "invalid_credentials");
    }
}

#[tokio::test]
async fn recovery_leads_to_a_new_password() {
    let app = with_user(strict()).await;
    let verifier = "v".repeat(43);
    let challenge = rowhouse_crypto::sha256_base64url(verifier.as_bytes());
    let body =
        json!({ "email": "a@example.com", "code_challenge": challenge, "code_challenge_method": "S256" });
    assert_eq!(app.post("/recover", body).await.ok(), json!({}));
    let mail = app.mail_to("a@example.com").await;
    assert_eq!(mail.kind, "recovery");
    let code = app.open(Method::GET, &mail.link()).await.query("code").unwrap();
    let exchange = json!({ "auth_code": code, "code_verifier": verifier });
    let person = Person(app.post("/token?grant_type=pkce", exchange).await.ok());
    assert_eq!(person.claims(&app)["amr"][0]["method"], "recovery");
    app.put_as("/user", person.token(), json!({ "password": "battery staple" })).await.ok();
    app.password("a@example.com", "battery staple").await.ok();
}

#[tokio::test]
async fn token_of_a_link_can_be_verified_by_the_application() {
    let app = with_user(strict()).await;
    app.post("/recover", json!({ "email": "a@example.com" })).await.ok();
    let link = app.mail_to("a@example.com").await.link();
    let token = link.query_pairs().find(|(name, _)| name == "token").unwrap().1.into_owned();
    let body = |kind: &str| json!({ "type": kind, "token_hash": token });
    app.post("/verify", body("signup")).await.is(403, "otp_expired");
    app.post("/verify", body("recovery")).await.ok();
    app.post("/verify", body("recovery")).await.is(403, "otp_expired");
}

#[tokio::test]
async fn unknown_address_gets_the_same_answer_and_no_letter() {
    let app = with_user(strict()).await;
    let before = app.mails().await.len();
    assert_eq!(app.post("/recover", json!({ "email": "b@example.com" })).await.ok(), json!({}));
    for email in ["a@example.com", "b@example.com"] {
        let body = json!({ "type": "signup", "email": email });
        assert_eq!(app.post("/resend", body).await.ok(), json!({}));
    }
    assert_eq!(app.mails().await.len(), before);
}

#[tokio::test]
async fn confirmation_is_sent_once_more() {
    let app = App::with(strict()).await;
    app.post("/signup", json!({ "email": "a@example.com", "password": PASSWORD })).await.ok();
    let first = app.mail_to("a@example.com").await;
    app.post("/resend", json!({ "type": "signup", "email": "a@example.com" })).await.ok();
    let second = app.mail_to("a@example.com").await;
    assert_ne!(first.link(), second.link());
    assert_eq!(app.open(Method::GET, &first.link()).await.fragment()["error_code"], "otp_expired");
    app.verify("signup", "a@example.com", &second.code()).await.ok();
    app.password("a@example.com", PASSWORD).await.ok();
}

#[tokio::test]
async fn letter_leads_to_allowed_targets_only() {
    let app =
        with_user(AuthSettings { redirect_urls: vec!["https://app.example/**".to_owned()], ..strict() })
            .await;
    for (asked, target) in [
        ("https://app.example/in", "https://app.example/in"),
        ("https://evil.example/", "http://rowhouse.test"),
    ] {
        let body = json!({ "email": "a@example.com" }).to_string();
        app.send(Method::POST, &format!("/recover?redirect_to={asked}"), None, body).await.ok();
        let link = app.mail_to("a@example.com").await.link();
        let redirect = link.query_pairs().find(|(name, _)| name == "redirect_to").unwrap().1.into_owned();
        assert_eq!(redirect, target);
        let mut forged = link.clone();
        forged
            .query_pairs_mut()
            .clear()
            .extend_pairs(link.query_pairs().filter(|(name, _)| name != "redirect_to"));
        forged.query_pairs_mut().append_pair("redirect_to", "https://evil.example/");
        let opened = app.open(Method::GET, &forged).await;
        assert!(opened.location.unwrap().starts_with("http://rowhouse.test#"));
    }
}

#[tokio::test]
async fn malformed_requests_for_letters_are_refused() {
    let app = with_user(strict()).await;
    let cases: [(&str, Value); 8] = [
        ("/otp", json!({})),
        ("/otp", json!({ "email": "nobody" })),
        ("/otp", json!({ "email": "a@example.com", "phone": "+431" })),
        ("/recover", json!({})),
        (
            "/recover",
            json!({ "email": "a@example.com", "code_challenge": "short", "code_challenge_method": "s256" }),
        ),
        ("/resend", json!({ "email": "a@example.com" })),
        ("/resend", json!({ "type": "nonsense", "email": "a@example.com" })),
        ("/resend", json!({ "type": "signup" })),
    ];
    for (path, body) in cases {
        app.post(path, body).await.is(400, "validation_failed");
    }
    app.post("/otp", json!({ "phone": "+431" })).await.is(400, "phone_provider_disabled");
    app.send(Method::POST, "/recover", None, "no json").await.is(400, "bad_json");
    assert_eq!(letters(&app).await.len(), 1);
}

#[tokio::test]
async fn hook_that_refuses_does_not_tell_that_the_address_is_unknown() {
    let app = with_user(strict()).await;
    let refuse = "create function public.refuse(event jsonb) returns jsonb language sql security definer set search_path = public as \
        $$ select '{\"error\": {\"http_code\": 403, \"message\": \"no\"}}'::jsonb $$";
    app.db.migrate(refuse).await;
    app.sql().await.query_one("select auth.confine_hook('\"public\".\"refuse\"')", &[]).await.unwrap();
    let hooks = rowhouse_auth::AuthHookSettings {
        before_user_created: Some("pg-functions://postgres/public/refuse".to_owned()),
        ..Default::default()
    };
    let app = App::hooked(app.db.clone(), strict(), hooks).await;
    let before = app.mails().await.len();
    assert_eq!(app.post("/otp", json!({ "email": "b@example.com" })).await.ok(), json!({}));
    assert_eq!(app.mails().await.len(), before);
    assert_eq!(app.post("/otp", json!({ "email": "a@example.com" })).await.ok(), json!({}));
    assert_eq!(app.mails().await.len(), before + 1);
}

/// Whoever had the old password may have asked for them, as GoTrue's `User.UpdatePassword` says.
#[tokio::test]
async fn new_password_ends_letters_that_were_sent_before() {
    let app = App::start().await;
    let person = app.sign_up("a@example.com").await;
    for by_admin in [false, true] {
        app.pass(std::time::Duration::from_secs(3600));
        app.post("/otp", json!({ "email": "a@example.com" })).await.ok();
        let code = app.mail_to("a@example.com").await.code();
        let password = json!({ "password": format!("another horse battery {by_admin}") });
        if by_admin {
            let key = app.service_key.clone();
            let path = format!("/admin/users/{}", person.id());
            app.put_as(&path, &key, password).await.ok();
        } else {
            let now = app.password("a@example.com", PASSWORD).await.ok();
            app.put_as("/user", now["access_token"].as_str().unwrap(), password).await.ok();
        }
        app.verify("magiclink", "a@example.com", &code).await.is(403, "otp_expired");
    }
}
