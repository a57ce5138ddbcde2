//! The user's decision: whose it is, how long it holds, and how it is taken back.

use http::Method;
use serde_json::json;
use url::Url;

use super::{BACK, Shop, decide, is_oauth_error, show, start, user_info};
use crate::external::parameter;
use crate::factor::with_factor;

#[tokio::test]
async fn refusal_is_told_to_the_application() {
    let app = start().await;
    let person = app.sign_up("ann@example.com").await;
    let name = Shop::public(&app).await.ask(&app, "email").await;
    show(&app, &person, &name).await.ok();
    let answer = decide(&app, &person, &name, "deny").await.ok();
    let back = Url::parse(answer["redirect_url"].as_str().unwrap()).unwrap();
    assert!(back.as_str().starts_with(BACK));
    assert_eq!(parameter(&back, "error").as_deref(), Some("access_denied"));
    assert_eq!(parameter(&back, "state").as_deref(), Some("a state"));
    assert_eq!(parameter(&back, "code"), None);
    decide(&app, &person, &name, "approve").await.is(400, "validation_failed");
    show(&app, &person, &name).await.is(400, "validation_failed");
    assert_eq!(app.get("/user/oauth/grants", person.token()).await.ok(), json!([]));
}

#[tokio::test]
async fn request_belongs_to_the_first_who_looks_at_it() {
    let app = start().await;
    let (ann, bob) = (app.sign_up("ann@example.com").await, app.sign_up("bob@example.com").await);
    let name = Shop::public(&app).await.ask(&app, "email").await;
    decide(&app, &bob, &name, "approve").await.is(404, "oauth_authorization_not_found");
    show(&app, &ann, &name).await.ok();
    show(&app, &bob, &name).await.is(404, "oauth_authorization_not_found");
    decide(&app, &bob, &name, "approve").await.is(404, "oauth_authorization_not_found");
    decide(&app, &ann, &name, "perhaps").await.is(400, "validation_failed");
    decide(&app, &ann, &name, "approve").await.ok();
    decide(&app, &ann, &name, "approve").await.is(400, "validation_failed");
}

#[tokio::test]
async fn request_expires_and_unknown_ones_are_not_found() {
    let app = start().await;
    let person = app.sign_up("ann@example.com").await;
    let name = Shop::public(&app).await.ask(&app, "email").await;
    show(&app, &person, &name).await.ok();
    app.pass(10 * super::MINUTE);
    show(&app, &person, &name).await.is(404, "oauth_authorization_not_found");
    decide(&app, &person, &name, "approve").await.is(404, "oauth_authorization_not_found");
    for unknown in ["x", &"x".repeat(200), "%00"] {
        show(&app, &person, unknown).await.is(404, "oauth_authorization_not_found");
    }
}

#[tokio::test]
async fn consent_is_remembered_until_more_is_asked_for() {
    let app = start().await;
    let person = app.sign_up("ann@example.com").await;
    let shop = Shop::public(&app).await;
    shop.code(&app, &person, "openid email").await;
    let again = show(&app, &person, &shop.ask(&app, "email").await).await.ok();
    let back = Url::parse(again["redirect_url"].as_str().unwrap()).unwrap();
    shop.exchange(&app, &parameter(&back, "code").unwrap()).await.ok();
    let more = show(&app, &person, &shop.ask(&app, "email phone").await).await.ok();
    assert!(more.get("redirect_url").is_none());
    let other = app.sign_up("bob@example.com").await;
    let first = show(&app, &other, &shop.ask(&app, "email").await).await.ok();
    assert!(first.get("redirect_url").is_none());
}

/// Another program on the machine could listen there and pretend to be the application.
#[tokio::test]
async fn consent_is_not_remembered_for_a_public_client_on_this_machine() {
    let app = start().await;
    let person = app.sign_up("ann@example.com").await;
    let local = "http://localhost:3000/cb";
    let more = json!({ "token_endpoint_auth_method": "none", "redirect_uris": [local] });
    let shop = Shop::register(&app, more).await;
    for _ in 0..2 {
        let path = shop.request("email", &[("redirect_uri", local)]);
        let page = crate::external::visit(&app, &path).await.target();
        let name = parameter(&page, "authorization_id").unwrap();
        assert!(show(&app, &person, &name).await.ok().get("redirect_url").is_none());
        decide(&app, &person, &name, "approve").await.ok();
    }
}

#[tokio::test]
async fn grants_are_listed_and_revoked_with_their_sessions() {
    let app = start().await;
    let person = app.sign_up("ann@example.com").await;
    let (shop, other) =
        (Shop::public(&app).await, Shop::register(&app, json!({ "client_name": "Other" })).await);
    let tokens = shop.tokens(&app, &person, "openid email").await;
    app.pass(super::MINUTE);
    let kept = other.tokens(&app, &person, "email").await;
    let pending = shop.code(&app, &person, "email").await;
    let listed = app.get("/user/oauth/grants", person.token()).await.ok();
    let names: Vec<_> = listed.as_array().unwrap().iter().map(|grant| &grant["client"]["name"]).collect();
    assert_eq!(names, ["Other", "Shop"]);
    assert_eq!(listed[1]["scopes"], json!(["openid", "email"]));
    assert!(listed[1]["granted_at"].is_string());
    let revoke =
        async |query: String| app.delete_as(&format!("/user/oauth/grants{query}"), person.token()).await;
    revoke(String::new()).await.is(400, "validation_failed");
    revoke("?client_id=x".to_owned()).await.is(400, "validation_failed");
    assert_eq!(revoke(format!("?client_id={}", shop.id)).await.status, 204);
    revoke(format!("?client_id={}", shop.id)).await.is(404, "oauth_consent_not_found");
    is_oauth_error(&user_info(&app, tokens["access_token"].as_str().unwrap()).await, 401, "invalid_token");
    let refreshed = shop.refresh(&app, tokens["refresh_token"].as_str().unwrap()).await;
    is_oauth_error(&refreshed, 400, "invalid_grant");
    is_oauth_error(&shop.exchange(&app, &pending).await, 400, "invalid_grant");
    user_info(&app, kept["access_token"].as_str().unwrap()).await.ok();
    assert!(show(&app, &person, &shop.ask(&app, "email").await).await.ok().get("redirect_url").is_none());
    let sql = "select action from audit.entries where action like 'oauth_consent%' order by occurred_at";
    let rows = app.sql().await.query(sql, &[]).await.unwrap();
    let actions: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(actions, ["oauth_consent_granted", "oauth_consent_granted", "oauth_consent_revoked"]);
}

#[tokio::test]
async fn user_with_a_second_factor_needs_it_to_agree() {
    let app = start().await;
    let (authenticator, _) = with_factor(&app, "ann@example.com").await;
    let weak = app.sign_in("ann@example.com").await;
    let shop = Shop::register(&app, json!({})).await;
    let name = shop.ask(&app, "email").await;
    show(&app, &weak, &name).await.ok();
    decide(&app, &weak, &name, "approve").await.is(401, "insufficient_aal");
    let strong = crate::app::Person(authenticator.verify(&app, &weak).await.ok());
    let answer = decide(&app, &strong, &name, "approve").await.ok();
    let back = Url::parse(answer["redirect_url"].as_str().unwrap()).unwrap();
    let tokens = shop.exchange(&app, &parameter(&back, "code").unwrap()).await.ok();
    // The user's next verification ends sessions without a factor; this one was given by a session with it.
    app.pass(super::MINUTE);
    let weak = app.sign_in("ann@example.com").await;
    authenticator.verify(&app, &weak).await.ok();
    user_info(&app, tokens["access_token"].as_str().unwrap()).await.ok();
    let weak = app.sign_in("ann@example.com").await;
    let again = show(&app, &weak, &shop.ask(&app, "email").await).await.ok();
    assert!(again.get("redirect_url").is_none());
}

#[tokio::test]
async fn decisions_come_from_the_projects_pages_only() {
    let app = start().await;
    let person = app.sign_up("ann@example.com").await;
    let name = Shop::public(&app).await.ask(&app, "email").await;
    let from = async |method: Method, path: &str, origin: &str| {
        let request = app.request(method, &format!("/auth/v1/oauth/authorizations/{name}{path}"));
        let request = request.bearer_auth(person.token()).header("origin", origin);
        app.app_send(request.body(r#"{"action":"approve"}"#)).await.0
    };
    assert_eq!(from(Method::GET, "", "https://evil.example").await, 400);
    assert_eq!(from(Method::GET, "", "null").await, 400);
    assert_eq!(from(Method::GET, "", "https://app.example").await, 200);
    assert_eq!(from(Method::POST, "/consent", "https://evil.example").await, 400);
    assert_eq!(from(Method::POST, "/consent", "https://app.example").await, 200);
}

/// It may be a thief's, who knew the password before there was a factor.
#[tokio::test]
async fn first_factor_ends_sessions_of_applications_from_before() {
    let app = start().await;
    let person = app.sign_up("ann@example.com").await;
    let tokens = Shop::public(&app).await.tokens(&app, &person, "email").await;
    let authenticator = crate::factor::Authenticator::enroll(&app, &person, "phone").await;
    authenticator.verify(&app, &person).await.ok();
    is_oauth_error(&user_info(&app, tokens["access_token"].as_str().unwrap()).await, 401, "invalid_token");
}

/// `service_role` bypasses row-level security: an application would have all tenants' rows.
#[tokio::test]
async fn application_gets_nothing_of_who_has_another_role() {
    let app = start().await;
    let person = app.sign_up("ann@example.com").await;
    let shop = Shop::public(&app).await;
    let code = shop.code(&app, &person, "email").await;
    let tokens = shop.exchange(&app, &code).await.ok();
    let promote = "update auth.users set role = 'service_role'";
    app.sql().await.batch_execute(promote).await.unwrap();
    let refresh =
        [("grant_type", "refresh_token"), ("refresh_token", tokens["refresh_token"].as_str().unwrap())];
    assert_eq!(shop.token(&app, &refresh).await.status, 400, "its session is over");
    let person = app.sign_in("ann@example.com").await;
    let answer = show(&app, &person, &shop.ask(&app, "email").await).await.ok();
    let back = Url::parse(answer["redirect_url"].as_str().unwrap()).unwrap();
    assert_eq!(parameter(&back, "error").as_deref(), Some("access_denied"));
}
