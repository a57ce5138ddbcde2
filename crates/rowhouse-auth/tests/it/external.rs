//! External sign-in against a provider in the same process.

mod attack;
mod custom;
mod flow;
mod id_token;
mod link;
mod provider;

use reqwest::{Client, StatusCode, redirect};
use rowhouse_auth::{AuthSettings, ProviderSettings};
use rowhouse_kernel::settings::{Named, Setting};
use rowhouse_testkit::TestApp;
use serde_json::{Value, json};
use url::Url;

use crate::app::{App, settings};
pub(crate) use provider::FakeProvider;

/// Where the front end lives.
pub(crate) const SITE: &str = "https://app.example/";

/// An answer that may be a redirect.
pub(crate) struct Visit {
    pub(crate) status: StatusCode,
    pub(crate) location: Option<Url>,
    pub(crate) body: Value,
}

impl Visit {
    /// The redirect's target.
    pub(crate) fn target(self) -> Url {
        assert!(self.status.is_redirection(), "{} {}", self.status, self.body);
        self.location.unwrap()
    }
}

/// Where the surface is reached.
pub(crate) fn surface(app: &TestApp) -> String {
    format!("http://{}/auth/v1", app.address)
}

/// GET of a path below `/auth/v1`, as a browser on a page of another site does it; redirects are not followed.
pub(crate) async fn visit(app: &App, path: &str) -> Visit {
    let client = Client::builder().redirect(redirect::Policy::none()).build().unwrap();
    let url = format!("{}{path}", surface(app));
    let answer = client.get(url).header("apikey", &app.anon_key).send().await.unwrap();
    let location = answer.headers().get("location").map(|value| Url::parse(value.to_str().unwrap()).unwrap());
    let status = answer.status();
    Visit { status, location, body: answer.json().await.unwrap_or_default() }
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
