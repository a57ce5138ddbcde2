//! The authorization server: applications that sign people in with their accounts here.

mod attack;
mod client;
mod consent;
mod end_session;
mod flow;
mod product;
mod token;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use rowhouse_auth::{AuthSettings, OauthServerSettings};
use rowhouse_testkit::{TestApp, TestDatabase};
use serde_json::{Value, json};
use url::Url;
use url::form_urlencoded::Serializer;

use crate::app::{Answer, App, Person, settings};
use crate::external::{SITE, parameter, visit};

/// RFC 7636 appendix B.
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
/// Where the application lives.
pub(crate) const BACK: &str = "https://shop.example/callback";

pub(crate) fn oauth_settings() -> OauthServerSettings {
    OauthServerSettings {
        enabled: true,
        authorization_path: Some("/oauth/consent".to_owned()),
        ..OauthServerSettings::default()
    }
}

pub(crate) fn with_site() -> AuthSettings {
    AuthSettings { site_url: Some(SITE.to_owned()), ..settings() }
}

pub(crate) async fn start() -> App {
    start_with(with_site(), oauth_settings()).await
}

pub(crate) async fn start_with(settings: AuthSettings, oauth: OauthServerSettings) -> App {
    let db = TestDatabase::create().await;
    App::with_setup(db, settings, |setup| setup.settings.put(oauth)).await
}

/// An application, with the user whom it asks.
pub(crate) struct Shop {
    pub(crate) id: String,
    /// Empty for a public client.
    pub(crate) secret: String,
}

impl Shop {
    /// Registered by an administrator; `more` is what differs from a confidential client with Basic authentication.
    pub(crate) async fn register(app: &App, more: Value) -> Self {
        let mut body = json!({ "client_name": "Shop", "redirect_uris": [BACK] });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let key = app.service_key.clone();
        let made = app.post_as("/admin/oauth/clients", &key, body).await;
        assert_eq!(made.status, 201, "{}", made.body);
        let text = |name: &str| made.body[name].as_str().unwrap_or_default().to_owned();
        Self { id: text("client_id"), secret: text("client_secret") }
    }

    pub(crate) async fn public(app: &App) -> Self {
        Self::register(app, json!({ "token_endpoint_auth_method": "none" })).await
    }

    /// The path of a request for authorization with the scope; parameters of `more` replace those of the same name, and an
    /// empty value leaves one out.
    pub(crate) fn request(&self, scope: &str, more: &[(&str, &str)]) -> String {
        let usual = [
            ("client_id", self.id.as_str()),
            ("redirect_uri", BACK),
            ("response_type", "code"),
            ("scope", scope),
            ("state", "a state"),
            ("nonce", "a nonce"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ];
        let kept = usual.into_iter().filter(|(name, _)| more.iter().all(|(other, _)| other != name));
        let all: Vec<_> = kept.chain(more.iter().copied()).filter(|(_, value)| !value.is_empty()).collect();
        format!("/oauth/authorize?{}", Serializer::new(String::new()).extend_pairs(all).finish())
    }

    /// Begins an authorization; its name on the consent page.
    pub(crate) async fn ask(&self, app: &App, scope: &str) -> String {
        let page = visit(app, &self.request(scope, &[])).await.target();
        assert_eq!(
            format!("{}{}", page.origin().ascii_serialization(), page.path()),
            "https://app.example/oauth/consent"
        );
        parameter(&page, "authorization_id").unwrap()
    }

    /// Asks, and the user agrees; the code.
    pub(crate) async fn code(&self, app: &App, person: &Person, scope: &str) -> String {
        let name = self.ask(app, scope).await;
        let shown = show(app, person, &name).await.ok();
        let answer = match shown.get("redirect_url") {
            Some(_) => shown,
            None => decide(app, person, &name, "approve").await.ok(),
        };
        let back = Url::parse(answer["redirect_url"].as_str().unwrap()).unwrap();
        parameter(&back, "code").unwrap()
    }

    /// The token endpoint, with Basic authentication unless the application is public.
    pub(crate) async fn token(&self, app: &App, fields: &[(&str, &str)]) -> Answer {
        let basic = STANDARD.encode(format!("{}:{}", self.id, self.secret));
        match self.secret.is_empty() {
            true => token(app, None, &[fields, &[("client_id", self.id.as_str())]].concat()).await,
            false => token(app, Some(&format!("Basic {basic}")), fields).await,
        }
    }

    pub(crate) async fn exchange(&self, app: &App, code: &str) -> Answer {
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", BACK),
            ("code_verifier", VERIFIER),
        ];
        self.token(app, &fields).await
    }

    pub(crate) async fn refresh(&self, app: &App, token: &str) -> Answer {
        self.token(app, &[("grant_type", "refresh_token"), ("refresh_token", token)]).await
    }

    /// Tokens of a user.
    pub(crate) async fn tokens(&self, app: &App, person: &Person, scope: &str) -> Value {
        let code = self.code(app, person, scope).await;
        self.exchange(app, &code).await.ok()
    }
}

/// POST /oauth/token as a form.
pub(crate) async fn token(app: &App, authorization: Option<&str>, fields: &[(&str, &str)]) -> Answer {
    let form = Serializer::new(String::new()).extend_pairs(fields).finish();
    let request = app.request(Method::POST, "/auth/v1/oauth/token");
    let request = request.header("x-real-ip", "192.0.2.1");
    let request = request.header("content-type", "application/x-www-form-urlencoded").body(form);
    let request = match authorization {
        Some(text) => request.header("authorization", text),
        None => request,
    };
    let surface: &TestApp = app;
    let answer = surface.send(request).await;
    Answer { status: answer.status, body: answer.json(), headers: answer.headers }
}

pub(crate) async fn show(app: &App, person: &Person, name: &str) -> Answer {
    app.get(&format!("/oauth/authorizations/{name}"), person.token()).await
}

pub(crate) async fn decide(app: &App, person: &Person, name: &str, action: &str) -> Answer {
    let path = format!("/oauth/authorizations/{name}/consent");
    app.post_as(&path, person.token(), json!({ "action": action })).await
}

pub(crate) async fn user_info(app: &App, token: &str) -> Answer {
    app.get("/oauth/userinfo", token).await
}

/// An error for an application.
#[track_caller]
pub(crate) fn is_oauth_error(answer: &Answer, status: u16, error: &str) {
    let told = (answer.status.as_u16(), answer.body["error"].as_str().unwrap_or_default());
    assert_eq!(told, (status, error), "{}", answer.body);
    assert!(answer.body["error_description"].is_string(), "{}", answer.body);
    assert_eq!(answer.headers["cache-control"], "no-store");
}

pub(crate) const MINUTE: Duration = Duration::from_mins(1);
