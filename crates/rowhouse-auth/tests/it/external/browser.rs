//! The way back belongs to the browser that was sent away.

use reqwest::{Method, StatusCode};
use rowhouse_crypto::sha256_base64url;
use rowhouse_http::ServerSettings;
use rowhouse_testkit::TestDatabase;
use serde_json::json;
use url::Url;

use super::link::{authorize, identities, path_of};
use super::{BROWSER, FakeProvider, SITE, Visitor, acme, is_error, parameter, person, start, visit};
use crate::app::{App, Person};

const VERIFIER: &str = "a verifier of at least forty-three characters";

/// A browser without any cookie.
fn fresh() -> Visitor<'static> {
    Visitor { cookie: None, ..Visitor::default() }
}

#[tokio::test]
async fn callback_in_another_browser_is_refused_and_stays_usable_in_its_own() {
    let provider = FakeProvider::start().await;
    let app = start(&provider).await;
    let challenge = sha256_base64url(VERIFIER.as_bytes());
    for query in [String::new(), format!("&code_challenge={challenge}&code_challenge_method=s256")] {
        let there = visit(&app, &format!("/authorize?provider=acme{query}")).await.target();
        let back = provider.admit(&there, person("1", "stranger@example.com", true));
        let other = "rowhouse-sign-in=zzzzzzzzzzzzzzzzzzzzzz";
        for cookie in [None, Some(other), Some("rowhouse-sign-in="), Some("__Host-rowhouse-sign-in=x")] {
            let refused = Visitor { cookie, ..Visitor::default() }.get(&app, &back).await;
            assert_eq!(refused.status, StatusCode::SEE_OTHER);
            let refused = refused.target();
            assert!(refused.as_str().starts_with(SITE), "{refused}");
            is_error(&refused, "bad_oauth_state");
            assert_eq!(parameter(&refused, "error").as_deref(), Some("invalid_request"));
        }
        assert_eq!(provider.set(|says| says.exchanges.len()), 0);
        let own = visit(&app, &back).await.target();
        assert!(parameter(&own, "access_token").or(parameter(&own, "code")).is_some(), "{own}");
        provider.set(|says| says.exchanges.clear());
    }
}

#[tokio::test]
async fn cookie_is_random_for_this_host_and_out_of_reach_of_scripts_and_foreign_forms() {
    let provider = FakeProvider::start().await;
    let app = start(&provider).await;
    let path = "/authorize?provider=acme";
    let (one, two) = (fresh().get(&app, path).await, fresh().get(&app, path).await);
    let (one, two) = (one.set_cookie.unwrap(), two.set_cookie.unwrap());
    assert_ne!(one, two);
    let (pair, attributes) = one.split_once("; ").unwrap();
    assert_eq!((pair.split_once('=').unwrap().0, pair.len()), ("rowhouse-sign-in", 39));
    assert_eq!(attributes, "Path=/; Max-Age=3600; HttpOnly; SameSite=Lax");
    let tls = App::with_setup(TestDatabase::create().await, acme(&provider), |setup| {
        let url = Some("https://rowhouse.test".to_owned());
        setup.settings.update(|server: &mut ServerSettings| server.public_url = url);
    })
    .await;
    let secure = fresh().get(&tls, path).await;
    let cookie = secure.set_cookie.unwrap();
    assert!(cookie.starts_with("__Host-rowhouse-sign-in="), "{cookie}");
    assert!(cookie.ends_with("; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax; Secure"), "{cookie}");
    let there = secure.location.unwrap();
    let back = provider.admit(&Url::parse(&there).unwrap(), person("1", "a@example.com", true));
    let plain = cookie.split(';').next().unwrap().replace("__Host-", "");
    let refused = Visitor { cookie: Some(&plain), ..Visitor::default() }.get(&tls, &back).await.target();
    is_error(&refused, "bad_oauth_state");
    let cookie = cookie.split(';').next();
    let own = Visitor { cookie, ..Visitor::default() }.get(&tls, &back).await.target();
    assert!(parameter(&own, "access_token").is_some(), "{own}");
}

#[tokio::test]
async fn two_tabs_of_a_browser_sign_in_side_by_side() {
    let provider = FakeProvider::start().await;
    let app = start(&provider).await;
    let first = visit(&app, "/authorize?provider=acme").await.target();
    let second = visit(&app, "/authorize?provider=acme").await;
    assert!(second.set_cookie.as_deref().unwrap().starts_with(&format!("{BROWSER};")));
    for (there, sub) in [(second.target(), "1"), (first, "2")] {
        let email = format!("{sub}@example.com");
        let back = visit(&app, &provider.admit(&there, person(sub, &email, true))).await.target();
        assert!(parameter(&back, "access_token").is_some(), "{back}");
    }
}

#[tokio::test]
async fn browser_on_another_host_is_led_to_the_callbacks_once() {
    let provider = FakeProvider::start().await;
    let app = start(&provider).await;
    let elsewhere = Visitor { host: "127.0.0.1:54321", cookie: None };
    let path = format!("/authorize?provider=acme&scopes=mail&redirect_to={SITE}welcome&apikey=k");
    let led = elsewhere.get(&app, &path).await;
    assert_eq!((led.status, &led.set_cookie), (StatusCode::FOUND, &None));
    let led = led.target();
    assert!(led.as_str().starts_with("http://rowhouse.test/auth/v1/authorize?provider=acme"), "{led}");
    assert_eq!(parameter(&led, "redirect_to").as_deref(), Some("https://app.example/welcome"));
    assert_eq!(parameter(&led, "apikey"), None);
    // A proxy that changes the header: it is not led on for ever.
    let there = elsewhere.get(&app, &path_of(&led)).await.target();
    assert!(there.as_str().starts_with(&provider.url), "{there}");
    assert_eq!(parameter(&there, "scope").as_deref(), Some("openid email profile mail"));
    assert_eq!(parameter(&there, "at_callback"), None);
}

#[tokio::test]
async fn client_that_asks_for_a_url_gets_one_that_any_browser_can_begin_with() {
    let provider = FakeProvider::start().await;
    let app = start(&provider).await;
    let path = format!("/authorize?provider=acme&skip_http_redirect=true&redirect_to={SITE}welcome");
    let told = fresh().get(&app, &path).await;
    assert_eq!(told.set_cookie, None);
    let url = Url::parse(told.body["url"].as_str().unwrap()).unwrap();
    assert!(url.as_str().starts_with("http://rowhouse.test/auth/v1/authorize?provider=acme"), "{url}");
    let there = visit(&app, &path_of(&url)).await.target();
    let back = visit(&app, &provider.admit(&there, person("1", "a@example.com", true))).await.target();
    assert!(back.as_str().starts_with(&format!("{SITE}welcome#access_token=")), "{back}");
    let unknown = fresh().get(&app, "/authorize?provider=nobody&skip_http_redirect=true").await;
    assert_eq!(unknown.status, StatusCode::BAD_REQUEST);
}

/// Somebody begins a link of their own account with a code challenge and lures another person to the URL.
#[tokio::test]
async fn link_takes_effect_for_the_client_that_asked_for_it() {
    let provider = FakeProvider::start().await;
    let app = start(&provider).await;
    let ann = app.sign_up("a@example.com").await;
    let challenge = sha256_base64url(VERIFIER.as_bytes());
    let query = format!("&code_challenge={challenge}&code_challenge_method=s256");
    let told = authorize(&app, ann.token(), &query).await.ok();
    let url = Url::parse(told["url"].as_str().unwrap()).unwrap();
    assert!(url.as_str().starts_with("http://rowhouse.test/auth/v1/authorize?link="), "{url}");
    let there = visit(&app, &path_of(&url)).await.target();
    let path = provider.admit(&there, person("9", "other@example.com", true));
    is_error(&fresh().get(&app, &path).await.target(), "bad_oauth_state");
    let code = parameter(&visit(&app, &path).await.target(), "code").unwrap();
    assert_eq!(identities(&app, &ann).await.len(), 1);
    let exchange = |verifier: &str| {
        app.post("/token?grant_type=pkce", json!({ "auth_code": code, "code_verifier": verifier }))
    };
    let wrong = "another verifier of at least forty-three characters";
    exchange(wrong).await.is(400, "bad_code_verifier");
    assert_eq!(identities(&app, &ann).await.len(), 1);
    let session = exchange(VERIFIER).await.ok();
    assert_eq!(
        (&session["user"]["id"], session["provider_token"].as_str()),
        (&json!(ann.id()), Some("theirs"))
    );
    assert_eq!(identities(&app, &ann).await.len(), 2);
    exchange(VERIFIER).await.is(404, "flow_state_not_found");
    // The URL serves one browser.
    let again = visit(&app, &path_of(&url)).await;
    assert_eq!(
        (again.status, &again.body["error_code"]),
        (StatusCode::BAD_REQUEST, &json!("bad_oauth_state"))
    );
}

#[tokio::test]
async fn identity_that_somebody_got_meanwhile_is_not_linked_by_the_exchange() {
    let provider = FakeProvider::start().await;
    let app = start(&provider).await;
    let ann = app.sign_up("a@example.com").await;
    let challenge = sha256_base64url(VERIFIER.as_bytes());
    let query = format!("&code_challenge={challenge}&code_challenge_method=s256");
    let told = authorize(&app, ann.token(), &query).await.ok();
    let url = Url::parse(told["url"].as_str().unwrap()).unwrap();
    let there = visit(&app, &path_of(&url)).await.target();
    let back = visit(&app, &provider.admit(&there, person("9", "other@example.com", true))).await.target();
    super::sign_in(&app, &provider, person("9", "other@example.com", true)).await;
    let exchange = json!({ "auth_code": parameter(&back, "code").unwrap(), "code_verifier": VERIFIER });
    app.post("/token?grant_type=pkce", exchange).await.is(422, "identity_already_exists");
    assert_eq!(identities(&app, &ann).await.len(), 1);
}

/// The path of the URL with which a link begins.
async fn begin(app: &App, person: &Person, query: &str) -> String {
    let told = authorize(app, person.token(), query).await.ok();
    path_of(&Url::parse(told["url"].as_str().unwrap()).unwrap())
}

/// A session that was stolen has begun a link; then the owner ends it.
#[tokio::test]
async fn link_of_a_session_that_was_ended_has_no_effect() {
    let provider = FakeProvider::start().await;
    let app = start(&provider).await;
    let query =
        format!("&code_challenge={}&code_challenge_method=s256", sha256_base64url(VERIFIER.as_bytes()));
    let sign_out = ("/logout?scope=global", json!({}));
    let change = ("/user", json!({ "password": "another horse" }));
    for (at, (path, body)) in [sign_out, change.clone(), change].into_iter().enumerate() {
        let email = format!("{at}@example.com");
        let (owner, stolen) = (app.sign_up(&email).await, app.sign_in(&email).await);
        let begun = begin(&app, &stolen, &query).await;
        let waiting = begin(&app, &stolen, "").await;
        let there = visit(&app, &begun).await.target();
        let claims = person(&email, "thief@example.com", true);
        let back = visit(&app, &provider.admit(&there, claims)).await.target();
        match (at, path) {
            (_, "/logout?scope=global") => drop(app.post_as(path, owner.token(), body).await),
            (1, _) => drop(app.put_as(path, owner.token(), body).await.ok()),
            _ => {
                let path = format!("/admin/users/{}", owner.id());
                app.put_as(&path, &app.service_key, body).await.ok();
            }
        }
        let exchange = json!({ "auth_code": parameter(&back, "code").unwrap(), "code_verifier": VERIFIER });
        app.post("/token?grant_type=pkce", exchange).await.is(404, "flow_state_not_found");
        assert_eq!(visit(&app, &waiting).await.body["error_code"], "bad_oauth_state");
        let count = "select count(*) from auth.identities where user_id::text = $1";
        let count: i64 = app.sql().await.query_one(count, &[&owner.id()]).await.unwrap().get(0);
        assert_eq!(count, 1, "{email}");
    }
}

/// Without a code challenge the URL asks whoever opens it; nothing but its button goes on.
#[tokio::test]
async fn page_of_a_link_names_the_account_and_only_its_button_in_this_browser_goes_on() {
    let provider = FakeProvider::start().await;
    let app = start(&provider).await;
    let ann = app.sign_up("a@example.com").await;
    let told = authorize(&app, ann.token(), "").await.ok();
    let path = path_of(&Url::parse(told["url"].as_str().unwrap()).unwrap());
    let state = path.split("link=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    let page = visit(&app, &path).await;
    assert!(page.text.contains("a@example.com") && page.text.contains("acme"), "{}", page.text);
    assert!(page.set_cookie.is_some());
    // Whoever knows the state has not pressed the button.
    is_error(&visit(&app, &format!("/callback?state={state}&code=c")).await.target(), "bad_oauth_state");
    let foreign = fresh().send(&app, Method::POST, &path, &[]).await;
    assert_eq!(
        (foreign.status, &foreign.body["error_code"]),
        (StatusCode::BAD_REQUEST, &json!("bad_oauth_state"))
    );
    let sibling = [("sec-fetch-site", "same-site")];
    let sibling = Visitor::default().send(&app, Method::POST, &path, &sibling).await;
    assert_eq!(sibling.status, StatusCode::BAD_REQUEST);
    let own = [("sec-fetch-site", "same-origin")];
    let there = Visitor::default().send(&app, Method::POST, &path, &own).await.target();
    let back = visit(&app, &provider.admit(&there, person("9", "b@example.com", true))).await.target();
    assert!(parameter(&back, "access_token").is_some(), "{back}");
    assert_eq!(identities(&app, &ann).await.len(), 2);
}

#[tokio::test]
async fn url_of_a_link_expires_and_its_text_is_no_markup() {
    let provider = FakeProvider::start().await;
    let app = start(&provider).await;
    let ann = app.sign_up("a@example.com").await;
    let told = authorize(&app, ann.token(), "").await.ok();
    let path = path_of(&Url::parse(told["url"].as_str().unwrap()).unwrap());
    let sql = app.sql().await;
    sql.execute("update auth.users set email = '<b>\"a&amp;\"@example.com'", &[]).await.unwrap();
    let page = visit(&app, &path).await.text;
    assert!(page.contains("&lt;b&gt;&quot;a&amp;amp;&quot;@example.com") && !page.contains("<b>"), "{page}");
    app.pass(std::time::Duration::from_secs(601));
    assert_eq!(visit(&app, &path).await.status, StatusCode::BAD_REQUEST);
    let pressed = Visitor::default().send(&app, Method::POST, &path, &[]).await;
    assert_eq!(pressed.body["error_code"], "bad_oauth_state");
}

/// A further cookie has to be checked for its attributes, too.
#[test]
fn no_other_place_sets_a_cookie() {
    let crates = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let mut folders: Vec<_> =
        std::fs::read_dir(crates).unwrap().map(|entry| entry.unwrap().path().join("src")).collect();
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap_or_default().to_lowercase();
            if text.contains("set_cookie,") || text.contains("\"set-cookie\"") {
                found.push(path.file_name().unwrap().to_owned());
            }
        }
    }
    assert_eq!(found, ["browser.rs"]);
}
