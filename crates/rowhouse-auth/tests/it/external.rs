//! External sign-in against a provider in the same process.

mod attack;
mod browser;
mod custom;
mod flow;
mod id_token;
mod link;
mod provider;

use reqwest::{Client, Method, StatusCode, redirect};
use rowhouse_auth::{AuthSettings, ProviderSettings};
use rowhouse_kernel::settings::{Named, Setting};
use serde_json::{Value, json};
use url::Url;

use crate::app::{App, settings};
pub(crate) use provider::FakeProvider;

/// Where the front end lives.
pub(crate) const SITE: &str = "https://app.example/";

/// The cookie of the browser in which visits are made.
pub(crate) const BROWSER: &str = "rowhouse-sign-in=0123456789abcdefghijAB";

/// An answer that may be a redirect.
pub(crate) struct Visit {
    pub(crate) status: StatusCode,
    pub(crate) location: Option<String>,
    pub(crate) set_cookie: Option<String>,
    pub(crate) text: String,
    pub(crate) body: Value,
}

impl Visit {
    /// The redirect's target.
    pub(crate) fn target(self) -> Url {
        assert!(self.status.is_redirection(), "{} {}", self.status, self.text);
        Url::parse(&self.location.unwrap()).unwrap()
    }
}

/// A browser on a page of another site; it follows no redirects and keeps no cookies.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Visitor<'a> {
    pub(crate) host: &'a str,
    pub(crate) cookie: Option<&'a str>,
}

impl Default for Visitor<'_> {
    fn default() -> Self {
        Self { host: "rowhouse.test", cookie: Some(BROWSER) }
    }
}

impl Visitor<'_> {
    /// A request for a path below `/auth/v1`.
    pub(crate) async fn send(self, app: &App, method: Method, path: &str, headers: &[(&str, &str)]) -> Visit {
        let client = Client::builder().redirect(redirect::Policy::none()).build().unwrap();
        let request = client.request(method, format!("http://{}/auth/v1{path}", app.address));
        let cookie = self.cookie.map(|cookie| ("cookie", cookie));
        let headers = headers.iter().copied().chain(cookie).chain([("host", self.host)]);
        let request = headers.fold(request, |request, (name, value)| request.header(name, value));
        let answer = request.send().await.unwrap();
        let header = |name: &str| Some(answer.headers().get(name)?.to_str().unwrap().to_owned());
        let (status, location, set_cookie) = (answer.status(), header("location"), header("set-cookie"));
        let text = answer.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or_default();
        Visit { status, location, set_cookie, text, body }
    }

    pub(crate) async fn get(self, app: &App, path: &str) -> Visit {
        self.send(app, Method::GET, path, &[]).await
    }
}

/// GET of a path below `/auth/v1`, in one browser.
pub(crate) async fn visit(app: &App, path: &str) -> Visit {
    Visitor::default().get(app, path).await
}

/// A parameter of the query, or else of the fragment.
pub(crate) fn parameter(url: &Url, wanted: &str) -> Option<String> {
    let fragment = url.fragment().unwrap_or_default();
    let in_fragment = url::form_urlencoded::parse(fragment.as_bytes());
    url.query_pairs().chain(in_fragment).find(|(name, _)| name == wanted).map(|(_, value)| value.into_owned())
}

/// Settings with providers as `[auth.external]` has them.
#[expect(clippy::needless_pass_by_value, reason = "callers write json!")]
pub(crate) fn with_providers(providers: Value) -> AuthSettings {
    let external: Named<ProviderSettings> = Named::from_text(&providers.to_string()).unwrap();
    AuthSettings { site_url: Some(SITE.to_owned()), manual_linking: true, external, ..settings() }
}

/// The provider under the name `acme`.
pub(crate) fn acme(provider: &FakeProvider) -> AuthSettings {
    let acme = json!({ "client_id": ["web", "phone"], "secret": "sesame", "issuer": provider.url });
    with_providers(json!({ "acme": acme }))
}

/// A process that knows the provider as `acme`.
pub(crate) async fn start(provider: &FakeProvider) -> App {
    App::with(acme(provider)).await
}

/// Signs in at `acme` in the implicit flow; where the browser ends.
pub(crate) async fn sign_in(app: &App, provider: &FakeProvider, claims: Value) -> Url {
    let there = visit(app, "/authorize?provider=acme").await.target();
    visit(app, &provider.admit(&there, claims)).await.target()
}

/// The claims of a person.
pub(crate) fn person(sub: &str, email: &str, is_verified: bool) -> Value {
    json!({ "sub": sub, "email": email, "email_verified": is_verified, "name": "Ann Example" })
}

/// An error as the callback tells it.
#[track_caller]
pub(crate) fn is_error(url: &Url, code: &str) {
    assert_eq!(parameter(url, "error_code").as_deref(), Some(code), "{url}");
    assert_eq!(parameter(url, "access_token"), None);
    assert_eq!(parameter(url, "code"), None);
}
