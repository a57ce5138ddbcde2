//! The complete flow, and what its tokens say.

use http::Method;
use rowhouse_auth::AuthSettings;
use serde_json::{Value, json};

use super::{BACK, Shop, decide, oauth_settings, show, start, start_with, user_info, with_site};
use crate::app::{App, URL};
use crate::external::{parameter, visit};

fn claims(app: &App, token: &str) -> Value {
    let now = rowhouse_kernel::Clock::now(&*app.clock);
    Value::Object(app.keys.ring().verify(token, now).unwrap().claims)
}

#[tokio::test]
async fn application_signs_a_user_in() {
    let app = start().await;
    let person = app.sign_up("ann@example.com").await;
    let shop = Shop::register(&app, json!({ "client_uri": "https://shop.example/" })).await;
    let name = shop.ask(&app, "openid email").await;
    app.pass(super::MINUTE);
    let question = show(&app, &person, &name).await.ok();
    let expected = json!({
        "authorization_id": name, "redirect_uri": BACK, "scope": "openid email",
        "client": { "id": shop.id, "name": "Shop", "uri": "https://shop.example/" },
        "user": { "id": person.id(), "email": "ann@example.com" },
    });
    assert_eq!(question, expected);
    let answer = decide(&app, &person, &name, "approve").await.ok();
    let back = url::Url::parse(answer["redirect_url"].as_str().unwrap()).unwrap();
    assert!(back.as_str().starts_with(BACK));
    assert_eq!(parameter(&back, "state").as_deref(), Some("a state"));
    assert_eq!(parameter(&back, "iss").as_deref(), Some(format!("{URL}/auth/v1").as_str()));
    let tokens = shop.exchange(&app, &parameter(&back, "code").unwrap()).await;
    assert_eq!(tokens.headers["cache-control"], "no-store");
    let tokens = tokens.ok();
    assert_eq!(tokens["token_type"], "bearer");
    assert_eq!((&tokens["expires_in"], &tokens["scope"]), (&json!(3600), &json!("openid email")));
    assert!(tokens.get("user").is_none());
    let access = claims(&app, tokens["access_token"].as_str().unwrap());
    assert_eq!((&access["sub"], &access["role"]), (&json!(person.id()), &json!("authenticated")));
    assert_eq!((&access["client_id"], &access["scope"]), (&json!(shop.id), &json!("openid email")));
    assert_eq!(access["amr"][0]["method"], "oauth_provider/authorization_code");
    assert_ne!(access["session_id"], person.claims(&app)["session_id"]);
    let rows = app.sql().await;
    let sql = "select oauth_client_id::text, scopes from auth.sessions where oauth_client_id is not null";
    let row = rows.query_one(sql, &[]).await.unwrap();
    assert_eq!(
        (row.get::<_, String>(0), row.get::<_, String>(1)),
        (shop.id.clone(), "openid email".to_owned())
    );
}

#[tokio::test]
async fn id_token_tells_who_signed_in_when_and_for_whom() {
    let app = start().await;
    let person = app.sign_up("ann@example.com").await;
    let signed_in = app.now();
    app.pass(super::MINUTE);
    let shop = Shop::public(&app).await;
    let tokens = shop.tokens(&app, &person, "openid email").await;
    let told = claims(&app, tokens["id_token"].as_str().unwrap());
    let mut expected = json!({
        "iss": format!("{URL}/auth/v1"), "sub": person.id(), "aud": shop.id, "client_id": shop.id, "nonce": "a nonce",
        "sid": told["sid"], "iat": app.now(), "exp": app.now() + 3600, "auth_time": signed_in, "email": "ann@example.com", "email_verified": true,
    });
    expected["at_hash"] = told["at_hash"].clone();
    assert_eq!(told["at_hash"].as_str().unwrap().len(), 22);
    assert_eq!(told, expected);
    let without = shop.tokens(&app, &person, "email").await;
    assert!(without.get("id_token").is_none());
}

#[tokio::test]
async fn id_token_is_no_access_token() {
    let app = start().await;
    let person = app.sign_up("ann@example.com").await;
    let tokens = Shop::public(&app).await.tokens(&app, &person, "openid").await;
    app.get("/user", tokens["id_token"].as_str().unwrap()).await.is(403, "bad_jwt");
}

#[tokio::test]
async fn user_info_tells_what_the_scopes_allow() {
    let app = start().await;
    let person = app.sign_up("ann@example.com").await;
    let data = json!({ "data": { "full_name": "Ann", "avatar_url": "https://a.example/a.png" } });
    app.put_as("/user", person.token(), data).await.ok();
    let shop = Shop::public(&app).await;
    let told = async |scope: &str| {
        let tokens = shop.tokens(&app, &person, scope).await;
        user_info(&app, tokens["access_token"].as_str().unwrap()).await.ok()
    };
    let id = person.id();
    assert_eq!(told("openid").await, json!({ "sub": id }));
    assert_eq!(told("email").await, json!({ "sub": id, "email": "ann@example.com", "email_verified": true }));
    let profile = told("openid profile").await;
    assert_eq!((&profile["name"], &profile["picture"]), (&json!("Ann"), &json!("https://a.example/a.png")));
    assert_eq!(profile["user_metadata"]["full_name"], "Ann");
    assert!(profile.get("email").is_none());
    // A token of the user's own has no scopes.
    assert_eq!(user_info(&app, person.token()).await.ok(), json!({ "sub": id }));
    let posted = app.send(Method::POST, "/oauth/userinfo", Some(person.token()), "").await;
    assert_eq!(posted.ok(), json!({ "sub": id }));
}

#[tokio::test]
async fn refresh_token_is_rotated_and_may_be_narrowed() {
    let app = start().await;
    let person = app.sign_up("ann@example.com").await;
    let shop = Shop::register(&app, json!({})).await;
    let tokens = shop.tokens(&app, &person, "openid email").await;
    let first = tokens["refresh_token"].as_str().unwrap();
    app.pass(super::MINUTE);
    let renewed = shop.refresh(&app, first).await.ok();
    assert_eq!(renewed["scope"], "openid email");
    let access = claims(&app, renewed["access_token"].as_str().unwrap());
    assert_eq!((&access["client_id"], &access["scope"]), (&json!(shop.id), &json!("openid email")));
    let second = renewed["refresh_token"].as_str().unwrap();
    assert_ne!(first, second);
    let fields = [("grant_type", "refresh_token"), ("refresh_token", second), ("scope", "openid")];
    let narrow = shop.token(&app, &fields).await.ok();
    assert_eq!(narrow["scope"], "openid");
    let told = user_info(&app, narrow["access_token"].as_str().unwrap()).await.ok();
    assert_eq!(told, json!({ "sub": person.id() }));
}

#[tokio::test]
async fn application_without_the_grant_gets_no_refresh_token() {
    let app = start().await;
    let person = app.sign_up("ann@example.com").await;
    let shop = Shop::register(&app, json!({ "grant_types": ["authorization_code"] })).await;
    let tokens = shop.tokens(&app, &person, "email").await;
    assert!(tokens.get("refresh_token").is_none());
}

#[tokio::test]
async fn scope_has_a_default() {
    let app = start().await;
    let person = app.sign_up("ann@example.com").await;
    let shop = Shop::public(&app).await;
    let page = visit(&app, &shop.request("", &[("scope", "")])).await.target();
    let name = parameter(&page, "authorization_id").unwrap();
    assert_eq!(show(&app, &person, &name).await.ok()["scope"], "email");
}

#[tokio::test]
async fn discovery_names_what_is_there() {
    let app = start().await;
    let issuer = format!("{URL}/auth/v1");
    let document = app.get("/.well-known/openid-configuration", &app.anon_key).await.ok();
    assert_eq!(document["issuer"], issuer);
    assert_eq!(document["authorization_endpoint"], format!("{issuer}/oauth/authorize"));
    assert_eq!(document["token_endpoint"], format!("{issuer}/oauth/token"));
    assert_eq!(document["userinfo_endpoint"], format!("{issuer}/oauth/userinfo"));
    assert_eq!(document["code_challenge_methods_supported"], json!(["S256"]));
    assert_eq!(document["response_types_supported"], json!(["code"]));
    assert_eq!(document["id_token_signing_alg_values_supported"], json!(["ES256"]));
    assert!(document.get("registration_endpoint").is_none());
    let same = app.get("/.well-known/oauth-authorization-server", &app.anon_key).await.ok();
    assert_eq!(same, document);
    let open = rowhouse_auth::OauthServerSettings { allow_dynamic_registration: true, ..oauth_settings() };
    let app = start_with(with_site(), open).await;
    let document = app.get("/.well-known/openid-configuration", &app.anon_key).await.ok();
    assert_eq!(document["registration_endpoint"], format!("{issuer}/oauth/clients/register"));
}

#[tokio::test]
async fn server_that_is_switched_off_is_not_there() {
    let app = App::start().await;
    let person = app.sign_up("ann@example.com").await;
    let nobody = uuid::Uuid::nil();
    let key = app.service_key.clone();
    let off = async |method: Method, path: String, token: &str| {
        app.send(method, &path, Some(token), "{}").await.is(404, "feature_disabled");
    };
    off(Method::GET, "/oauth/authorize".to_owned(), person.token()).await;
    off(Method::GET, "/oauth/authorizations/x".to_owned(), person.token()).await;
    off(Method::POST, "/oauth/authorizations/x/consent".to_owned(), person.token()).await;
    off(Method::POST, "/oauth/token".to_owned(), person.token()).await;
    off(Method::GET, "/oauth/userinfo".to_owned(), person.token()).await;
    off(Method::POST, "/oauth/clients/register".to_owned(), person.token()).await;
    off(Method::GET, "/user/oauth/grants".to_owned(), person.token()).await;
    off(Method::GET, "/admin/oauth/clients".to_owned(), &key).await;
    off(Method::POST, "/admin/oauth/clients".to_owned(), &key).await;
    off(Method::GET, format!("/admin/oauth/clients/{nobody}"), &key).await;
    off(Method::GET, "/.well-known/oauth-authorization-server".to_owned(), &key).await;
    let root = app.request(Method::GET, "/.well-known/oauth-authorization-server/auth/v1");
    let (status, body) = app.app_send(root).await;
    assert_eq!((status, &body["error_code"]), (404, &json!("feature_disabled")));
    let document = app.get("/.well-known/openid-configuration", &key).await.ok();
    assert!(document.get("token_endpoint").is_none());
    assert_eq!(document["response_types_supported"], json!([]));
}

#[tokio::test]
async fn consent_page_is_below_the_site() {
    let settings = AuthSettings { site_url: Some("https://app.example/shop/".to_owned()), ..with_site() };
    let app = start_with(settings, oauth_settings()).await;
    let shop = Shop::public(&app).await;
    let page = visit(&app, &shop.request("email", &[])).await.target();
    assert_eq!(page.path(), "/shop/oauth/consent");
}

#[tokio::test]
async fn scopes_limit_what_an_application_sees_of_the_account() {
    let app = start().await;
    let person = app.sign_up("ann@example.com").await;
    app.put_as("/user", person.token(), json!({ "data": { "name": "Ann" } })).await.ok();
    let shop = Shop::public(&app).await;
    for (scope, email, metadata) in [
        ("openid", "", json!({})),
        ("email", "ann@example.com", json!({})),
        ("openid profile", "", json!({ "name": "Ann" })),
    ] {
        let tokens = shop.tokens(&app, &person, scope).await;
        let token = tokens["access_token"].as_str().unwrap();
        let user = app.get("/user", token).await.ok();
        for told in [&user, &claims(&app, token)] {
            assert_eq!(told["email"], email, "{scope} {told}");
            assert_eq!(told["user_metadata"].get("name"), metadata.get("name"), "{scope} {told}");
            assert_eq!(told["app_metadata"]["provider"], "email");
        }
        assert_eq!(user["identities"], json!([]));
        assert_eq!(user["email_confirmed_at"].is_string(), !email.is_empty());
    }
}
