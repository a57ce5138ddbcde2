//! GET and POST /oauth/end_session: an application asks to sign its user out (OpenID Connect RP-Initiated Logout 1.0). A page with a
//! question stands between, unless the application's ID token is of a session of this browser.

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode, Uri};
use url::form_urlencoded::Serializer;

use super::browser::ApplicationBrowser;
use super::oauth_dialect::{OauthServer, no_url};
use super::page::{self, Words, is_german, is_own_form};
use super::redirect::redirect;
use crate::Auth;
use crate::flow::end_session::{self, Asked, EndError, Ending};
use crate::oauth::parameter::Parameters;
use crate::refusal::Refusal;
use crate::request::Client;

pub(super) async fn get(
    State(auth): State<Auth>,
    _: OauthServer,
    client: Client,
    ApplicationBrowser(browser): ApplicationBrowser,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    auth.refresh_limit.check(&client).await?;
    let sent = Parameters::of_form(query.unwrap_or_default().as_bytes());
    let asked = Asked::read(&auth, &sent, &client).await?;
    // Nobody has gone there yet.
    let is_ahead = headers.contains_key("sec-purpose") || headers.contains_key("purpose");
    let known = browser.known_digest().filter(|_| !is_ahead);
    match end_session::begin(&auth, &asked, known, &client).await? {
        Ending::Done => done(&asked, &client),
        Ending::Question => Ok(page::show(client.language.as_deref(), &question(&asked, &client))),
    }
}

/// The button of the page, or an application's form. A form of another site comes without the cookie, so its parameters are
/// taken to the page first.
pub(super) async fn post(
    State(auth): State<Auth>,
    _: OauthServer,
    client: Client,
    ApplicationBrowser(browser): ApplicationBrowser,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    auth.refresh_limit.check(&client).await?;
    if !body.is_empty() {
        return to_page(&auth, &Parameters::of_form(&body));
    }
    let sent = Parameters::of_form(uri.query().unwrap_or_default().as_bytes());
    let asked = Asked::read(&auth, &sent, &client).await?;
    if !is_own_form(&headers) {
        return Err(Refusal::validation("open the page and use its button"));
    }
    if let Some(digest) = browser.known_digest() {
        end_session::end_all(&auth, digest, &client).await?;
    }
    done(&asked, &client)
}

fn to_page(auth: &Auth, sent: &Parameters) -> Result<Response, Refusal> {
    let mut query = Serializer::new(String::new());
    for name in end_session::PARAMETERS {
        if let Some(value) = sent.one(name).map_err(EndError::from)? {
            query.append_pair(name, value);
        }
    }
    let url = format!("{}/oauth/end_session?{}", auth.issuer, query.finish());
    redirect(StatusCode::SEE_OTHER, &url).ok_or_else(no_url)
}

/// Back to the application, if it is to be led there.
fn done(asked: &Asked, client: &Client) -> Result<Response, Refusal> {
    if let Some(back) = asked.back() {
        return redirect(StatusCode::SEE_OTHER, &back).ok_or_else(no_url);
    }
    let language = client.language.as_deref();
    let (title, text) = match is_german(language) {
        true => ("Abgemeldet", "Sie sind abgemeldet und können diese Seite schließen."),
        false => ("Signed out", "You are signed out and can close this page."),
    };
    Ok(page::tell(language, title, text))
}

fn question(asked: &Asked, client: &Client) -> Words {
    let is_german = is_german(client.language.as_deref());
    let who = asked
        .application()
        .map(|name| name.chars().filter(|c| !c.is_control()).take(100).collect::<String>());
    let text = match (who, is_german) {
        (Some(name), false) => format!("{name} asks to sign you out in this browser."),
        (Some(name), true) => format!("{name} möchte Sie in diesem Browser abmelden."),
        (None, false) => "Do you want to sign out in this browser?".to_owned(),
        (None, true) => "Möchten Sie sich in diesem Browser abmelden?".to_owned(),
    };
    match is_german {
        true => Words { title: "Abmelden", text, button: "Abmelden" },
        false => Words { title: "Sign out", text, button: "Sign out" },
    }
}

impl From<EndError> for Refusal {
    fn from(error: EndError) -> Self {
        let code = match error {
            EndError::NoSuchClient => "oauth_client_not_found",
            EndError::Repeated(_)
            | EndError::OtherClient
            | EndError::OtherUri
            | EndError::NoClient
            | EndError::TooLong => "validation_failed",
            EndError::Fault(fault) => return fault.into(),
        };
        Self::new(StatusCode::BAD_REQUEST, code, error.to_string())
    }
}
