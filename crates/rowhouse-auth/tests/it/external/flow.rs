//! Redirect and callback.

use reqwest::{Method, StatusCode};
use rowhouse_auth::AuthSettings;
use rowhouse_crypto::sha256_base64url;
use serde_json::{Value, json};

use super::{
    FakeProvider, SITE, Visitor, acme, is_error, parameter, person, sign_in, start, visit, with_providers,
};
use crate::app::{App, PASSWORD, Person};

const VERIFIER: &str = "a verifier of at least forty-three characters";

#[tokio::test]
async fn redirect_has_state_nonce_and_challenge() {
    let provider = FakeProvider::start().await;
    let app = start(&provider).await;
    let query = "provider=acme&scopes=calendar,mail&prompt=login&state=mine&redirect_uri=https://evil.example&Nonce=mine";
    let visited = visit(&app, &format!("/authorize?{query}")).await;
    assert_eq!(visited.status, StatusCode::FOUND);
    let there = visited.target();
    assert_eq!(
        format!("{}{}", there.origin().ascii_serialization(), there.path()),
        format!("{}/authorize", provider.url)
    );
    let has = |name: &str| parameter(&there, name).unwrap();
    assert_eq!(has("scope"), "openid email profile calendar mail");
    assert_eq!(has("redirect_uri"), format!("{}/auth/v1/callback", crate::app::URL));
    assert_eq!(
        (has("client_id"), has("response_type"), has("prompt")),
        ("web".into(), "code".into(), "login".into())
    );
    assert_eq!((has("state").len(), has("nonce").len(), has("code_challenge").len()), (22, 44, 43));
    assert_eq!(
        there.query_pairs().filter(|(name, _)| name.eq_ignore_ascii_case("nonce") || name == "state").count(),
        2
    );
}

#[tokio::test]
async fn implicit_flow_ends_with_a_session_of_a_new_user_in_the_fragment() {
    let provider = FakeProvider::start().await;
    let app = start(&provider).await;
    let claims = json!({
        "sub": "77", "email": "Ann@Example.com", "email_verified": true, "name": "Ann", "picture": "https://x.example/a",
        "role": "service_role", "app_metadata": { "admin": true }, "groups": ["x"],
    });
    let there = visit(&app, &format!("/authorize?provider=acme&redirect_to={SITE}welcome")).await.target();
    let back = visit(&app, &provider.admit(&there, claims)).await.target();
    assert!(back.as_str().starts_with(&format!("{SITE}welcome#access_token=")), "{back}");
    assert_eq!(parameter(&back, "provider_token").as_deref(), Some("theirs"));
    assert_eq!(parameter(&back, "provider_refresh_token").as_deref(), Some("theirs too"));
    assert_eq!(back.query(), None);
    let token = parameter(&back, "access_token").unwrap();
    let user = app.get("/user", &token).await.ok();
    assert_eq!((&user["email"], &user["role"]), (&json!("ann@example.com"), &json!("authenticated")));
    assert_eq!(user["app_metadata"], json!({ "provider": "acme", "providers": ["acme"] }));
    assert!(user["confirmed_at"].is_string() && user["last_sign_in_at"].is_string());
    let known = json!({
        "iss": provider.url, "sub": "77", "provider_id": "77", "email": "ann@example.com", "email_verified": true,
        "phone_verified": false, "name": "Ann", "full_name": "Ann", "picture": "https://x.example/a",
        "avatar_url": "https://x.example/a",
    });
    assert_eq!((&user["user_metadata"], &user["identities"][0]["identity_data"]), (&known, &known));
    let claims = Person(json!({ "access_token": token })).claims(&app);
    assert_eq!(
        (&claims["amr"][0]["method"], &claims["amr"][0]["provider"]),
        (&json!("oauth"), &json!("acme"))
    );
    let asked = provider.set(|says| says.exchanges[0].clone());
    assert_eq!(asked["authorization"], "Basic d2ViOnNlc2FtZQ==");
    let challenge = sha256_base64url(asked["code_verifier"].as_str().unwrap().as_bytes());
    assert_eq!(parameter(&there, "code_challenge"), Some(challenge));
}

#[tokio::test]
async fn code_flow_hands_out_the_providers_tokens_once() {
    let provider = FakeProvider::start().await;
    let app = start(&provider).await;
    let challenge = sha256_base64url(VERIFIER.as_bytes());
    let path = format!("/authorize?provider=acme&code_challenge={challenge}&code_challenge_method=s256");
    let there = visit(&app, &path).await.target();
    let back = visit(&app, &provider.admit(&there, person("1", "a@example.com", true))).await.target();
    assert_eq!((back.fragment(), parameter(&back, "access_token")), (None, None));
    let sql = app.sql().await;
    let kept: String =
        sql.query_one("select provider_access_token from auth.flow_state", &[]).await.unwrap().get(0);
    assert!(kept.starts_with("sealed:"), "{kept}");
    let exchange = json!({ "auth_code": parameter(&back, "code").unwrap(), "code_verifier": VERIFIER });
    let session = app.post("/token?grant_type=pkce", exchange.clone()).await.ok();
    assert_eq!(
        (&session["provider_token"], &session["provider_refresh_token"]),
        (&json!("theirs"), &json!("theirs too"))
    );
    assert_eq!(session["user"]["email"], "a@example.com");
    app.post("/token?grant_type=pkce", exchange).await.is(404, "flow_state_not_found");
}

#[tokio::test]
async fn same_person_comes_back_to_the_same_account_under_another_address() {
    let provider = FakeProvider::start().await;
    let app = start(&provider).await;
    sign_in(&app, &provider, person("1", "a@example.com", true)).await;
    let back = sign_in(&app, &provider, json!({ "sub": "1", "email": "b@example.com", "name": "Bea" })).await;
    let user = app.get("/user", &token_of(&back)).await.ok();
    assert_eq!((&user["email"], &user["user_metadata"]["name"]), (&json!("a@example.com"), &json!("Bea")));
    let count = app.sql().await.query_one("select count(*) from auth.users", &[]).await.unwrap();
    assert_eq!(count.get::<_, i64>(0), 1);
}

#[tokio::test]
async fn verified_address_links_to_the_confirmed_account() {
    let provider = FakeProvider::start().await;
    let app = start(&provider).await;
    let ann = app.sign_up("a@example.com").await;
    app.pass(std::time::Duration::from_secs(1));
    let back = sign_in(&app, &provider, person("1", "A@example.com", true)).await;
    let user = app.get("/user", &token_of(&back)).await.ok();
    assert_eq!(user["id"], ann.id());
    assert_eq!(user["app_metadata"], json!({ "provider": "email", "providers": ["email", "acme"] }));
    app.get("/user", ann.token()).await.ok();
    app.sign_in("a@example.com").await;
    let linked = "select count(*) from audit.entries where action = 'identity_linked'";
    assert_eq!(app.sql().await.query_one(linked, &[]).await.unwrap().get::<_, i64>(0), 1);
}

#[tokio::test]
async fn providers_refusal_is_passed_on_and_ends_the_flow() {
    let provider = FakeProvider::start().await;
    let app = start(&provider).await;
    let there = visit(&app, "/authorize?provider=acme").await.target();
    let state = parameter(&there, "state").unwrap();
    let path = format!("/callback?state={state}&error=access_denied&error_description=No");
    let back = visit(&app, &path).await.target();
    assert_eq!(parameter(&back, "error").as_deref(), Some("access_denied"));
    assert_eq!(parameter(&back, "error_description").as_deref(), Some("No"));
    is_error(&visit(&app, &path).await.target(), "bad_oauth_state");
}

#[tokio::test]
async fn each_refusal_of_the_callback_has_its_code() {
    let provider = FakeProvider::start().await;
    let app = start(&provider).await;
    let no_state = visit(&app, "/callback?code=x").await;
    assert_eq!(no_state.status, StatusCode::SEE_OTHER);
    is_error(&no_state.target(), "bad_oauth_callback");
    is_error(&visit(&app, "/callback?code=x&state=unknown").await.target(), "bad_oauth_state");
    // A form is led on to a GET, with which the browser's cookie comes.
    let posted = Visitor::default().send(&app, Method::POST, "/callback", &[]).await;
    assert_eq!(posted.status, StatusCode::SEE_OTHER);
    let led = visit(&app, &format!("/callback{}", posted.location.unwrap())).await;
    is_error(&led.target(), "bad_oauth_callback");
    let there = visit(&app, "/authorize?provider=acme").await.target();
    let state = parameter(&there, "state").unwrap();
    is_error(&visit(&app, &format!("/callback?state={state}")).await.target(), "bad_oauth_callback");
    let there = visit(&app, "/authorize?provider=acme").await.target();
    app.pass(std::time::Duration::from_secs(601));
    let late = visit(&app, &provider.admit(&there, person("1", "a@example.com", true))).await.target();
    is_error(&late, "bad_oauth_state");
    for unknown in ["nobody", "", "custom:x"] {
        let path = format!("/authorize?provider={unknown}");
        app.send(Method::GET, &path, None, "").await.is(400, "validation_failed");
    }
    let path = "/authorize?provider=acme&code_challenge=short&code_challenge_method=s256";
    app.send(Method::GET, path, None, "").await.is(400, "validation_failed");
}

#[tokio::test]
async fn closed_sign_up_and_bans_hold_for_external_sign_in() {
    let provider = FakeProvider::start().await;
    let app = App::with(AuthSettings { disable_signup: true, ..acme(&provider) }).await;
    let back = sign_in(&app, &provider, person("1", "a@example.com", true)).await;
    is_error(&back, "signup_disabled");
    assert_eq!(parameter(&back, "error").as_deref(), Some("access_denied"));
    let open = start(&provider).await;
    sign_in(&open, &provider, person("2", "b@example.com", true)).await;
    let sql = open.sql().await;
    sql.execute("update auth.users set banned_until = 'infinity'", &[]).await.unwrap();
    is_error(&sign_in(&open, &provider, person("2", "b@example.com", true)).await, "user_banned");
    is_error(&sign_in(&open, &provider, person("3", "b@example.com", true)).await, "user_banned");
}

/// The access token in the fragment of an answer that signs in.
fn token_of(back: &url::Url) -> String {
    let token = parameter(back, "access_token");
    assert!(token.is_some(), "{back}");
    token.unwrap()
}

#[tokio::test]
async fn address_is_required_unless_the_provider_may_do_without() {
    let provider = FakeProvider::start().await;
    let app = start(&provider).await;
    provider.set(|says| says.userinfo = json!({ "sub": "1" }));
    is_error(&sign_in(&app, &provider, json!({ "sub": "1" })).await, "unexpected_failure");
    let acme = json!({ "client_id": ["web"], "issuer": provider.url, "email_optional": true });
    let lax = App::with(with_providers(json!({ "acme": acme }))).await;
    let back = sign_in(&lax, &provider, json!({ "sub": "1" })).await;
    let user = lax.get("/user", &token_of(&back)).await.ok();
    assert_eq!((&user["email"], &user["identities"][0]["provider"]), (&json!(""), &json!("acme")));
}

#[tokio::test]
async fn address_missing_in_the_token_is_read_from_userinfo_of_the_same_person() {
    let provider = FakeProvider::start().await;
    let app = start(&provider).await;
    provider.set(|says| says.userinfo = person("1", "a@example.com", true));
    let back = sign_in(&app, &provider, json!({ "sub": "1" })).await;
    assert!(parameter(&back, "access_token").is_some(), "{back}");
    is_error(&sign_in(&app, &provider, json!({ "sub": "2" })).await, "unexpected_failure");
}

#[tokio::test]
async fn github_tells_the_primary_address() {
    let provider = FakeProvider::start().await;
    let github = json!({ "client_id": ["web"], "secret": "sesame", "issuer": provider.url });
    let app = App::with(with_providers(json!({ "github": github }))).await;
    provider.set(|says| {
        says.userinfo = json!({ "id": 583_231, "login": "ann", "name": "Ann", "avatar_url": "https://x.example/a", "email": "public@example.com" });
        says.emails = json!([
            { "email": "other@example.com", "primary": false, "verified": true },
            { "email": "a@example.com", "primary": true, "verified": true },
        ]);
    });
    let there = visit(&app, "/authorize?provider=github").await.target();
    assert_eq!(
        (parameter(&there, "scope").as_deref(), parameter(&there, "nonce")),
        (Some("user:email"), None)
    );
    let back = visit(&app, &provider.admit(&there, json!({}))).await.target();
    let user = app.get("/user", &token_of(&back)).await.ok();
    let data = &user["identities"][0]["identity_data"];
    assert_eq!(
        (&user["email"], &data["sub"], &data["user_name"]),
        (&json!("a@example.com"), &json!("583231"), &json!("ann"))
    );
    assert_eq!(data["iss"], json!(format!("{}/api/v3", provider.url)));
}

#[tokio::test]
async fn apple_posts_the_name_the_first_time() {
    let provider = FakeProvider::start().await;
    let apple = json!({ "client_id": ["web"], "secret": "a token made by hand", "issuer": provider.url });
    let app = App::with(with_providers(json!({ "apple": apple }))).await;
    let there = visit(&app, "/authorize?provider=apple").await.target();
    assert_eq!(parameter(&there, "response_mode").as_deref(), Some("form_post"));
    let claims = json!({ "sub": "001.x", "email": "a@privaterelay.appleid.com", "email_verified": "true", "is_private_email": "true" });
    let path = provider.admit(&there, claims);
    let form = path.replace("/callback?", "");
    let user = json!({ "name": { "firstName": "Ann", "lastName": "Example" } }).to_string();
    let user: String = url::form_urlencoded::byte_serialize(user.as_bytes()).collect();
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    // From another site, without the cookie.
    let posted = client
        .post(format!("http://{}/auth/v1/callback", app.address))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!("{form}&user={user}&id_token=x&long={}", "x".repeat(5000)))
        .send()
        .await
        .unwrap();
    assert_eq!(posted.status(), StatusCode::SEE_OTHER);
    let led = posted.headers()["location"].to_str().unwrap();
    assert!(led.starts_with("?state=") && !led.contains("id_token") && !led.contains("long"), "{led}");
    let back = visit(&app, &format!("/callback{led}")).await.target();
    let user = app.get("/user", &token_of(&back)).await.ok();
    assert_eq!(user["user_metadata"]["full_name"], "Ann Example");
    assert_eq!(user["user_metadata"]["custom_claims"], json!({ "is_private_email": "true" }));
}

#[tokio::test]
async fn settings_tell_which_providers_there_are() {
    let provider = FakeProvider::start().await;
    let google = json!({ "client_id": ["x"], "secret": "s" });
    let off = json!({ "client_id": ["x"], "secret": "s", "enabled": false });
    let acme = json!({ "client_id": ["x"], "issuer": provider.url });
    let app = App::with(with_providers(json!({ "google": google, "github": off, "acme": acme }))).await;
    let told = app.send(Method::GET, "/settings", None, "").await.ok();
    let external = |name: &str| told["external"][name].clone();
    assert_eq!(
        [external("google"), external("github"), external("acme")],
        [json!(true), json!(false), json!(true)]
    );
    app.send(Method::GET, "/authorize?provider=github", None, "").await.is(400, "validation_failed");
}

#[tokio::test]
async fn concurrent_first_sign_ins_of_one_person_make_one_account() {
    let provider = FakeProvider::start().await;
    let app = start(&provider).await;
    let one = provider.id_token(person("1", "a@example.com", true));
    let body = || json!({ "provider": "acme", "id_token": one });
    let (first, second) = tokio::join!(
        app.post("/token?grant_type=id_token", body()),
        app.post("/token?grant_type=id_token", body())
    );
    let id = |answer: Value| answer["user"]["id"].clone();
    assert_eq!(id(first.ok()), id(second.ok()));
}

#[tokio::test]
async fn password_of_an_account_that_nobody_has_proved_to_own_is_gone() {
    let provider = FakeProvider::start().await;
    let app = App::with(AuthSettings { mailer_autoconfirm: false, ..acme(&provider) }).await;
    let squatted =
        json!({ "email": "a@example.com", "password": PASSWORD, "data": { "name": "Mallory", "x": 1 } });
    app.post("/signup", squatted).await.ok();
    let back = sign_in(&app, &provider, person("1", "a@example.com", true)).await;
    let user = app.get("/user", &token_of(&back)).await.ok();
    assert_eq!(
        (&user["user_metadata"]["name"], &user["user_metadata"]["x"]),
        (&json!("Ann Example"), &Value::Null)
    );
    assert_eq!(user["app_metadata"], json!({ "provider": "acme", "providers": ["acme"] }));
    assert_eq!(user["identities"].as_array().unwrap().len(), 1);
    app.password("a@example.com", PASSWORD).await.is(400, "invalid_credentials");
}
