//! An application asks to sign its user out.

use http::{Method, StatusCode};
use reqwest::Client;
use reqwest::redirect::Policy;
use serde_json::{Value, json};
use url::Url;
use url::form_urlencoded::Serializer;

use super::{BACK, Shop, decide, show, start, user_info};
use crate::app::{App, Person};
use crate::external::{Visit, Visitor, parameter};

const GONE: &str = "https://shop.example/bye?from=rowhouse";

/// A browser that an application has signed somebody in with.
struct SignedIn {
    shop: Shop,
    person: Person,
    tokens: Value,
    /// Its cookie.
    cookie: String,
}

impl SignedIn {
    async fn new(app: &App) -> Self {
        let person = app.sign_up("ann@example.com").await;
        let shop = Shop::register(app, json!({ "post_logout_redirect_uris": [GONE] })).await;
        Self::of(app, shop, person, None).await
    }

    /// In a new browser, or one that has the cookie.
    async fn of(app: &App, shop: Shop, person: Person, cookie: Option<&str>) -> Self {
        let sent = Visitor { cookie, ..Visitor::default() }.get(app, &shop.request("openid", &[])).await;
        let set = sent.set_cookie.clone().unwrap();
        let cookie = set.split(';').next().unwrap().to_owned();
        let name = parameter(&sent.target(), "authorization_id").unwrap();
        let shown = show(app, &person, &name).await.ok();
        let answer = match shown.get("redirect_url") {
            Some(_) => shown,
            None => decide(app, &person, &name, "approve").await.ok(),
        };
        let back = Url::parse(answer["redirect_url"].as_str().unwrap()).unwrap();
        assert!(back.as_str().starts_with(BACK));
        let tokens = shop.exchange(app, &parameter(&back, "code").unwrap()).await.ok();
        Self { shop, person, tokens, cookie }
    }

    fn hint(&self) -> &str {
        self.tokens["id_token"].as_str().unwrap()
    }

    async fn get(&self, app: &App, cookie: Option<&str>, query: &[(&str, &str)]) -> Visit {
        Visitor { cookie, ..Visitor::default() }.get(app, &path(query)).await
    }

    /// The button of the page.
    async fn press(&self, app: &App, cookie: Option<&str>, from: &str, query: &[(&str, &str)]) -> Visit {
        let visitor = Visitor { cookie, ..Visitor::default() };
        visitor.send(app, Method::POST, &path(query), &[("sec-fetch-site", from)]).await
    }

    /// Whether the application, and the person, are signed in.
    async fn live(&self, app: &App) -> (bool, bool) {
        let application = user_info(app, self.tokens["access_token"].as_str().unwrap()).await;
        let own = app.get("/user", self.person.token()).await;
        (application.status == StatusCode::OK, own.status == StatusCode::OK)
    }
}

fn path(query: &[(&str, &str)]) -> String {
    format!("/oauth/end_session?{}", Serializer::new(String::new()).extend_pairs(query).finish())
}

#[track_caller]
fn is_question(visit: &Visit) {
    assert_eq!(visit.status, StatusCode::OK, "{}", visit.text);
    assert!(visit.text.contains("<form method=\"post\"><button>Sign out</button>"), "{}", visit.text);
}

#[tokio::test]
async fn hint_in_its_own_browser_signs_out_and_leads_back() {
    let app = start().await;
    let signed_in = SignedIn::new(&app).await;
    let found = Visitor::default().get(&app, "/.well-known/openid-configuration").await.body;
    let endpoint = found["end_session_endpoint"].as_str().unwrap();
    assert!(endpoint.ends_with("/auth/v1/oauth/end_session"), "{endpoint}");
    let elsewhere = app.sign_in("ann@example.com").await;
    assert_eq!(signed_in.live(&app).await, (true, true));
    let query = [("id_token_hint", signed_in.hint()), ("post_logout_redirect_uri", GONE), ("state", "a b&c")];
    // Long after the token has expired.
    app.pass(std::time::Duration::from_secs(3600 * 3));
    let back = signed_in.get(&app, Some(&signed_in.cookie), &query).await;
    assert_eq!(back.status, StatusCode::SEE_OTHER, "{}", back.text);
    assert_eq!(back.location.as_deref(), Some("https://shop.example/bye?from=rowhouse&state=a+b%26c"));
    let refresh = signed_in.tokens["refresh_token"].as_str().unwrap();
    assert_eq!(signed_in.shop.refresh(&app, refresh).await.status, StatusCode::BAD_REQUEST);
    let own = app.refresh(signed_in.person.refresh_token()).await;
    assert_eq!(own.status, StatusCode::BAD_REQUEST, "the session in which was agreed, too");
    app.refresh(elsewhere.refresh_token()).await.ok();
    // Again, the session is gone: there is nothing that the hint could end.
    is_question(&signed_in.get(&app, Some(&signed_in.cookie), &query).await);
}

#[tokio::test]
async fn hint_in_another_browser_ends_nothing_without_the_person() {
    let app = start().await;
    let signed_in = SignedIn::new(&app).await;
    let query = [("id_token_hint", signed_in.hint())];
    let stranger = app.sign_up("eve@example.com").await;
    let shop = Shop::register(&app, json!({})).await;
    let other = SignedIn::of(&app, shop, stranger, None).await;
    for cookie in [None, Some("rowhouse-application=zzzzzzzzzzzzzzzzzzzzzz"), Some(&*other.cookie)] {
        is_question(&signed_in.get(&app, cookie, &query).await);
    }
    // The button ends what is of that browser, whoever the hint is about.
    let done = signed_in.press(&app, Some(&other.cookie), "same-origin", &query).await;
    assert!(done.text.contains("You are signed out"), "{}", done.text);
    assert_eq!((signed_in.live(&app).await, other.live(&app).await), ((true, true), (false, false)));
    // A browser that looks ahead, and one that only asks for the headers.
    let ahead = Visitor { cookie: Some(&signed_in.cookie), ..Visitor::default() };
    is_question(&ahead.send(&app, Method::GET, &path(&query), &[("sec-purpose", "prefetch")]).await);
    let ahead = Visitor { cookie: Some(&signed_in.cookie), ..Visitor::default() };
    ahead.send(&app, Method::HEAD, &path(&query), &[]).await;
    assert_eq!(signed_in.live(&app).await, (true, true));
}

#[tokio::test]
async fn without_a_hint_the_person_decides_and_forms_of_other_sites_do_not() {
    let app = start().await;
    let signed_in = SignedIn::new(&app).await;
    let cookie = Some(&*signed_in.cookie);
    let query = [("client_id", &*signed_in.shop.id), ("post_logout_redirect_uri", GONE)];
    let page = signed_in.get(&app, cookie, &query).await;
    is_question(&page);
    assert!(page.text.contains("Shop asks to sign you out"), "{}", page.text);
    for (from, cookie) in [("cross-site", cookie), ("same-site", cookie)] {
        let refused = signed_in.press(&app, cookie, from, &query).await;
        let code = &refused.body["error_code"];
        assert_eq!((refused.status, code), (StatusCode::BAD_REQUEST, &json!("validation_failed")), "{from}");
    }
    let unknown = signed_in.press(&app, cookie, "same-origin", &[("client_id", "x")]).await;
    assert_eq!(unknown.body["error_code"], "oauth_client_not_found");
    // The form of the application comes without the cookie; its parameters are taken to the page.
    let form = Serializer::new(String::new()).extend_pairs(query).append_pair("ui_locales", "de").finish();
    let browser = Client::builder().redirect(Policy::none()).build().unwrap();
    let request = browser.post(format!("http://{}/auth/v1/oauth/end_session", app.address));
    let request =
        request.header("content-type", "application/x-www-form-urlencoded").header("host", "rowhouse.test");
    let taken = request.body(form).send().await.unwrap();
    assert_eq!(taken.status(), StatusCode::SEE_OTHER);
    let page = taken.headers()["location"].to_str().unwrap();
    assert!(page.ends_with(&path(&query)), "{page}");
    assert_eq!(signed_in.live(&app).await, (true, true));
    let done = signed_in.press(&app, cookie, "same-origin", &query).await;
    assert_eq!((done.status, done.location.as_deref()), (StatusCode::SEE_OTHER, Some(GONE)));
    assert_eq!(signed_in.live(&app).await, (false, false));
    let entries = app.sql().await;
    let sql = "select count(*) from audit.entries where action = 'logout' and target_id = $1";
    let written: i64 = entries.query_one(sql, &[&signed_in.person.id()]).await.unwrap().get(0);
    assert!(written > 0);
}

#[tokio::test]
async fn nothing_leads_anywhere_but_to_what_the_application_has_registered() {
    let app = start().await;
    let signed_in = SignedIn::new(&app).await;
    let other =
        Shop::register(&app, json!({ "post_logout_redirect_uris": ["https://other.example/"] })).await;
    let hint = signed_in.hint();
    let access = signed_in.tokens["access_token"].as_str().unwrap();
    let (mine, theirs) =
        (("post_logout_redirect_uri", GONE), ("post_logout_redirect_uri", "https://other.example/"));
    let (signed, signature) = hint.rsplit_once('.').unwrap();
    let forged = format!("{signed}.{}", signature.chars().rev().collect::<String>());
    let forged = forged.as_str();
    let long = "x".repeat(4097);
    let refused: [(&[(&str, &str)], &str); 9] = [
        (&[("id_token_hint", hint), theirs], "validation_failed"),
        (
            &[("id_token_hint", hint), ("post_logout_redirect_uri", "https://shop.example/bye")],
            "validation_failed",
        ),
        (&[("id_token_hint", hint), ("post_logout_redirect_uri", BACK)], "validation_failed"),
        (&[("id_token_hint", hint), ("client_id", other.id.as_str())], "validation_failed"),
        (&[("id_token_hint", forged), mine], "validation_failed"),
        (&[("id_token_hint", access), mine], "validation_failed"),
        (&[mine], "validation_failed"),
        (&[("client_id", "x"), mine], "oauth_client_not_found"),
        (&[("id_token_hint", hint), mine, ("state", long.as_str())], "validation_failed"),
    ];
    for (query, code) in refused {
        let answer = signed_in.get(&app, Some(&signed_in.cookie), query).await;
        assert_eq!(
            (answer.status, &answer.body["error_code"]),
            (StatusCode::BAD_REQUEST, &json!(code)),
            "{query:?}"
        );
        assert_eq!(answer.location, None);
    }
    // Without a place to lead to, what is no hint is none.
    for hint in [forged, access, "nonsense"] {
        is_question(&signed_in.get(&app, Some(&signed_in.cookie), &[("id_token_hint", hint)]).await);
    }
    assert_eq!(signed_in.live(&app).await, (true, true));
    let done = signed_in.get(&app, Some(&signed_in.cookie), &[("id_token_hint", hint)]).await;
    assert!(done.text.contains("You are signed out"), "{}", done.text);
    for uris in
        [json!(["https://a.example/#x"]), json!(["javascript:alert(1)"]), json!(["http://a.example/"])]
    {
        let body = json!({ "redirect_uris": [BACK], "post_logout_redirect_uris": uris });
        let key = app.service_key.clone();
        app.post_as("/admin/oauth/clients", &key, body).await.is(400, "validation_failed");
    }
    let path = format!("/admin/oauth/clients/{}", signed_in.shop.id);
    let shown = app.get(&path, &app.service_key).await.ok();
    assert_eq!(shown["post_logout_redirect_uris"], json!([GONE]));
}

#[tokio::test]
async fn button_ends_every_application_of_the_browser_and_no_other() {
    let app = start().await;
    let first = SignedIn::new(&app).await;
    let shop = Shop::register(&app, json!({})).await;
    let person = app.sign_in("ann@example.com").await;
    let second = SignedIn::of(&app, shop, person, Some(&first.cookie)).await;
    assert_eq!(second.cookie, first.cookie, "one browser");
    let shop = Shop::register(&app, json!({})).await;
    let person = app.sign_in("ann@example.com").await;
    let elsewhere = SignedIn::of(&app, shop, person, None).await;
    // What was asked for there and not exchanged is as good as a session.
    let visitor = Visitor { cookie: Some(&second.cookie), ..Visitor::default() };
    let asked = visitor.get(&app, &second.shop.request("openid", &[])).await.target();
    let answer = show(&app, &second.person, &parameter(&asked, "authorization_id").unwrap()).await.ok();
    let code = parameter(&Url::parse(answer["redirect_url"].as_str().unwrap()).unwrap(), "code").unwrap();
    is_question(&first.get(&app, Some(&first.cookie), &[]).await);
    first.press(&app, Some(&first.cookie), "same-origin", &[]).await;
    let live = (first.live(&app).await, second.live(&app).await, elsewhere.live(&app).await);
    assert_eq!(live, ((false, false), (false, false), (true, true)));
    super::is_oauth_error(&second.shop.exchange(&app, &code).await, 400, "invalid_grant");
}
