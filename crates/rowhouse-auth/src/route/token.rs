//! POST /token?grant_type=password|refresh_token|pkce|id_token

use axum::extract::State;
use axum::response::Response;
use http::{HeaderName, HeaderValue, StatusCode};
use serde::Deserialize;

use super::id_token::{self, IdTokenBody};
use super::phone::{self, Named};
use super::session_answer;
use crate::Auth;
use crate::flow::password::{self, Login, SignInError};
use crate::flow::pkce::{self, ExchangeError};
use crate::flow::refresh::{self, RefreshError};
use crate::policy::Password;
use crate::refusal::Refusal;
use crate::request::{Body, Client, Params, SignedIn};
use crate::rotation::RepeatCause;

const ROTATED: HeaderName = HeaderName::from_static("sb-auth-refresh-token-rotated");
const COUNTER: HeaderName = HeaderName::from_static("sb-auth-refresh-token-counter");
const PREFIX: HeaderName = HeaderName::from_static("sb-auth-refresh-token-prefix");
/// Characters of a token that may be logged.
const PREFIX_LENGTH: usize = 5;
const REUSE: HeaderName = HeaderName::from_static("sb-auth-refresh-token-reuse");
const REUSE_CAUSE: HeaderName = HeaderName::from_static("sb-auth-refresh-token-reuse-cause");

#[derive(Debug, Deserialize)]
pub(super) struct Grant {
    grant_type: Option<String>,
}

/// The fields of every grant; each grant reads its own.
#[derive(Debug, Deserialize)]
pub(super) struct GrantBody {
    email: Option<String>,
    phone: Option<String>,
    password: Option<Password>,
    refresh_token: Option<String>,
    auth_code: Option<String>,
    code_verifier: Option<String>,
    #[serde(flatten)]
    id_token: IdTokenBody,
}

impl From<ExchangeError> for Refusal {
    fn from(error: ExchangeError) -> Self {
        let (status, code) = match error {
            ExchangeError::Incomplete => (StatusCode::BAD_REQUEST, "validation_failed"),
            ExchangeError::NotFound => (StatusCode::NOT_FOUND, "flow_state_not_found"),
            ExchangeError::Expired => (StatusCode::UNPROCESSABLE_ENTITY, "flow_state_expired"),
            ExchangeError::Verifier(_) => (StatusCode::BAD_REQUEST, "bad_code_verifier"),
            ExchangeError::Banned => (StatusCode::BAD_REQUEST, "user_banned"),
            ExchangeError::Link(error) => return error.into(),
            ExchangeError::Fault(fault) => return fault.into(),
        };
        Self::new(status, code, error.to_string())
    }
}

impl From<SignInError> for Refusal {
    fn from(error: SignInError) -> Self {
        let code = match error {
            SignInError::InvalidCredentials | SignInError::Rejected(_) => "invalid_credentials",
            SignInError::EmailNotConfirmed => "email_not_confirmed",
            SignInError::PhoneNotConfirmed => "phone_not_confirmed",
            SignInError::Banned => "user_banned",
            SignInError::Locked(error) => return error.into(),
            SignInError::Fault(fault) => return fault.into(),
        };
        Self::new(StatusCode::BAD_REQUEST, code, error.to_string())
    }
}

impl From<RefreshError> for Refusal {
    fn from(error: RefreshError) -> Self {
        let code = match error {
            RefreshError::NotFound => "refresh_token_not_found",
            RefreshError::AlreadyUsed => "refresh_token_already_used",
            RefreshError::SessionOver(_) => "session_expired",
            RefreshError::Banned => "user_banned",
            RefreshError::Fault(fault) => return fault.into(),
        };
        Self::new(StatusCode::BAD_REQUEST, code, error.to_string())
    }
}

pub(super) async fn post(
    State(auth): State<Auth>,
    client: Client,
    caller: Result<SignedIn, Refusal>,
    Params(grant): Params<Grant>,
    Body(body): Body<GrantBody>,
) -> Result<Response, Refusal> {
    match grant.grant_type.as_deref() {
        Some("password") => sign_in(&auth, body, &client).await,
        Some("refresh_token") => rotate(&auth, body, &client).await,
        Some("web3") => {
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            Err(Refusal::new(status, "web3_provider_disabled", "Web3 provider is disabled"))
        }
        Some("pkce") => exchange(&auth, body, &client).await,
        Some("id_token") => id_token::sign_in(&auth, body.id_token, caller, &client).await,
        _ => Err(Refusal::new(StatusCode::BAD_REQUEST, "invalid_credentials", "unsupported_grant_type")),
    }
}

async fn sign_in(auth: &Auth, body: GrantBody, client: &Client) -> Result<Response, Refusal> {
    auth.signin_limit.check(client).await?;
    let login = match Named::of(body.email, body.phone) {
        Named::Email(email) => Login::Email(email),
        Named::Phone(phone) => {
            phone::require_enabled(auth, "Phone logins are disabled")?;
            Login::Phone(phone)
        }
        Named::Both => {
            let message = "Only an email address or phone number should be provided on login.";
            return Err(Refusal::validation(message));
        }
        Named::Nothing => return Err(Refusal::validation("missing email or phone")),
    };
    let password = body.password.ok_or(SignInError::InvalidCredentials)?;
    Ok(session_answer(password::sign_in(auth, login, password, client).await?))
}

async fn exchange(auth: &Auth, body: GrantBody, client: &Client) -> Result<Response, Refusal> {
    auth.refresh_limit.check(client).await?;
    let (code, verifier) = (body.auth_code.unwrap_or_default(), body.code_verifier.unwrap_or_default());
    Ok(session_answer(pkce::exchange(auth, &code, &verifier, client).await?))
}

async fn rotate(auth: &Auth, body: GrantBody, client: &Client) -> Result<Response, Refusal> {
    auth.refresh_limit.check(client).await?;
    let token = body.refresh_token.filter(|token| !token.is_empty());
    let token = token.ok_or_else(|| Refusal::validation("Refresh token is not valid"))?;
    let refreshed = refresh::refresh(auth, &token, client).await?;
    let counter = HeaderValue::from(refreshed.session.refresh_counter);
    let prefix = refreshed.session.refresh_token.get(..PREFIX_LENGTH).map(HeaderValue::from_str);
    let mut response = session_answer(refreshed.session);
    let cause = refreshed.repeat.map(|cause| match cause {
        RepeatCause::ParentOfActive => "parent_of_active",
        RepeatCause::WithinInterval => "within_interval",
    });
    let headers = response.headers_mut();
    headers.insert(COUNTER, counter);
    if let Some(Ok(prefix)) = prefix {
        headers.insert(PREFIX, prefix);
    }
    headers.insert(ROTATED, HeaderValue::from_static(if cause.is_none() { "true" } else { "false" }));
    if let Some(cause) = cause {
        headers.insert(REUSE, HeaderValue::from_static("true"));
        headers.insert(REUSE_CAUSE, HeaderValue::from_static(cause));
    }
    Ok(response)
}
