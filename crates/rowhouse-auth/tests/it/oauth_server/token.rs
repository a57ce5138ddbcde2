//! The token endpoint refuses, in the words of RFC 6749.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use rowhouse_http::ServerSettings;
use rowhouse_testkit::TestDatabase;
use serde_json::json;

use super::{BACK, Shop, VERIFIER, is_oauth_error, start, token, user_info};
use crate::app::App;

#[tokio::test]
async fn incomplete_and_repeated_parameters_are_invalid_requests() {
    let app = start().await;
    let shop = Shop::register(&app, json!({})).await;
    let refused = async |fields: &[(&str, &str)], error: &str| {
        is_oauth_error(&shop.token(&app, fields).await, 400, error);
    };
    refused(&[], "invalid_request").await;
    refused(&[("grant_type", "")], "invalid_request").await;
    refused(&[("grant_type", "authorization_code")], "invalid_request").await;
    refused(&[("grant_type", "authorization_code"), ("code", "x")], "invalid_request").await;
    refused(&[("grant_type", "refresh_token")], "invalid_request").await;
    refused(&[("grant_type", "refresh_token"), ("grant_type", "refresh_token")], "invalid_request").await;
    refused(&[("grant_type", "password"), ("username", "x")], "unsupported_grant_type").await;
    refused(&[("grant_type", "client_credentials")], "unsupported_grant_type").await;
}

#[tokio::test]
async fn json_is_taken_as_well() {
    let app = start().await;
    let person = app.sign_up("ann@example.com").await;
    let shop = Shop::public(&app).await;
    let code = shop.code(&app, &person, "email").await;
    let post = async |body: String| {
        let request = app.request(Method::POST, "/auth/v1/oauth/token");
        app.app_send(request.header("content-type", "application/json").body(body)).await
    };
    let (status, body) = post("[".to_owned()).await;
    assert_eq!((status, &body["error"]), (400, &json!("invalid_request")));
    let body = json!({ "grant_type": "authorization_code", "client_id": shop.id, "code": code, "code_verifier": VERIFIER });
    let (status, body) = post(body.to_string()).await;
    assert_eq!(status, 200, "{body}");
}

#[tokio::test]
async fn application_authenticates_by_its_registered_method_alone() {
    let app = start().await;
    let basic = Shop::register(&app, json!({})).await;
    let post = Shop::register(&app, json!({ "token_endpoint_auth_method": "client_secret_post" })).await;
    let public = Shop::public(&app).await;
    let grant = [("grant_type", "refresh_token"), ("refresh_token", "x")];
    let header = |id: &str, secret: &str| format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")));
    let by_header = async |id: &str, secret: &str| token(&app, Some(&header(id, secret)), &grant).await;
    let by_form = async |id: &str, secret: &str| {
        token(&app, None, &[&grant[..], &[("client_id", id), ("client_secret", secret)]].concat()).await
    };
    // Authenticated: what is refused is the token.
    is_oauth_error(&by_header(&basic.id, &basic.secret).await, 400, "invalid_grant");
    is_oauth_error(&by_form(&post.id, &post.secret).await, 400, "invalid_grant");
    is_oauth_error(&by_form(&public.id, "").await, 400, "invalid_grant");
    let encoded = basic.id.replace('-', "%2D");
    is_oauth_error(&by_header(&encoded, &basic.secret).await, 400, "invalid_grant");
    for answer in [
        by_header(&basic.id, "wrong").await,
        by_header(&basic.id, "").await,
        by_header(&post.id, &post.secret).await,
        by_header(&public.id, "").await,
        by_header(&public.id, "x").await,
        by_header(&uuid::Uuid::nil().to_string(), "x").await,
        by_header("x", "x").await,
        by_form(&basic.id, &basic.secret).await,
        by_form(&basic.id, "").await,
        by_form(&post.id, "wrong").await,
        by_form(&public.id, "x").await,
        by_form("", "").await,
        token(&app, Some("Basic !"), &grant).await,
        token(&app, Some("Basic eA=="), &grant).await,
    ] {
        is_oauth_error(&answer, 401, "invalid_client");
        assert_eq!(answer.headers["www-authenticate"], "Basic realm=\"oauth\"");
    }
    let both = [&grant[..], &[("client_id", &basic.id), ("client_secret", &basic.secret)]].concat();
    let both = token(&app, Some(&header(&basic.id, &basic.secret)), &both).await;
    is_oauth_error(&both, 400, "invalid_request");
}

#[tokio::test]
async fn application_uses_its_registered_grants_alone() {
    let app = start().await;
    let shop = Shop::register(&app, json!({ "grant_types": ["authorization_code"] })).await;
    is_oauth_error(&shop.refresh(&app, "x").await, 400, "unauthorized_client");
    let shop = Shop::register(&app, json!({ "grant_types": ["refresh_token"] })).await;
    is_oauth_error(&shop.exchange(&app, "x").await, 400, "unauthorized_client");
}

#[tokio::test]
async fn code_is_bound_to_verifier_redirect_and_resource() {
    let app = start().await;
    let person = app.sign_up("ann@example.com").await;
    let shop = Shop::public(&app).await;
    let code = shop.code(&app, &person, "email").await;
    let with = async |more: &[(&str, &str)]| {
        let usual = [
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", BACK),
            ("code_verifier", VERIFIER),
        ];
        let kept = usual.into_iter().filter(|(name, _)| more.iter().all(|(other, _)| other != name));
        let fields: Vec<_> = kept.chain(more.iter().copied()).collect();
        shop.token(&app, &fields).await
    };
    let challenge = rowhouse_crypto::sha256_base64url(VERIFIER.as_bytes());
    is_oauth_error(&with(&[("code_verifier", &"x".repeat(43))]).await, 400, "invalid_grant");
    is_oauth_error(&with(&[("code_verifier", &challenge)]).await, 400, "invalid_grant");
    is_oauth_error(&with(&[("code_verifier", "")]).await, 400, "invalid_request");
    is_oauth_error(&with(&[("redirect_uri", "https://shop.example/callback/")]).await, 400, "invalid_grant");
    is_oauth_error(&with(&[("resource", "https://api.example")]).await, 400, "invalid_grant");
    is_oauth_error(&with(&[("code", "x")]).await, 400, "invalid_grant");
    // None of these used the code up: it belongs to whoever has the verifier.
    with(&[]).await.ok();
}

#[tokio::test]
async fn code_expires() {
    let app = start().await;
    let person = app.sign_up("ann@example.com").await;
    let shop = Shop::public(&app).await;
    let code = shop.code(&app, &person, "email").await;
    app.pass(super::MINUTE);
    is_oauth_error(&shop.exchange(&app, &code).await, 400, "invalid_grant");
}

#[tokio::test]
async fn banned_and_deleted_users_get_no_tokens() {
    let app = start().await;
    let person = app.sign_up("ann@example.com").await;
    let shop = Shop::public(&app).await;
    let tokens = shop.tokens(&app, &person, "email").await;
    let code = shop.code(&app, &person, "email").await;
    let client = app.sql().await;
    client.batch_execute("update auth.users set banned_until = 'infinity'").await.unwrap();
    is_oauth_error(&shop.exchange(&app, &code).await, 400, "invalid_grant");
    is_oauth_error(
        &shop.refresh(&app, tokens["refresh_token"].as_str().unwrap()).await,
        400,
        "invalid_grant",
    );
    is_oauth_error(&user_info(&app, tokens["access_token"].as_str().unwrap()).await, 401, "invalid_token");
    client.batch_execute("update auth.users set banned_until = null, deleted_at = now()").await.unwrap();
    is_oauth_error(&shop.exchange(&app, &code).await, 400, "invalid_grant");
}

#[tokio::test]
async fn wider_scope_is_refused_at_refresh() {
    let app = start().await;
    let person = app.sign_up("ann@example.com").await;
    let shop = Shop::public(&app).await;
    let tokens = shop.tokens(&app, &person, "email").await;
    let token = tokens["refresh_token"].as_str().unwrap();
    for wide in ["email phone", "admin"] {
        let fields = [("grant_type", "refresh_token"), ("refresh_token", token), ("scope", wide)];
        is_oauth_error(&shop.token(&app, &fields).await, 400, "invalid_scope");
    }
    shop.refresh(&app, token).await.ok();
}

#[tokio::test]
async fn oversized_body_is_refused() {
    let app = start().await;
    let shop = Shop::public(&app).await;
    let large = "x".repeat(1_100_000);
    let fields = [("grant_type", "refresh_token"), ("refresh_token", large.as_str())];
    is_oauth_error(&shop.token(&app, &fields).await, 413, "invalid_request");
}

#[tokio::test]
async fn user_info_needs_a_token() {
    let app = start().await;
    for token in ["x", &app.anon_key.clone()] {
        for method in [Method::GET, Method::POST] {
            let answer = app.send(method, "/oauth/userinfo", Some(token), "").await;
            is_oauth_error(&answer, 401, "invalid_token");
            assert_eq!(answer.headers["www-authenticate"], "Bearer error=\"invalid_token\"");
        }
    }
}

#[tokio::test]
async fn guesses_are_limited_and_applications_with_a_secret_are_not() {
    let settings = rowhouse_auth::AuthSettings { token_rate_per_5min: 3, ..super::with_site() };
    let app = super::start_with(settings, super::oauth_settings()).await;
    let (shop, public) = (Shop::register(&app, json!({})).await, Shop::public(&app).await);
    let wrong = Shop { id: shop.id.clone(), secret: "wrong".to_owned() };
    for _ in 0..2 {
        is_oauth_error(&wrong.refresh(&app, "x").await, 401, "invalid_client");
    }
    is_oauth_error(&public.refresh(&app, "x").await, 400, "invalid_grant");
    is_oauth_error(&public.refresh(&app, "x").await, 429, "temporarily_unavailable");
    is_oauth_error(&wrong.refresh(&app, "x").await, 429, "temporarily_unavailable");
    is_oauth_error(&shop.refresh(&app, "x").await, 400, "invalid_grant");
}

#[tokio::test]
async fn credentials_of_an_application_are_no_bad_tokens() {
    let db = TestDatabase::create().await;
    let app = App::with_setup(db, super::with_site(), |setup| {
        setup.settings.put(super::oauth_settings());
        setup.settings.update(|server: &mut ServerSettings| server.bad_token_rate_per_5min = 2);
    })
    .await;
    let shop = Shop::register(&app, json!({})).await;
    for _ in 0..5 {
        is_oauth_error(&shop.refresh(&app, "x").await, 400, "invalid_grant");
    }
    for status in [401, 401, 429] {
        assert_eq!(token(&app, Some("Bearer x"), &[("grant_type", "refresh_token")]).await.status, status);
    }
}
