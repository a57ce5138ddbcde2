//! GET /authorize, GET and POST /callback.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::json;
use url::form_urlencoded;

use super::redirect::{error_of, redirect, with_code, with_error, with_session};
use crate::Auth;
use crate::flow::external::admit::AdmitError;
use crate::flow::external::begin::{self, Begin, BeginError};
use crate::flow::external::callback::{self, Callback, CallbackError, Refused, Returned};
use crate::flow::external::find::FindError;
use crate::flow::external::link::LinkError;
use crate::pkce::Challenge;
use crate::provider::RESERVED;
use crate::refusal::Refusal;
use crate::request::{Client, RedirectTo, SignedIn};

/// Parameters for this installation, which the provider is not told.
const OWN: [&str; 8] = [
    "provider",
    "scopes",
    "redirect_to",
    "skip_http_redirect",
    "apikey",
    "flow_type",
    "invite_token",
    "access_token",
];
/// Most parameters that are passed on.
const MOST_PARAMS: usize = 20;
/// Longest name and value that are passed on, in bytes.
const LONGEST_PARAM: usize = 512;
/// Longest text of a provider that is passed on, in characters.
const LONGEST_ERROR: usize = 300;

pub(super) async fn authorize(
    State(auth): State<Auth>,
    client: Client,
    target: RedirectTo,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    begin(&auth, &query.unwrap_or_default(), target, None, &client).await
}

/// Redirects, or tells the URL where the client cannot be redirected.
pub(super) async fn begin(
    auth: &Auth,
    query: &str,
    RedirectTo(referrer): RedirectTo,
    link_to: Option<SignedIn>,
    client: &Client,
) -> Result<Response, Refusal> {
    auth.refresh_limit.check(client).await?;
    let given: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let first = |wanted: &str| given.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
    let asked = Begin {
        provider: first("provider").unwrap_or_default().to_owned(),
        scopes: scopes(first("scopes").unwrap_or_default()),
        challenge: Challenge::read(first("code_challenge"), first("code_challenge_method"))?,
        referrer,
        params: passed_on(&given),
        link_to,
    };
    let tells = first("skip_http_redirect") == Some("true");
    let url = begin::begin(auth, asked, client).await?;
    if tells {
        return Ok(Json(json!({ "url": url })).into_response());
    }
    redirect(StatusCode::FOUND, &url).ok_or_else(no_redirect)
}

/// GoTrue takes commas between them, RFC 6749 spaces.
fn scopes(text: &str) -> Vec<String> {
    text.split([' ', ',']).filter(|scope| !scope.is_empty()).map(str::to_owned).take(MOST_PARAMS).collect()
}

fn passed_on(given: &[(String, String)]) -> Vec<(String, String)> {
    let is_ours = |name: &str| {
        let name = name.to_ascii_lowercase();
        OWN.contains(&name.as_str()) || RESERVED.contains(&name.as_str())
    };
    let foreign = given.iter().filter(|(name, value)| {
        !is_ours(name) && name.len() <= LONGEST_PARAM && value.len() <= LONGEST_PARAM
    });
    foreign.take(MOST_PARAMS).cloned().collect()
}

pub(super) async fn callback(
    State(auth): State<Auth>,
    client: Client,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    finish(&auth, query.unwrap_or_default().as_bytes(), &client).await
}

/// Apple posts a form.
pub(super) async fn post_callback(
    State(auth): State<Auth>,
    client: Client,
    form: Bytes,
) -> Result<Response, Refusal> {
    finish(&auth, &form, &client).await
}

async fn finish(auth: &Auth, form: &[u8], client: &Client) -> Result<Response, Refusal> {
    auth.refresh_limit.check(client).await?;
    let mut sent = Callback::default();
    for (name, value) in form_urlencoded::parse(form) {
        let field = match &*name {
            "state" => &mut sent.state,
            "code" => &mut sent.code,
            "error" => &mut sent.error,
            "error_description" => &mut sent.error_description,
            "iss" => &mut sent.issuer,
            "user" => &mut sent.user,
            _ => continue,
        };
        if field.is_empty() {
            *field = value.into_owned();
        }
    }
    let url = match callback::finish(auth, sent, client).await {
        Ok(Returned::Code { target, code }) => with_code(&target, &code),
        Ok(Returned::Session { target, session }) => with_session(&target, &session),
        Err(refused) => return refuse(auth, refused),
    };
    url.and_then(|url| redirect(StatusCode::FOUND, &url)).ok_or_else(no_redirect)
}

/// Errors are told to the page that began the flow; without one to the site.
fn refuse(auth: &Auth, Refused { target, error }: Refused) -> Result<Response, Refusal> {
    let status = if target.is_some() { StatusCode::FOUND } else { StatusCode::SEE_OTHER };
    let target = target.unwrap_or_else(|| auth.targets.choose([None, None]));
    let short = |text: &str| text.chars().take(LONGEST_ERROR).collect::<String>();
    if let CallbackError::Provider { error, description } = &error {
        let url = with_error(&target, (&short(error), "", &short(description)));
        return url.and_then(|url| redirect(status, &url)).ok_or_else(no_redirect);
    }
    let refusal = Refusal::from(error);
    if let (true, Some(cause)) = (refusal.status.is_server_error(), &refusal.cause) {
        tracing::warn!(error = %cause, code = refusal.code, "external sign-in failed");
    }
    let url = with_error(&target, (error_of(&refusal), refusal.code, &refusal.message));
    url.and_then(|url| redirect(status, &url)).ok_or(refusal)
}

/// The site's URL is none, so there is nowhere to go.
fn no_redirect() -> Refusal {
    Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "unexpected_failure", "auth.site_url is not a URL")
}

impl From<FindError> for Refusal {
    fn from(error: FindError) -> Self {
        match error {
            FindError::Unknown(_) | FindError::Disabled => Self::validation(error.to_string()),
            FindError::Fault(fault) => fault.into(),
        }
    }
}

impl From<BeginError> for Refusal {
    fn from(error: BeginError) -> Self {
        let message = error.to_string();
        match error {
            BeginError::LinkingDisabled => linking_disabled(message),
            BeginError::NotLive(error) => error.into(),
            BeginError::Find(error) => error.into(),
            BeginError::Provider(cause) => {
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "unexpected_failure", message).because(cause)
            }
            BeginError::Fault(fault) => fault.into(),
        }
    }
}

/// GoTrue has no such path then.
pub(super) fn linking_disabled(message: String) -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "manual_linking_disabled", message)
}

impl From<AdmitError> for Refusal {
    fn from(error: AdmitError) -> Self {
        use StatusCode as S;
        let message = error.to_string();
        match error {
            AdmitError::SignupDisabled => Self::new(S::UNPROCESSABLE_ENTITY, "signup_disabled", message),
            AdmitError::Banned => Self::new(S::FORBIDDEN, "user_banned", message),
            AdmitError::NoEmail => Self::new(S::INTERNAL_SERVER_ERROR, "unexpected_failure", message),
            AdmitError::Unverified(_) => {
                Self::new(S::UNPROCESSABLE_ENTITY, "provider_email_needs_verification", message)
            }
            AdmitError::Email(error) => error.into(),
            AdmitError::Write(error) => error.into(),
            AdmitError::Fault(fault) => fault.into(),
        }
    }
}

impl From<LinkError> for Refusal {
    fn from(error: LinkError) -> Self {
        let message = error.to_string();
        let (status, code) = match error {
            LinkError::NoSuchUser => (StatusCode::UNPROCESSABLE_ENTITY, "user_not_found"),
            LinkError::Banned => (StatusCode::FORBIDDEN, "user_banned"),
            LinkError::Linked | LinkError::LinkedToAnother => {
                (StatusCode::UNPROCESSABLE_ENTITY, "identity_already_exists")
            }
            LinkError::TooMany => (StatusCode::BAD_REQUEST, "validation_failed"),
            LinkError::Write(error) => return error.into(),
            LinkError::Fault(fault) => return fault.into(),
        };
        Self::new(status, code, message)
    }
}

impl From<CallbackError> for Refusal {
    fn from(error: CallbackError) -> Self {
        let message = error.to_string();
        let bad = |code| Self::new(StatusCode::BAD_REQUEST, code, message.clone());
        match error {
            CallbackError::NoState | CallbackError::NoCode | CallbackError::OtherIssuer => {
                bad("bad_oauth_callback")
            }
            CallbackError::UnknownState | CallbackError::Expired => bad("bad_oauth_state"),
            CallbackError::Provider { .. } => bad("bad_oauth_callback"),
            CallbackError::Find(FindError::Fault(fault)) => fault.into(),
            CallbackError::Find(_) => bad("oauth_provider_not_supported"),
            CallbackError::Exchange(cause) | CallbackError::Profile(cause) => {
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "unexpected_failure", message).because(cause)
            }
            CallbackError::Admit(error) => error.into(),
            CallbackError::Link(error) => error.into(),
            CallbackError::Fault(fault) => fault.into(),
        }
    }
}
