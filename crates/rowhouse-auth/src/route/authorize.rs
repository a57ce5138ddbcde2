//! GET /authorize and what GET /user/identities/authorize shares with it: the query, and the redirect to a provider.
//! GET and POST /authorize?link=: the URL that begins a link.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, Uri, header};
use serde_json::json;
use url::{Url, form_urlencoded};

use super::browser::Browser;
use super::external::no_redirect;
use super::page::{self, Words, is_german, is_own_form};
use super::redirect::redirect;
use crate::Auth;
use crate::flow::external::begin::{self, Begin, BeginError, Told};
use crate::flow::external::{find, link_begin};
use crate::pkce::{Challenge, PkceError};
use crate::provider::RESERVED;
use crate::refusal::Refusal;
use crate::request::{Client, RedirectTo};

/// Parameters for this installation, which the provider is not told.
const OWN: [&str; 10] = [
    "provider",
    "scopes",
    "redirect_to",
    "skip_http_redirect",
    "apikey",
    "flow_type",
    "invite_token",
    "access_token",
    LINK,
    AT_CALLBACK,
];
/// The state of a link.
const LINK: &str = "link";
/// Marks a URL that was led to the callback's host: behind a proxy that changes the Host header, once is enough.
const AT_CALLBACK: &str = "at_callback";
/// What is not repeated in a URL that begins the same again.
const NOT_REPEATED: [&str; 4] = ["redirect_to", "skip_http_redirect", "apikey", "access_token"];
/// Most parameters that are passed on.
const MOST_PARAMS: usize = 20;
/// Longest name and value that are passed on, in bytes.
const LONGEST_PARAM: usize = 512;

/// A query.
#[derive(Debug)]
pub(super) struct Asked(Vec<(String, String)>);

impl Asked {
    pub(super) fn read(query: Option<&str>) -> Self {
        Self(form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect())
    }

    fn first(&self, wanted: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str())
    }

    pub(super) fn provider(&self) -> &str {
        self.first("provider").unwrap_or_default()
    }

    pub(super) fn challenge(&self) -> Result<Option<Challenge>, PkceError> {
        Challenge::read(self.first("code_challenge"), self.first("code_challenge_method"))
    }

    /// Whether the client wants to be told the URL.
    pub(super) fn wants_url(&self) -> bool {
        self.first("skip_http_redirect") == Some("true")
    }

    /// GoTrue takes commas between scopes, RFC 6749 spaces.
    fn told(&self) -> Told {
        let scopes = self.first("scopes").unwrap_or_default().split([' ', ',']);
        let scopes = scopes.filter(|scope| !scope.is_empty()).map(str::to_owned).take(MOST_PARAMS).collect();
        Told { scopes, params: self.passed_on() }
    }

    fn passed_on(&self) -> Vec<(String, String)> {
        let is_ours = |name: &str| {
            let name = name.to_ascii_lowercase();
            OWN.contains(&name.as_str()) || RESERVED.contains(&name.as_str())
        };
        let foreign = self.0.iter().filter(|(name, value)| {
            !is_ours(name) && name.len() <= LONGEST_PARAM && value.len() <= LONGEST_PARAM
        });
        foreign.take(MOST_PARAMS).cloned().collect()
    }

    /// The URL that asks for the same, with these parameters besides.
    fn again(&self, entry: &str, more: &[(&str, &str)]) -> Result<String, Refusal> {
        let kept = self.0.iter().filter(|(name, _)| !NOT_REPEATED.contains(&name.as_str()));
        let url = Url::parse_with_params(entry, kept).map_err(|_| no_redirect())?;
        Url::parse_with_params(url.as_str(), more).map(String::from).map_err(|_| no_redirect())
    }

    /// The URL that begins a link of this state.
    pub(super) fn link_url(&self, entry: &str, state: &str) -> Result<String, Refusal> {
        let kept = self.passed_on().into_iter();
        let scopes = self.first("scopes").map(|scopes| ("scopes".to_owned(), scopes.to_owned()));
        let all = [(LINK.to_owned(), state.to_owned())].into_iter().chain(scopes).chain(kept);
        Url::parse_with_params(entry, all).map(String::from).map_err(|_| no_redirect())
    }
}

/// Leads the browser to the provider; clients that cannot be redirected are told where to open a browser.
pub(super) async fn get(
    State(auth): State<Auth>,
    client: Client,
    RedirectTo(referrer): RedirectTo,
    browser: Browser,
    (uri, headers): (Uri, HeaderMap),
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    auth.refresh_limit.check(&client).await?;
    let asked = Asked::read(query.as_deref());
    if let Some(state) = asked.first(LINK) {
        return open_link(&auth, state, &asked, &browser, &client).await;
    }
    let challenge = asked.challenge()?;
    let provider = find::provider(&auth, asked.provider(), &client).await?;
    let entry = begin::entry_url(&auth, &provider);
    if asked.wants_url() {
        let url = asked.again(&entry, &[("redirect_to", &referrer)])?;
        return Ok(Json(json!({ "url": url })).into_response());
    }
    if asked.first(AT_CALLBACK).is_none() && is_elsewhere(&uri, &headers, &entry) {
        let url = asked.again(&entry, &[("redirect_to", &referrer), (AT_CALLBACK, "true")])?;
        return redirect(StatusCode::FOUND, &url).ok_or_else(no_redirect);
    }
    let begin = Begin { provider, told: asked.told(), challenge, referrer, browser: browser.digest() };
    let url = begin::begin(&auth, begin, &client).await?;
    redirect(StatusCode::FOUND, &url).map(|answer| browser.remember(answer)).ok_or_else(no_redirect)
}

/// Whether the browser uses another host than the callback's, which would not get the cookie.
fn is_elsewhere(uri: &Uri, headers: &HeaderMap, entry: &str) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let Some(host) = uri.authority().map(http::uri::Authority::as_str).or(host) else { return false };
    let Ok(home) = Url::parse(entry) else { return false };
    let here = Url::parse(&format!("{}://{host}", home.scheme()));
    here.is_ok_and(|here| here.host_str() != home.host_str() || here.port() != home.port())
}

/// With a code challenge at once; without one after a question, since whoever signs in gives the account their identity.
async fn open_link(
    auth: &Auth,
    state: &str,
    asked: &Asked,
    browser: &Browser,
    client: &Client,
) -> Result<Response, Refusal> {
    let link = link_begin::find(auth, state, client).await?;
    let answer = if link.has_challenge {
        let url = link_begin::open(auth, (state, link), browser.digest(), &asked.told(), client).await?;
        redirect(StatusCode::FOUND, &url).ok_or_else(no_redirect)?
    } else {
        let language = client.language.as_deref();
        page::show(language, &question(&link.provider, &link.account, language))
    };
    Ok(browser.remember(answer))
}

/// The button of the page. Its cookie shows that the page was opened in this browser: a form on another site sends none.
pub(super) async fn post(
    State(auth): State<Auth>,
    client: Client,
    browser: Browser,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    auth.refresh_limit.check(&client).await?;
    let asked = Asked::read(query.as_deref());
    let Some(state) = asked.first(LINK) else { return Err(Refusal::wrong_method()) };
    let is_own = is_own_form(&headers);
    let digest = browser.known_digest().filter(|_| is_own).ok_or(BeginError::UnknownLink)?;
    let link = link_begin::find(&auth, state, &client).await?;
    let url = link_begin::open(&auth, (state, link), digest, &asked.told(), &client).await?;
    redirect(StatusCode::SEE_OTHER, &url).ok_or_else(no_redirect)
}

fn question(provider: &str, account: &str, language: Option<&str>) -> Words {
    let (provider, is_german) = (shown(provider), is_german(language));
    let account = match (account.is_empty(), is_german) {
        (false, _) => shown(account),
        (true, false) => "an account without an address".to_owned(),
        (true, true) => "ein Konto ohne Adresse".to_owned(),
    };
    if is_german {
        let text = format!(
            "Wer sich jetzt bei {provider} anmeldet, kann sich danach auch damit anmelden als: {account}. Ist das nicht \
             Ihr Konto, schließen Sie diese Seite."
        );
        return Words { title: "Konto verknüpfen", text, button: "Weiter" };
    }
    let text = format!(
        "Whoever signs in at {provider} now can use it from then on to sign in as: {account}. If this is not your \
         account, close this page."
    );
    Words { title: "Link an account", text, button: "Go on" }
}

/// Characters that would reverse or hide what stands beside them are left out.
fn shown(text: &str) -> String {
    text.chars().filter(|letter| letter.is_ascii_graphic() || letter.is_alphanumeric()).take(320).collect()
}
