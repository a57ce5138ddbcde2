//! Applications: registration by administrators and by anybody.

use http::Method;
use rowhouse_auth::OauthServerSettings;
use serde_json::{Value, json};

use super::{BACK, Shop, is_oauth_error, oauth_settings, start, start_with, user_info, with_site};
use crate::app::{Answer, App};
use crate::external::visit;

async fn admin(app: &App, method: Method, path: &str, body: Value) -> Answer {
    let key = app.service_key.clone();
    let body = if body.is_null() { String::new() } else { body.to_string() };
    app.send(method, &format!("/admin/oauth/clients{path}"), Some(&key), body).await
}

fn open() -> OauthServerSettings {
    OauthServerSettings { allow_dynamic_registration: true, ..oauth_settings() }
}

#[tokio::test]
async fn application_is_registered_shown_changed_and_removed() {
    let app = start().await;
    let body = json!({ "client_name": "Shop", "redirect_uris": [BACK, "http://localhost:3000/cb"] });
    let made = admin(&app, Method::POST, "", body).await;
    assert_eq!((made.status.as_u16(), &made.headers["cache-control"]), (201, &"no-store".parse().unwrap()));
    let id = made.body["client_id"].as_str().unwrap();
    assert!(made.body["client_secret"].as_str().unwrap().len() > 20);
    assert_eq!(made.body["client_secret_expires_at"], 0);
    let shown = admin(&app, Method::GET, &format!("/{id}"), Value::Null).await.ok();
    let expected = json!({
        "client_id": id, "client_type": "confidential", "client_name": "Shop",
        "redirect_uris": [BACK, "http://localhost:3000/cb"], "token_endpoint_auth_method": "client_secret_basic",
        "grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"], "registration_type": "manual",
        "created_at": shown["created_at"], "updated_at": shown["updated_at"],
    });
    assert_eq!(shown, expected);
    app.pass(super::MINUTE);
    let body = json!({ "client_name": "Store", "token_endpoint_auth_method": "client_secret_post" });
    let changed = admin(&app, Method::PUT, &format!("/{id}"), body).await.ok();
    assert_eq!(
        (&changed["client_name"], &changed["redirect_uris"]),
        (&json!("Store"), &shown["redirect_uris"])
    );
    assert_eq!(changed["token_endpoint_auth_method"], "client_secret_post");
    assert_ne!(changed["updated_at"], shown["updated_at"]);
    assert_eq!(admin(&app, Method::DELETE, &format!("/{id}"), Value::Null).await.status, 204);
    admin(&app, Method::GET, &format!("/{id}"), Value::Null).await.is(404, "oauth_client_not_found");
    admin(&app, Method::DELETE, &format!("/{id}"), Value::Null).await.is(404, "oauth_client_not_found");
    let sql = "select count(*) from audit.entries where target_kind = 'oauth_client' and target_id = $1";
    let written: i64 = app.sql().await.query_one(sql, &[&id]).await.unwrap().get(0);
    assert_eq!(written, 3);
}

#[tokio::test]
async fn list_has_pages() {
    let app = start().await;
    assert_eq!(admin(&app, Method::GET, "", Value::Null).await.ok()["clients"], json!([]));
    for _ in 0..3 {
        Shop::register(&app, json!({})).await;
        app.pass(super::MINUTE);
    }
    let page = admin(&app, Method::GET, "?page=1&per_page=2", Value::Null).await;
    assert_eq!(page.headers["x-total-count"], "3");
    assert_eq!(
        page.headers["link"],
        r#"</admin/oauth/clients?page=2&per_page=2>; rel="next", </admin/oauth/clients?page=2&per_page=2>; rel="last""#
    );
    assert_eq!(page.ok()["clients"].as_array().unwrap().len(), 2);
    admin(&app, Method::GET, "?page=0", Value::Null).await.is(400, "validation_failed");
}

#[tokio::test]
async fn malformed_applications_are_refused() {
    let app = start().await;
    let refused = async |body: Value| {
        admin(&app, Method::POST, "", body).await.is(400, "validation_failed");
    };
    refused(json!({})).await;
    refused(json!({ "redirect_uris": [] })).await;
    refused(json!({ "redirect_uris": ["javascript://x/%0aalert(1)"] })).await;
    refused(json!({ "redirect_uris": ["http://shop.example/"] })).await;
    refused(json!({ "redirect_uris": [BACK], "grant_types": ["client_credentials"] })).await;
    refused(json!({ "redirect_uris": [BACK], "client_type": "public", "token_endpoint_auth_method": "client_secret_basic" })).await;
    refused(json!({ "redirect_uris": [BACK], "logo_uri": "javascript:alert(1)" })).await;
    admin(&app, Method::POST, "", json!({ "redirect_uris": "x" })).await.is(400, "bad_json");
    let id = Shop::register(&app, json!({})).await.id;
    let put = async |body: Value| admin(&app, Method::PUT, &format!("/{id}"), body).await;
    put(json!({})).await.is(400, "validation_failed");
    put(json!({ "client_type": "public" })).await.is(400, "validation_failed");
    put(json!({ "token_endpoint_auth_method": "none" })).await.is(400, "validation_failed");
    put(json!({ "redirect_uris": [] })).await.is(400, "validation_failed");
    admin(&app, Method::GET, "/x", Value::Null).await.is(400, "validation_failed");
    let nobody = uuid::Uuid::nil();
    admin(&app, Method::PUT, &format!("/{nobody}"), json!({ "client_name": "x" }))
        .await
        .is(404, "oauth_client_not_found");
}

#[tokio::test]
async fn nobody_chooses_id_secret_or_registration() {
    let app = start_with(with_site(), open()).await;
    let body = json!({
        "redirect_uris": [BACK], "client_id": uuid::Uuid::nil(), "id": uuid::Uuid::nil(), "client_secret": "chosen",
        "client_secret_hash": "x", "registration_type": "manual", "created_at": "2000-01-01T00:00:00Z", "deleted_at": null,
    });
    let made = app.post("/oauth/clients/register", body).await;
    assert_eq!(made.status, 201, "{}", made.body);
    assert_ne!(made.body["client_id"], json!(uuid::Uuid::nil()));
    assert_ne!(made.body["client_secret"], "chosen");
    assert_eq!(made.body["registration_type"], "dynamic");
    assert!(made.body["created_at"].as_str().unwrap().starts_with("2027"));
}

#[tokio::test]
async fn only_administrators_manage_applications() {
    let app = start().await;
    let person = app.sign_up("ann@example.com").await;
    let anon = app.anon_key.clone();
    for token in [person.token(), &anon] {
        app.get("/admin/oauth/clients", token).await.is(403, "not_admin");
        let body = json!({ "redirect_uris": [BACK] });
        app.post_as("/admin/oauth/clients", token, body).await.is(403, "not_admin");
    }
}

#[tokio::test]
async fn new_secret_replaces_the_former_one() {
    let app = start().await;
    let person = app.sign_up("ann@example.com").await;
    let shop = Shop::register(&app, json!({})).await;
    let code = shop.code(&app, &person, "email").await;
    let renewed =
        admin(&app, Method::POST, &format!("/{}/regenerate_secret", shop.id), Value::Null).await.ok();
    is_oauth_error(&shop.exchange(&app, &code).await, 401, "invalid_client");
    let secret = renewed["client_secret"].as_str().unwrap().to_owned();
    Shop { id: shop.id, secret: secret.clone() }.exchange(&app, &code).await.ok();
    let public = Shop::public(&app).await.id;
    let answer = admin(&app, Method::POST, &format!("/{public}/regenerate_secret"), Value::Null).await;
    answer.is(400, "validation_failed");
    let stored = app.sql().await;
    let sql = "select count(*) from auth.oauth_clients where client_secret_hash = $1 or redirect_uris = $1";
    let plain: i64 = stored.query_one(sql, &[&secret]).await.unwrap().get(0);
    assert_eq!(plain, 0);
}

#[tokio::test]
async fn removed_application_loses_everything() {
    let app = start().await;
    let person = app.sign_up("ann@example.com").await;
    let shop = Shop::register(&app, json!({})).await;
    let code = shop.code(&app, &person, "email").await;
    let tokens = shop.tokens(&app, &person, "email").await;
    assert_eq!(admin(&app, Method::DELETE, &format!("/{}", shop.id), Value::Null).await.status, 204);
    is_oauth_error(&shop.exchange(&app, &code).await, 401, "invalid_client");
    is_oauth_error(&user_info(&app, tokens["access_token"].as_str().unwrap()).await, 401, "invalid_token");
    assert_eq!(app.get("/user/oauth/grants", person.token()).await.ok(), json!([]));
    app.get("/user", person.token()).await.ok();
}

#[tokio::test]
async fn anybody_may_register_only_where_that_is_switched_on() {
    let app = start().await;
    let body = json!({ "redirect_uris": [BACK] });
    let answer = app.post("/oauth/clients/register", body).await;
    is_oauth_error(&answer, 403, "access_denied");
    assert_eq!(answer.body["error_code"], "oauth_dynamic_client_registration_disabled");
}

#[tokio::test]
async fn registrations_are_refused_in_the_words_of_the_rfc_and_limited() {
    let settings = OauthServerSettings { registration_rate_per_hour: 6, max_dynamic_clients: 1, ..open() };
    let app = start_with(with_site(), settings).await;
    let register = async |body: Value| app.post("/oauth/clients/register", body).await;
    is_oauth_error(&register(json!({ "redirect_uris": ["x"] })).await, 400, "invalid_redirect_uri");
    let body = json!({ "redirect_uris": [BACK], "response_types": ["token"] });
    is_oauth_error(&register(body).await, 400, "invalid_client_metadata");
    is_oauth_error(&register(json!([])).await, 400, "invalid_client_metadata");
    let body = json!({ "redirect_uris": [BACK], "token_endpoint_auth_method": "none" });
    let made = register(body.clone()).await;
    assert_eq!(made.status, 201);
    assert!(made.body.get("client_secret").is_none());
    // Whom nobody has agreed to makes room.
    let id = |made: &Answer| made.body["client_id"].as_str().unwrap().to_owned();
    let used = register(body.clone()).await;
    assert_eq!(used.status, 201, "{}", used.body);
    let evicted = Shop { id: id(&made), secret: String::new() };
    assert_eq!(
        visit(&app, &evicted.request("email", &[])).await.body["error_code"],
        "oauth_client_not_found"
    );
    let person = app.sign_up("ann@example.com").await;
    Shop { id: id(&used), secret: String::new() }.tokens(&app, &person, "email").await;
    app.come_from(2);
    is_oauth_error(&register(body.clone()).await, 400, "access_denied");
    app.come_from(1);
    is_oauth_error(&register(body.clone()).await, 400, "access_denied");
    let answer = register(body).await;
    is_oauth_error(&answer, 429, "temporarily_unavailable");
    assert!(answer.headers.contains_key("retry-after"));
}

#[tokio::test]
async fn unused_applications_and_old_requests_are_pruned() {
    let app = start_with(with_site(), open()).await;
    let person = app.sign_up("ann@example.com").await;
    let body = json!({ "redirect_uris": [BACK], "token_endpoint_auth_method": "none" });
    let register = async || {
        let made = app.post("/oauth/clients/register", body.clone()).await.body;
        Shop { id: made["client_id"].as_str().unwrap().to_owned(), secret: String::new() }
    };
    let (used, unused, manual) = (register().await, register().await, Shop::public(&app).await);
    used.tokens(&app, &person, "email").await;
    unused.ask(&app, "email").await;
    let client = app.sql().await;
    let sql = "update auth.oauth_clients set created_at = now() - interval '25 hours';
               update auth.oauth_authorizations set expires_at = now() - interval '2 days' where user_id is not null";
    client.batch_execute(sql).await.unwrap();
    let removed: i64 = client.query_one("select auth.prune_oauth()", &[]).await.unwrap().get(0);
    assert_eq!(removed, 2, "a pending request keeps nothing");
    let rows = client.query("select id::text from auth.oauth_clients order by 1", &[]).await.unwrap();
    let mut left: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let mut expected = vec![used.id, manual.id];
    left.sort();
    expected.sort();
    assert_eq!(left, expected);
}

#[tokio::test]
async fn application_that_registered_itself_is_trusted_with_nothing_before_consent() {
    let settings = rowhouse_auth::AuthSettings { token_rate_per_5min: 4, ..with_site() };
    let app = start_with(settings, open()).await;
    let made = app.post("/oauth/clients/register", json!({ "redirect_uris": [BACK] })).await.body;
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    let stranger = Shop { id: text("client_id"), secret: text("client_secret") };
    // The browser is not sent to a page that anybody may have registered.
    let answer = visit(&app, &stranger.request("email", &[("response_type", "token")])).await;
    assert_eq!((answer.status.as_u16(), answer.location.as_deref()), (400, None));
    assert_eq!(answer.body["error_code"], "validation_failed");
    for _ in 0..4 {
        is_oauth_error(&stranger.refresh(&app, "x").await, 400, "invalid_grant");
    }
    is_oauth_error(&stranger.refresh(&app, "x").await, 429, "temporarily_unavailable");
}
