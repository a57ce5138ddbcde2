//! GET /oauth/authorize; GET /oauth/authorizations/{id}, POST …/consent for the consent page.

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};

use super::browser::ApplicationBrowser;
use super::oauth_dialect::{OauthServer, no_url};
use super::redirect::redirect;
use crate::Auth;
use crate::flow::oauth_authorize::{self, AuthorizeError, Begun};
use crate::flow::oauth_consent::{self, ConsentError, Decision, Question, Shown};
use crate::oauth::parameter::Parameters;
use crate::oauth::reply::Reply;
use crate::refusal::Refusal;
use crate::request::{Body, Client, SignedIn};

#[derive(Debug, Deserialize)]
pub(super) struct ConsentBody {
    action: Option<String>,
}

/// Extractor: the page that a browser sends requests from is one of the project's. Whoever is no browser sends no origin.
#[derive(Debug, Clone, Copy)]
pub(super) struct OwnPage;

impl axum::extract::FromRequestParts<Auth> for OwnPage {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, auth: &Auth) -> Result<Self, Refusal> {
        let Some(origin) = parts.headers.get(header::ORIGIN) else { return Ok(Self) };
        match origin.to_str().is_ok_and(|origin| auth.targets.allows(origin)) {
            true => Ok(Self),
            false => Err(Refusal::validation("unauthorized request origin")),
        }
    }
}

pub(super) async fn authorize(
    State(auth): State<Auth>,
    _: OauthServer,
    client: Client,
    ApplicationBrowser(browser): ApplicationBrowser,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    auth.refresh_limit.check(&client).await?;
    let sent = Parameters::of_form(query.unwrap_or_default().as_bytes());
    let led = |url: Option<String>| url.and_then(|url| redirect(StatusCode::FOUND, &url)).ok_or_else(no_url);
    match oauth_authorize::begin(&auth, &sent, browser.digest(), &client).await? {
        Begun::Consent(url) => led(Some(url)).map(|answer| browser.remember(answer)),
        Begun::Refused(reply) => led(reply.url()),
    }
}

pub(super) async fn show(
    State(auth): State<Auth>,
    _: OauthServer,
    _: OwnPage,
    caller: SignedIn,
    client: Client,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    auth.refresh_limit.check_user(caller.user, &client).await?;
    match oauth_consent::show(&auth, caller, id, &client).await? {
        Shown::Question(question) => Ok(private(question_body(*question))),
        Shown::Answered(reply) => answered(&reply),
    }
}

pub(super) async fn decide(
    State(auth): State<Auth>,
    _: OauthServer,
    _: OwnPage,
    caller: SignedIn,
    client: Client,
    Path(id): Path<String>,
    Body(body): Body<ConsentBody>,
) -> Result<Response, Refusal> {
    auth.refresh_limit.check_user(caller.user, &client).await?;
    let decision = match body.action.as_deref() {
        Some("approve") => Decision::Approve,
        Some("deny") => Decision::Deny,
        _ => return Err(Refusal::validation("action must be 'approve' or 'deny'")),
    };
    answered(&oauth_consent::decide(&auth, caller, (id, decision), &client).await?)
}

/// GoTrue's JSON: what is not known is left out.
fn question_body(question: Question) -> Value {
    let Question { authorization, client, user } = question;
    let mut about = json!({ "id": client.id });
    for (name, text) in [("name", client.name), ("uri", client.uri), ("logo_uri", client.logo_uri)] {
        if let Some(text) = text {
            about[name] = text.into();
        }
    }
    let mut asked = json!({ "id": user.id });
    if !user.email.is_empty() {
        asked["email"] = user.email.into();
    }
    json!({
        "authorization_id": authorization.name,
        "redirect_uri": authorization.redirect_uri,
        "client": about,
        "user": asked,
        "scope": authorization.scopes.to_string(),
    })
}

fn answered(reply: &Reply) -> Result<Response, Refusal> {
    let url = reply.url().ok_or_else(no_url)?;
    Ok(private(json!({ "redirect_url": url })))
}

/// Never cached: it has a code, or is about one user.
fn private(body: Value) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

impl From<AuthorizeError> for Refusal {
    fn from(error: AuthorizeError) -> Self {
        let code = match error {
            AuthorizeError::NoSuchClient => "oauth_client_not_found",
            AuthorizeError::Missing(_)
            | AuthorizeError::Repeated(_)
            | AuthorizeError::OtherRedirect
            | AuthorizeError::Malformed(_) => "validation_failed",
            AuthorizeError::Fault(fault) => return fault.into(),
        };
        Self::new(StatusCode::BAD_REQUEST, code, error.to_string())
    }
}

impl From<ConsentError> for Refusal {
    fn from(error: ConsentError) -> Self {
        let message = error.to_string();
        match error {
            ConsentError::NotLive(error) => error.into(),
            ConsentError::NotFound => {
                Self::new(StatusCode::NOT_FOUND, "oauth_authorization_not_found", message)
            }
            ConsentError::Decided => Self::validation(message),
            ConsentError::NeedsAal2 => Self::new(StatusCode::UNAUTHORIZED, "insufficient_aal", message),
            ConsentError::Fault(fault) => fault.into(),
        }
    }
}
