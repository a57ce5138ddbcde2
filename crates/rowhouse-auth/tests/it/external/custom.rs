//! Providers that an administrator sets up.

use reqwest::Method;
use rowhouse_jobs::JobsSettings;
use rowhouse_testkit::TestDatabase;
use serde_json::{Value, json};

use super::id_token::present;
use super::{FakeProvider, is_error, parameter, person, visit, with_providers};
use crate::app::{Answer, App};

const PATH: &str = "/admin/custom-providers";

/// A process that may reach the provider, though it is on this machine.
async fn start() -> App {
    let private = |setup: &mut rowhouse_testkit::Setup| {
        setup.settings.update(|jobs: &mut JobsSettings| jobs.allow_private_urls = true);
    };
    App::with_setup(TestDatabase::create().await, with_providers(json!({})), private).await
}

async fn admin(app: &App, method: Method, path: &str, body: Value) -> Answer {
    app.send(method, path, Some(&app.service_key), body.to_string()).await
}

fn oidc(provider: &FakeProvider) -> Value {
    json!({
        "provider_type": "oidc", "identifier": "custom:acme", "name": "Acme", "client_id": "web",
        "client_secret": "sesame", "issuer": provider.url, "acceptable_client_ids": ["phone"],
        "authorization_params": { "prompt": "login" }, "custom_claims_allowlist": ["department"],
    })
}

#[tokio::test]
async fn provider_is_made_shown_changed_used_and_removed() {
    let provider = FakeProvider::start().await;
    let app = start().await;
    let made = admin(&app, Method::POST, PATH, oidc(&provider)).await;
    assert_eq!(made.status, 201, "{}", made.body);
    assert_eq!((&made.body["identifier"], made.body.get("client_secret")), (&json!("custom:acme"), None));
    let stored = "select client_secret from auth.custom_oauth_providers";
    let stored: String = app.sql().await.query_one(stored, &[]).await.unwrap().get(0);
    assert!(stored.starts_with("sealed:"), "{stored}");
    let one = format!("{PATH}/custom:acme");
    assert_eq!(admin(&app, Method::GET, &one, json!({})).await.ok(), made.body);
    let all = admin(&app, Method::GET, PATH, json!({})).await.ok();
    assert_eq!(all, json!({ "providers": [made.body] }));
    let none = admin(&app, Method::GET, &format!("{PATH}?type=oauth2"), json!({})).await.ok();
    assert_eq!(none, json!({ "providers": [] }));

    let path = "/authorize?provider=custom:acme&scopes=email&prompt=none&Prompt=none&login_hint=ann";
    let there = visit(&app, path).await.target();
    let prompts = there.query_pairs().filter(|(name, _)| name.eq_ignore_ascii_case("prompt"));
    assert_eq!(prompts.count(), 1, "the administrator's alone: {there}");
    assert_eq!(parameter(&there, "login_hint").as_deref(), Some("ann"));
    assert_eq!(parameter(&there, "scope").as_deref(), Some("openid email"));
    assert_eq!(parameter(&there, "prompt").as_deref(), Some("login"));
    let mut claims = person("1", "a@example.com", true);
    claims["department"] = json!("sales");
    let back = visit(&app, &provider.admit(&there, claims)).await.target();
    let user = app.get("/user", &parameter(&back, "access_token").unwrap()).await.ok();
    assert_eq!(user["app_metadata"]["provider"], "custom:acme");
    assert_eq!(user["user_metadata"]["custom_claims"], json!({ "department": "sales" }));
    let mut phone = person("1", "a@example.com", true);
    phone["aud"] = json!("phone");
    present(&app, json!({ "provider": "custom:acme", "id_token": provider.id_token(phone.clone()) }))
        .await
        .ok();

    let changed = admin(&app, Method::PUT, &one, json!({ "name": "Other", "enabled": false })).await.ok();
    assert_eq!((&changed["name"], &changed["enabled"]), (&json!("Other"), &json!(false)));
    app.send(Method::GET, "/authorize?provider=custom:acme", None, "").await.is(400, "validation_failed");
    assert_eq!(admin(&app, Method::DELETE, &one, json!({})).await.status, 204);
    admin(&app, Method::GET, &one, json!({})).await.is(404, "custom_provider_not_found");
    admin(&app, Method::PUT, &one, json!({})).await.is(404, "custom_provider_not_found");
    admin(&app, Method::DELETE, &one, json!({})).await.is(404, "custom_provider_not_found");
    let actions = "select string_agg(action, ' ' order by occurred_at) from audit.entries where target_kind = 'custom_provider'";
    let actions: String = app.sql().await.query_one(actions, &[]).await.unwrap().get(0);
    assert_eq!(actions, "provider_created provider_updated provider_deleted");
}

#[tokio::test]
async fn provider_that_was_removed_meanwhile_signs_nobody_in() {
    let provider = FakeProvider::start().await;
    let app = start().await;
    admin(&app, Method::POST, PATH, oidc(&provider)).await;
    let there = visit(&app, "/authorize?provider=custom:acme").await.target();
    admin(&app, Method::DELETE, &format!("{PATH}/custom:acme"), json!({})).await;
    let back = visit(&app, &provider.admit(&there, person("1", "a@example.com", true))).await.target();
    is_error(&back, "oauth_provider_not_supported");
}

#[tokio::test]
async fn oauth2_provider_tells_the_profile_in_its_own_names() {
    let provider = FakeProvider::start().await;
    let app = start().await;
    let url = &provider.url;
    let body = json!({
        "provider_type": "oauth2", "identifier": "custom:old", "name": "Old", "client_id": "web", "client_secret": "s",
        "authorization_url": format!("{url}/authorize"), "token_url": format!("{url}/token"),
        "userinfo_url": format!("{url}/userinfo"), "scopes": ["profile"],
        "attribute_mapping": { "sub": "uid", "email": "mail" },
    });
    assert_eq!(admin(&app, Method::POST, PATH, body).await.status, 201);
    provider
        .set(|says| says.userinfo = json!({ "uid": "u1", "mail": "a@example.com", "email_verified": true }));
    let there = visit(&app, "/authorize?provider=custom:old").await.target();
    assert_eq!(parameter(&there, "scope").as_deref(), Some("profile"));
    let back = visit(&app, &provider.admit(&there, json!({}))).await.target();
    let user = app.get("/user", &parameter(&back, "access_token").unwrap()).await.ok();
    assert_eq!((&user["email"], &user["identities"][0]["id"]), (&json!("a@example.com"), &json!("u1")));
    let body = json!({ "provider": "custom:old", "id_token": "x" });
    present(&app, body).await.is(400, "validation_failed");
}

#[tokio::test]
async fn each_refusal_has_its_code() {
    let provider = FakeProvider::start().await;
    let app = start().await;
    for (name, value) in [
        ("provider_type", json!("saml")),
        ("identifier", json!("acme")),
        ("identifier", json!("custom:-x")),
        ("identifier", json!("custom:")),
        ("name", json!("")),
        ("client_id", json!("")),
        ("client_secret", json!("")),
        ("issuer", json!("")),
        ("issuer", json!("ftp://x.example")),
        ("issuer", json!(format!("{}/other", provider.url))),
        ("attribute_mapping", json!({ "role": "role" })),
        ("attribute_mapping", json!({ "email_verified": "yes" })),
        ("authorization_params", json!({ "Redirect_URI": "https://evil.example" })),
        ("authorization_params", json!({ "prompt": 1 })),
        ("custom_claims_allowlist", json!([""])),
        ("scopes", json!(vec!["x"; 51])),
    ] {
        let mut body = oidc(&provider);
        body[name] = value.clone();
        let answer = admin(&app, Method::POST, PATH, body).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.body["code"]),
            (400, &json!("validation_failed")),
            "{name} {value}"
        );
    }
    admin(&app, Method::GET, &format!("{PATH}?type=x"), json!({})).await.is(400, "validation_failed");
    assert_eq!(admin(&app, Method::POST, PATH, oidc(&provider)).await.status, 201);
    admin(&app, Method::POST, PATH, oidc(&provider)).await.is(400, "conflict");
    let fill = "insert into auth.custom_oauth_providers (id, provider_type, identifier, name, client_id, client_secret)
        select gen_random_uuid(), 'oauth2', 'custom:x' || i, 'x', 'x', 'x' from generate_series(2, 100) i";
    app.sql().await.execute(fill, &[]).await.unwrap();
    let mut body = oidc(&provider);
    body["identifier"] = json!("custom:more");
    admin(&app, Method::POST, PATH, body).await.is(400, "over_custom_provider_quota");
    let ann = app.sign_up("a@example.com").await;
    app.get(PATH, ann.token()).await.is(403, "not_admin");
}

#[tokio::test]
async fn addresses_of_private_networks_are_not_reached() {
    let provider = FakeProvider::start().await;
    let app = App::with(with_providers(json!({}))).await;
    let refused = admin(&app, Method::POST, PATH, oidc(&provider)).await;
    refused.is(400, "validation_failed");
    assert!(refused.body["message"].as_str().unwrap().contains("private address"), "{}", refused.body);
    // Nor is what a discovery document or a row names.
    let insert = "insert into auth.custom_oauth_providers
        (id, provider_type, identifier, name, client_id, client_secret, authorization_url, token_url, userinfo_url)
        values (gen_random_uuid(), 'oauth2', 'custom:old', 'x', 'web', 'x', $1, $2, $3)";
    let [authorize, token, userinfo] =
        ["authorize", "token", "userinfo"].map(|path| format!("{}/{path}", provider.url));
    app.sql().await.execute(insert, &[&authorize, &token, &userinfo]).await.unwrap();
    let there = visit(&app, "/authorize?provider=custom:old").await.target();
    let back = visit(&app, &provider.admit(&there, json!({}))).await.target();
    is_error(&back, "unexpected_failure");
    assert!(provider.set(|says| says.exchanges.is_empty()));
}
