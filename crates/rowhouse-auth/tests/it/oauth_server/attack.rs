//! Attacks on codes, tokens and redirects.

use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Method};
use rowhouse_db::{Database, DbSettings};
use rowhouse_http::{CallerResolver, LiveCaller, LiveCallerError};
use serde_json::{Value, json};

use super::{BACK, Shop, is_oauth_error, show, start, start_with, user_info};
use crate::app::{App, Person};
use crate::external::{parameter, visit};

/// The error that the application is told.
async fn told(app: &App, path: &str) -> String {
    let back = visit(app, path).await.target();
    assert!(back.as_str().starts_with(BACK), "{back}");
    assert_eq!(parameter(&back, "code"), None);
    parameter(&back, "error").unwrap()
}

#[tokio::test]
async fn nobody_is_sent_to_a_page_that_is_not_registered() {
    let app = start().await;
    let shop = Shop::public(&app).await;
    for other in [
        "https://evil.example/callback",
        "https://shop.example.evil.example/callback",
        "https://shop.example@evil.example/callback",
        "https://shop.example/callback/../evil",
        "https://shop.example/callback?next=https://evil.example",
        "https://shop.example/callback#",
        "https://SHOP.example/callback",
        "https://shop.example:443/callback",
        "http://shop.example/callback",
        "//shop.example/callback",
        "javascript:alert(1)",
        "https://shop.example/call",
        "https://shop.example/callback%00",
    ] {
        let answer =
            visit(&app, &shop.request("email", &[("redirect_uri", other), ("scope", "admin")])).await;
        assert_eq!((answer.status.as_u16(), answer.location), (400, None), "{other}");
        assert_eq!(answer.body["error_code"], "validation_failed", "{other}");
    }
    let twice = format!("{}&redirect_uri=https://evil.example/", shop.request("email", &[]));
    let answer = visit(&app, &twice).await;
    assert_eq!((answer.status.as_u16(), answer.location), (400, None));
}

#[tokio::test]
async fn unknown_applications_are_told_nothing() {
    let app = start().await;
    let shop = Shop::public(&app).await;
    for (id, code) in [
        ("", "validation_failed"),
        ("x", "oauth_client_not_found"),
        ("00000000-0000-0000-0000-000000000000", "oauth_client_not_found"),
    ] {
        let answer = visit(&app, &shop.request("email", &[("client_id", id)])).await;
        assert_eq!((answer.status.as_u16(), answer.location), (400, None));
        assert_eq!(answer.body["error_code"], code);
    }
    let answer = visit(&app, &shop.request("email", &[("redirect_uri", "")])).await;
    assert_eq!(answer.body["error_code"], "validation_failed");
}

#[tokio::test]
async fn malformed_requests_are_told_to_the_application() {
    let app = start().await;
    let shop = Shop::public(&app).await;
    let with = async |more: &[(&str, &str)]| told(&app, &shop.request("email", more)).await;
    assert_eq!(with(&[("response_type", "token")]).await, "unsupported_response_type");
    assert_eq!(with(&[("scope", "admin")]).await, "invalid_scope");
    assert_eq!(with(&[("code_challenge_method", "plain")]).await, "invalid_request");
    assert_eq!(with(&[("code_challenge", ""), ("code_challenge_method", "")]).await, "invalid_request");
    assert_eq!(with(&[("code_challenge", "short")]).await, "invalid_request");
    assert_eq!(with(&[("resource", "x")]).await, "invalid_target");
    assert_eq!(with(&[("prompt", "none")]).await, "interaction_required");
    assert_eq!(with(&[("request", "x")]).await, "request_not_supported");
    assert_eq!(with(&[("request_uri", "x")]).await, "request_uri_not_supported");
    assert_eq!(with(&[("response_mode", "form_post")]).await, "invalid_request");
    assert_eq!(with(&[("nonce", &"x".repeat(256))]).await, "invalid_request");
    let count: i64 = app
        .sql()
        .await
        .query_one("select count(*) from auth.oauth_authorizations", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(count, 0);
}

/// One of the two uses was a thief's, so neither keeps what it got.
#[tokio::test]
async fn second_use_of_a_code_ends_the_session_of_the_first() {
    let app = start().await;
    let person = app.sign_up("ann@example.com").await;
    let shop = Shop::public(&app).await;
    let other = shop.tokens(&app, &person, "email").await;
    let code = shop.code(&app, &person, "email").await;
    let tokens = shop.exchange(&app, &code).await.ok();
    user_info(&app, tokens["access_token"].as_str().unwrap()).await.ok();
    is_oauth_error(&shop.exchange(&app, &code).await, 400, "invalid_grant");
    is_oauth_error(&user_info(&app, tokens["access_token"].as_str().unwrap()).await, 401, "invalid_token");
    is_oauth_error(
        &shop.refresh(&app, tokens["refresh_token"].as_str().unwrap()).await,
        400,
        "invalid_grant",
    );
    is_oauth_error(&shop.exchange(&app, &code).await, 400, "invalid_grant");
    user_info(&app, other["access_token"].as_str().unwrap()).await.ok();
    app.get("/user", person.token()).await.ok();
}

#[tokio::test]
async fn code_used_twice_at_once_gives_one_session_at_most() {
    let app = start().await;
    let person = app.sign_up("ann@example.com").await;
    let shop = Shop::public(&app).await;
    let code = shop.code(&app, &person, "email").await;
    let once = || shop.exchange(&app, &code);
    let (one, two, three) = tokio::join!(once(), once(), once());
    let given = [one, two, three].iter().filter(|answer| answer.status == 200).count();
    assert_eq!(given, 1);
    let sql = "select count(*) from auth.sessions where oauth_client_id is not null";
    let left: i64 = app.sql().await.query_one(sql, &[]).await.unwrap().get(0);
    assert_eq!(left, 0);
}

#[tokio::test]
async fn code_and_refresh_token_of_another_application_are_refused() {
    let app = start().await;
    let person = app.sign_up("ann@example.com").await;
    let (shop, thief) = (Shop::public(&app).await, Shop::register(&app, json!({})).await);
    let code = shop.code(&app, &person, "email").await;
    is_oauth_error(&thief.exchange(&app, &code).await, 400, "invalid_grant");
    let tokens = shop.exchange(&app, &code).await.ok();
    // A stranger's use of a used code ends nothing.
    is_oauth_error(&thief.exchange(&app, &code).await, 400, "invalid_grant");
    let token = tokens["refresh_token"].as_str().unwrap();
    is_oauth_error(&thief.refresh(&app, token).await, 400, "invalid_grant");
    shop.refresh(&app, token).await.ok();
}

#[tokio::test]
async fn refresh_tokens_of_users_and_of_applications_are_not_interchangeable() {
    let app = start().await;
    let person = app.sign_up("ann@example.com").await;
    let shop = Shop::public(&app).await;
    let tokens = shop.tokens(&app, &person, "email").await;
    let token = tokens["refresh_token"].as_str().unwrap();
    app.refresh(token).await.is(400, "refresh_token_not_found");
    is_oauth_error(&shop.refresh(&app, person.refresh_token()).await, 400, "invalid_grant");
    shop.refresh(&app, token).await.ok();
    app.refresh(person.refresh_token()).await.ok();
}

/// A token with a row, as an imported database has them.
#[tokio::test]
async fn row_token_of_an_applications_session_is_refused() {
    let app = start().await;
    let person = app.sign_up("ann@example.com").await;
    let shop = Shop::public(&app).await;
    shop.tokens(&app, &person, "email").await;
    let sql = "insert into auth.refresh_tokens (token, user_id, session_id, revoked)
               select 'imported0000', user_id::text, id, false from auth.sessions where oauth_client_id is not null;
               update auth.sessions set refresh_token_counter = null where oauth_client_id is not null";
    app.sql().await.batch_execute(sql).await.unwrap();
    app.refresh("imported0000").await.is(400, "refresh_token_not_found");
}

#[tokio::test]
async fn reuse_of_a_refresh_token_ends_the_applications_session_alone() {
    let app = start().await;
    let person = app.sign_up("ann@example.com").await;
    let shop = Shop::public(&app).await;
    let mut tokens = shop.tokens(&app, &person, "email").await;
    let first = tokens["refresh_token"].as_str().unwrap().to_owned();
    for _ in 0..2 {
        app.pass(super::MINUTE);
        tokens = shop.refresh(&app, tokens["refresh_token"].as_str().unwrap()).await.ok();
    }
    app.pass(super::MINUTE);
    is_oauth_error(&shop.refresh(&app, &first).await, 400, "invalid_grant");
    is_oauth_error(
        &shop.refresh(&app, tokens["refresh_token"].as_str().unwrap()).await,
        400,
        "invalid_grant",
    );
    app.get("/user", person.token()).await.ok();
}

#[tokio::test]
async fn application_reads_the_user_and_changes_nothing_about_the_account() {
    let app = start().await;
    let person = app.sign_up("ann@example.com").await;
    let shop = Shop::public(&app).await;
    let tokens = shop.tokens(&app, &person, "email").await;
    let token = tokens["access_token"].as_str().unwrap();
    assert_eq!(app.get("/user", token).await.ok()["id"], person.id());
    let tenant = person.claims(&app)["tenant_id"].clone();
    let name = shop.ask(&app, "openid email phone").await;
    for (method, path, body) in [
        (Method::PUT, "/user".to_owned(), json!({ "password": "another horse" })),
        (Method::POST, "/logout?scope=global".to_owned(), json!({})),
        (Method::POST, "/tenant".to_owned(), json!({ "tenant_id": tenant })),
        (Method::GET, "/sessions".to_owned(), Value::Null),
        (Method::POST, "/factors".to_owned(), json!({ "factor_type": "totp" })),
        (Method::GET, "/reauthenticate".to_owned(), Value::Null),
        (Method::GET, format!("/oauth/authorizations/{name}"), Value::Null),
        (Method::POST, format!("/oauth/authorizations/{name}/consent"), json!({ "action": "approve" })),
        (Method::GET, "/user/oauth/grants".to_owned(), Value::Null),
        (Method::DELETE, format!("/user/oauth/grants?client_id={}", shop.id), Value::Null),
    ] {
        app.send(method, &path, Some(token), body.to_string()).await.is(403, "insufficient_scope");
    }
    app.sql().await.batch_execute("update auth.users set role = 'service_role'").await.unwrap();
    assert_eq!(shop.refresh(&app, tokens["refresh_token"].as_str().unwrap()).await.status, 400);
    app.get("/admin/users", token).await.is(403, "not_admin");
}

#[tokio::test]
async fn application_is_refused_where_the_admin_api_takes_users() {
    let app = start().await;
    let person = app.sign_up("ann@example.com").await;
    let tokens = Shop::public(&app).await.tokens(&app, &person, "email").await;
    let resolver: Arc<CallerResolver> = app.provided();
    let database = Database::open(&app.db.urls, &DbSettings::default(), true).unwrap();
    let ask = async |token: &str| {
        let header = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
        let identity = resolver.resolve(&HeaderMap::from_iter([(AUTHORIZATION, header)]));
        LiveCaller::require(&identity, &database.control, &app.origin()).await.map(|_| ())
    };
    assert!(ask(person.token()).await.is_ok());
    let refused = ask(tokens["access_token"].as_str().unwrap()).await;
    assert!(matches!(refused, Err(LiveCallerError::Delegated)), "{refused:?}");
}

/// Where a user has one session, an application does not take it.
#[tokio::test]
async fn single_session_is_the_users_own() {
    let settings = rowhouse_auth::AuthSettings { single_session_per_user: true, ..super::with_site() };
    let app = start_with(settings, super::oauth_settings()).await;
    let person = app.sign_up("ann@example.com").await;
    app.pass(super::MINUTE);
    let shop = Shop::public(&app).await;
    let tokens = shop.tokens(&app, &person, "email").await;
    app.pass(super::MINUTE);
    let renewed = Person(app.refresh(person.refresh_token()).await.ok());
    app.get("/user", renewed.token()).await.ok();
    app.sign_in("ann@example.com").await;
    shop.refresh(&app, tokens["refresh_token"].as_str().unwrap()).await.ok();
}

/// Whoever made an account with somebody else's address must not keep an application's access to it.
#[tokio::test]
async fn consents_of_an_unproved_account_do_not_survive_its_owner() {
    let app = start().await;
    let person = app.sign_up("ann@example.com").await;
    let shop = Shop::register(&app, json!({})).await;
    let code = shop.code(&app, &person, "email").await;
    let client = app.sql().await;
    client.execute("select auth.evict_unproved($1::text::uuid)", &[&person.id()]).await.unwrap();
    is_oauth_error(&shop.exchange(&app, &code).await, 400, "invalid_grant");
    let left: i64 = client.query_one("select count(*) from auth.oauth_consents", &[]).await.unwrap().get(0);
    assert_eq!(left, 0);
}

#[tokio::test]
async fn signed_out_user_decides_nothing() {
    let app = start().await;
    let person = app.sign_up("ann@example.com").await;
    let name = Shop::public(&app).await.ask(&app, "email").await;
    app.post_as("/logout", person.token(), json!({})).await;
    show(&app, &person, &name).await.is(403, "session_not_found");
}

#[tokio::test]
async fn code_of_a_user_who_signed_out_everywhere_is_refused() {
    let app = start().await;
    let shop = Shop::register(&app, json!({})).await;
    let person = app.sign_up("ann@example.com").await;
    let code = shop.code(&app, &person, "openid").await;
    app.post_as("/logout?scope=global", person.token(), json!({})).await;
    is_oauth_error(&shop.exchange(&app, &code).await, 400, "invalid_grant");
}
