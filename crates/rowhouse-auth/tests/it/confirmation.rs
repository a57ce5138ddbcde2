//! Sign-up with confirmation by mail.

use reqwest::{Method, StatusCode};
use rowhouse_auth::AuthSettings;
use serde_json::{Value, json};

use crate::app::{App, PASSWORD, settings};

pub(crate) fn strict() -> AuthSettings {
    AuthSettings { mailer_autoconfirm: false, ..settings() }
}

pub(crate) async fn sign_up(app: &App, email: &str, password: &str) -> Value {
    app.post("/signup", json!({ "email": email, "password": password })).await.ok()
}

#[tokio::test]
async fn link_of_the_letter_confirms_the_address_and_signs_in() {
    let app = App::with(strict()).await;
    let body = json!({ "email": "Ann@example.com", "password": PASSWORD, "data": { "lang": "de" } });
    let path = "/signup?redirect_to=http%3A%2F%2Frowhouse.test%2Fin%3Fa%3D1";
    let user = app.send(Method::POST, path, None, body.to_string()).await.ok();
    assert!(user["confirmation_sent_at"].is_string() && user["access_token"].is_null());
    let mail = app.mail_to("ann@example.com").await;
    assert_eq!(
        (mail.kind.as_str(), mail.subject.as_str()),
        ("confirmation", "Adresse bestätigen für Rowhouse")
    );
    app.password("ann@example.com", PASSWORD).await.is(400, "email_not_confirmed");
    let opened = app.open(Method::GET, &mail.link()).await;
    assert!(opened.location.as_ref().unwrap().starts_with("http://rowhouse.test/in?a=1#access_token="));
    assert_eq!(opened.headers["cache-control"], "no-store");
    assert_eq!(opened.headers["referrer-policy"], "no-referrer");
    let tokens = opened.fragment();
    assert_eq!((tokens["type"].as_str(), tokens["token_type"].as_str()), ("signup", "bearer"));
    let confirmed = app.get("/user", &tokens["access_token"]).await.ok();
    assert_eq!(
        (&confirmed["id"], &confirmed["user_metadata"]["email_verified"]),
        (&user["id"], &json!(true))
    );
    assert!(confirmed["email_confirmed_at"].is_string() && confirmed["last_sign_in_at"].is_string());
    assert_eq!(confirmed["identities"][0]["identity_data"]["email_verified"], true);
    assert_eq!(confirmed["identities"][0]["identity_id"], user["identities"][0]["identity_id"]);
    app.refresh(&tokens["refresh_token"]).await.ok();
    app.password("ann@example.com", PASSWORD).await.ok();

    let again = app.open(Method::GET, &mail.link()).await.fragment();
    assert_eq!((again["error"].as_str(), again["error_code"].as_str()), ("access_denied", "otp_expired"));
    app.verify("signup", "ann@example.com", &mail.code()).await.is(403, "otp_expired");
}

#[tokio::test]
async fn code_of_the_letter_does_the_same_until_it_expires() {
    let app = App::with(strict()).await;
    for (email, kind) in [("a@example.com", "signup"), ("b@example.com", "email")] {
        sign_up(&app, email, PASSWORD).await;
        let code = app.mail_to(email).await.code();
        let session = app.verify(kind, email, &code).await.ok();
        assert_eq!(session["user"]["email"], email);
        let amr = &crate::app::Person(session).claims(&app)["amr"][0]["method"];
        assert_eq!(amr, "otp");
    }
    sign_up(&app, "c@example.com", PASSWORD).await;
    let mail = app.mail_to("c@example.com").await;
    app.verify("recovery", "c@example.com", &mail.code()).await.is(403, "otp_expired");
    app.verify("signup", "a@example.com", &mail.code()).await.is(403, "otp_expired");
    app.pass(std::time::Duration::from_secs(86_400));
    app.verify("signup", "c@example.com", &mail.code()).await.is(403, "otp_expired");
    assert_eq!(app.open(Method::GET, &mail.link()).await.fragment()["error_code"], "otp_expired");
}

#[tokio::test]
async fn only_digests_of_link_and_code_are_stored() {
    let app = App::with(strict()).await;
    sign_up(&app, "a@example.com", PASSWORD).await;
    let mail = app.mail_to("a@example.com").await;
    let stored: String = app
        .sql()
        .await
        .query_one("select to_jsonb(t)::text from auth.one_time_tokens t", &[])
        .await
        .unwrap()
        .get(0);
    let token = mail.link().query_pairs().find(|(name, _)| name == "token").unwrap().1.into_owned();
    assert!(!stored.contains(&token) && !stored.contains(&mail.code()), "{stored}");
    assert!(stored.contains(&rowhouse_crypto::digest_hex(&token)));
}

#[tokio::test]
async fn answers_do_not_tell_whether_an_address_is_new_waits_or_has_an_account() {
    let app = App::with(strict()).await;
    sign_up(&app, "known@example.com", PASSWORD).await;
    let link = app.mail_to("known@example.com").await.link();
    app.open(Method::GET, &link).await.fragment();
    let body = |email: &str| json!({ "email": email, "password": "another one", "data": { "a": 1 } });
    let known = app.post("/signup", body("known@example.com")).await.ok();
    let new = app.post("/signup", body("new@example.com")).await.ok();
    let waiting = app.post("/signup", body("new@example.com")).await.ok();
    let known_again = app.post("/signup", body("known@example.com")).await.ok();
    assert_eq!((&new, &known), (&waiting, &known_again));
    let blank = |user: &Value, email: &str| {
        let id = user["id"].as_str().unwrap();
        let identity = user["identities"][0]["identity_id"].as_str().unwrap();
        assert_eq!((&id[14..15], &identity[14..15]), ("4", "4"));
        let text = user.to_string().replace(id, "ID").replace(identity, "IDENTITY");
        text.replace(email, "ADDRESS")
    };
    assert_eq!(blank(&known, "known@example.com"), blank(&new, "new@example.com"));

    let told = app.mail_to("known@example.com").await;
    assert_eq!((told.kind.as_str(), told.link().as_str()), ("account_exists", "http://rowhouse.test/"));
    app.password("known@example.com", PASSWORD).await.ok();
    app.password("known@example.com", "another one").await.is(400, "invalid_credentials");
}

#[tokio::test]
async fn concurrent_sign_ups_of_one_address_are_answered_alike() {
    let app = App::with(strict()).await;
    let (one, two) =
        tokio::join!(sign_up(&app, "a@example.com", PASSWORD), sign_up(&app, "a@example.com", PASSWORD));
    assert_eq!(one["id"], two["id"]);
    let count = "select count(*) from auth.users";
    assert_eq!(app.sql().await.query_one(count, &[]).await.unwrap().get::<_, i64>(0), 1);
}

#[tokio::test]
async fn wrong_codes_void_the_code_and_not_the_link() {
    let app = App::with(AuthSettings { otp_attempts: 3, ..strict() }).await;
    sign_up(&app, "a@example.com", PASSWORD).await;
    let mail = app.mail_to("a@example.com").await;
    let wrong = if mail.code() == "000000" { "000001" } else { "000000" };
    for _ in 0..3 {
        app.verify("signup", "a@example.com", wrong).await.is(403, "otp_expired");
    }
    app.verify("signup", "a@example.com", &mail.code()).await.is(403, "otp_expired");
    assert!(app.open(Method::GET, &mail.link()).await.fragment().contains_key("access_token"));
}

#[tokio::test]
async fn wrong_codes_count_across_letters_for_a_day_or_until_the_right_one() {
    let app = App::with(strict()).await;
    sign_up(&app, "a@example.com", PASSWORD).await;
    let guess = async || app.verify("signup", "a@example.com", "x").await.is(403, "otp_expired");
    let again = async || {
        app.post("/resend", json!({ "type": "signup", "email": "a@example.com" })).await.ok();
        app.mail_to("a@example.com").await
    };
    for _ in 0..3 {
        for _ in 0..10 {
            guess().await;
        }
        again().await;
    }
    // One attempt is left for each code, and the link works.
    guess().await;
    let code = app.mail_to("a@example.com").await.code();
    app.verify("signup", "a@example.com", &code).await.is(403, "otp_expired");
    let code = again().await.code();
    app.verify("signup", "a@example.com", &code).await.ok();
    assert_eq!(app.count("auth.code_failures").await, 0);

    sign_up(&app, "b@example.com", PASSWORD).await;
    for _ in 0..3 {
        app.verify("signup", "b@example.com", "x").await.is(403, "otp_expired");
    }
    let sql = app.sql().await;
    sql.execute("update auth.code_failures set failures = 30", &[]).await.unwrap();
    app.pass(std::time::Duration::from_secs(86_400));
    app.post("/resend", json!({ "type": "signup", "email": "b@example.com" })).await.ok();
    app.verify("signup", "b@example.com", "x").await.is(403, "otp_expired");
    let code = app.mail_to("b@example.com").await.code();
    app.verify("signup", "b@example.com", &code).await.ok();
}

#[tokio::test]
async fn last_allowed_attempt_with_the_right_code_counts() {
    let app = App::with(AuthSettings { otp_attempts: 2, ..strict() }).await;
    sign_up(&app, "a@example.com", PASSWORD).await;
    let code = app.mail_to("a@example.com").await.code();
    app.verify("signup", "a@example.com", "x").await.is(403, "otp_expired");
    app.verify("signup", "a@example.com", &code).await.ok();
}

#[tokio::test]
async fn code_challenge_binds_the_link_to_its_client() {
    let app = App::with(strict()).await;
    let verifier = "v".repeat(43);
    let challenge = rowhouse_crypto::sha256_base64url(verifier.as_bytes());
    let body = json!({ "email": "a@example.com", "password": PASSWORD, "code_challenge": challenge,
        "code_challenge_method": "s256" });
    app.post("/signup", body).await.ok();
    let link = app.mail_to("a@example.com").await.link();
    let opened = app.open(Method::GET, &link).await;
    let code = opened.query("code").unwrap();
    assert!(!opened.location.as_ref().unwrap().contains("access_token"));
    let exchange = |verifier: &str| json!({ "auth_code": code, "code_verifier": verifier });
    let wrong = app.post("/token?grant_type=pkce", exchange(&"w".repeat(43))).await;
    wrong.is(400, "bad_code_verifier");
    let session = app.post("/token?grant_type=pkce", exchange(&verifier)).await.ok();
    assert!(session["user"]["last_sign_in_at"].is_string());
    assert_eq!(crate::app::Person(session).claims(&app)["amr"][0]["method"], "email/signup");
    let again = app.open(Method::GET, &link).await;
    assert_eq!(again.query("error_code").as_deref(), Some("otp_expired"));
    assert_eq!(again.fragment()["error_code"], "otp_expired");
}

#[tokio::test]
async fn link_that_outlived_its_code_challenge_is_refused_and_stays() {
    let app = App::with(strict()).await;
    let body = json!({ "email": "a@example.com", "password": PASSWORD, "code_challenge": "c".repeat(43),
        "code_challenge_method": "plain" });
    app.post("/signup", body).await.ok();
    let link = app.mail_to("a@example.com").await.link();
    app.sql().await.execute("delete from auth.flow_state", &[]).await.unwrap();
    let opened = app.open(Method::GET, &link).await;
    assert_eq!(opened.query("error_code").as_deref(), Some("flow_state_not_found"));
    app.password("a@example.com", PASSWORD).await.is(400, "email_not_confirmed");
}

#[tokio::test]
async fn scanner_uses_nothing_up_and_the_button_does() {
    let app = App::with(AuthSettings { verify_page: true, ..strict() }).await;
    sign_up(&app, "a@example.com", PASSWORD).await;
    let link = app.mail_to("a@example.com").await.link();
    let head = app.open(Method::HEAD, &link).await;
    assert_eq!((head.status, head.headers["cache-control"].to_str().unwrap()), (StatusCode::OK, "no-store"));
    for _ in 0..2 {
        let page = app.open(Method::GET, &link).await;
        assert_eq!((page.status, page.location), (StatusCode::OK, None));
        assert!(page.text.contains("lang=\"de\"") && page.text.contains("<form method=\"post\">"));
        assert!(!page.text.contains("script") && !page.text.contains("token"));
        assert_eq!(page.headers["referrer-policy"], "no-referrer");
        let policy = page.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
    }
    // A form on another site only gets to the page.
    for site in ["cross-site", "same-site"] {
        let page = app.open_from(Method::POST, &link, Some(site)).await;
        assert_eq!((page.status, page.location), (StatusCode::OK, None), "{site}");
        assert!(page.text.contains("<form method=\"post\">"));
    }
    let tokens = app.open_from(Method::POST, &link, Some("same-origin")).await.fragment();
    app.get("/user", &tokens["access_token"]).await.ok();
}

#[tokio::test]
async fn head_uses_nothing_up_without_the_page_either() {
    let app = App::with(AuthSettings { verify_page: false, ..strict() }).await;
    sign_up(&app, "a@example.com", PASSWORD).await;
    let link = app.mail_to("a@example.com").await.link();
    assert_eq!(app.open(Method::HEAD, &link).await.status, StatusCode::OK);
    assert!(app.open(Method::GET, &link).await.fragment().contains_key("access_token"));
}

#[tokio::test]
async fn banned_user_is_told_with_the_right_link_only_and_keeps_it() {
    let app = App::with(strict()).await;
    sign_up(&app, "a@example.com", PASSWORD).await;
    let mail = app.mail_to("a@example.com").await;
    let sql = app.sql().await;
    sql.execute("update auth.users set banned_until = '2200-01-01'", &[]).await.unwrap();
    app.verify("signup", "a@example.com", "x").await.is(403, "otp_expired");
    app.verify("signup", "a@example.com", &mail.code()).await.is(403, "user_banned");
    assert_eq!(app.open(Method::GET, &mail.link()).await.fragment()["error_code"], "user_banned");
    sql.execute("update auth.users set banned_until = null", &[]).await.unwrap();
    app.verify("signup", "a@example.com", &mail.code()).await.ok();
}

#[tokio::test]
async fn letter_to_an_address_that_the_account_had_is_void() {
    let app = App::with(strict()).await;
    sign_up(&app, "a@example.com", PASSWORD).await;
    let mail = app.mail_to("a@example.com").await;
    app.sql().await.execute("update auth.users set email = 'b@example.com'", &[]).await.unwrap();
    assert_eq!(app.open(Method::GET, &mail.link()).await.fragment()["error_code"], "otp_expired");
    app.verify("signup", "a@example.com", &mail.code()).await.is(403, "otp_expired");
}

#[tokio::test]
async fn malformed_verifications_are_refused() {
    let app = App::with(strict()).await;
    for body in [
        json!({}),
        json!({ "type": "signup" }),
        json!({ "type": "signup", "token": "1" }),
        json!({ "type": "signup", "token": "1", "token_hash": "2", "email": "a@example.com" }),
        json!({ "type": "signup", "token_hash": "2", "email": "a@example.com" }),
        json!({ "type": "signup", "token": "1", "email": "nobody" }),
        json!({ "type": "nonsense", "token": "1", "email": "a@example.com" }),
    ] {
        app.post("/verify", body).await.is(400, "validation_failed");
    }
    app.post("/verify", json!({ "type": "sms", "token": "1", "phone": "+431" }))
        .await
        .is(400, "phone_provider_disabled");
    app.post("/verify", json!({ "type": "signup", "token_hash": "2" })).await.is(403, "otp_expired");
    app.send(Method::GET, "/verify?type=signup", None, "").await.is(400, "validation_failed");
    app.send(Method::GET, "/verify?token=1", None, "").await.is(400, "validation_failed");
    let link = url::Url::parse("http://x/auth/v1/verify?token=1&type=nonsense").unwrap();
    assert_eq!(app.open(Method::GET, &link).await.fragment()["error_code"], "validation_failed");
}

#[tokio::test]
async fn letter_and_account_are_written_together_or_not_at_all() {
    let app = App::with(strict()).await;
    let sql = app.sql().await;
    sql.batch_execute(
        "alter table mail.messages add constraint messages_never_check check (false) not valid",
    )
    .await
    .unwrap();
    let body = json!({ "email": "a@example.com", "password": PASSWORD });
    app.post("/signup", body).await.is(500, "unexpected_failure");
    let left = "select (select count(*) from auth.users) + (select count(*) from auth.one_time_tokens)";
    assert_eq!(sql.query_one(left, &[]).await.unwrap().get::<_, i64>(0), 0);
}

#[tokio::test]
async fn letters_are_limited_alike_for_every_address() {
    let gap = std::time::Duration::from_secs(60);
    let app = App::with(AuthSettings { mailer_max_frequency: gap, email_rate_per_hour: 3, ..strict() }).await;
    sign_up(&app, "known@example.com", PASSWORD).await;
    let link = app.mail_to("known@example.com").await.link();
    app.open(Method::GET, &link).await.fragment();
    for (email, address) in [("known@example.com", 2), ("unknown@example.com", 5)] {
        app.come_from(address);
        app.post("/recover", json!({ "email": email })).await.ok();
        let refused = app.post("/recover", json!({ "email": email })).await;
        refused.is(429, "over_email_send_rate_limit");
        assert_eq!(refused.headers["retry-after"], "60");
        let message = "For security purposes, you can only request this after 60 seconds.";
        assert_eq!(refused.body["message"], message);
    }
    app.pass(gap);
    app.come_from(3);
    app.post("/recover", json!({ "email": "known@example.com" })).await.ok();
    app.come_from(4);
    app.pass(gap);
    app.post("/recover", json!({ "email": "known@example.com" })).await.is(429, "over_email_send_rate_limit");
    app.post("/recover", json!({ "email": "one@example.com" })).await.ok();
    app.post("/recover", json!({ "email": "two@example.com" })).await.ok();
    app.post("/recover", json!({ "email": "three@example.com" })).await.is(429, "over_email_send_rate_limit");
}
