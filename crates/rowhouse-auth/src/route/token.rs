//! POST /token?grant_type=password|refresh_token

use axum::extract::State;
use axum::response::Response;
use http::{HeaderName, HeaderValue};
use serde::Deserialize;

use super::session_answer;
use crate::flow::{password, refresh};
use crate::policy::Password;
use crate::request::{Body, Client, Params};
use crate::rotation::RepeatCause;
use crate::{Auth, AuthError};

const ROTATED: HeaderName = HeaderName::from_static("sb-auth-refresh-token-rotated");
const REUSE: HeaderName = HeaderName::from_static("sb-auth-refresh-token-reuse");
const REUSE_CAUSE: HeaderName = HeaderName::from_static("sb-auth-refresh-token-reuse-cause");

#[derive(Debug, Deserialize)]
pub(super) struct Grant {
    grant_type: Option<String>,
}

/// The fields of every grant; each takes its own.
#[derive(Debug, Deserialize)]
pub(super) struct GrantBody {
    email: Option<String>,
    phone: Option<String>,
    password: Option<Password>,
    refresh_token: Option<String>,
}

pub(super) async fn post(
    State(auth): State<Auth>,
    client: Client,
    Params(grant): Params<Grant>,
    Body(body): Body<GrantBody>,
) -> Result<Response, AuthError> {
    match grant.grant_type.as_deref() {
        Some("password") => sign_in(&auth, body, &client).await,
        Some("refresh_token") => rotate(&auth, body, &client).await,
        _ => Err(AuthError::UnsupportedGrant),
    }
}

async fn sign_in(auth: &Auth, body: GrantBody, client: &Client) -> Result<Response, AuthError> {
    auth.signin_limit.check(client.address)?;
    let named = |text: Option<String>| text.filter(|text| !text.is_empty());
    let email = match (named(body.email), named(body.phone)) {
        (Some(email), None) => email,
        (Some(_), Some(_)) => {
            let message = "Only an email address or phone number should be provided on login.";
            return Err(AuthError::Validation(message.into()));
        }
        (None, Some(_)) => return Err(AuthError::PhoneDisabled),
        (None, None) => return Err(AuthError::Validation("missing email or phone".into())),
    };
    let password = body.password.ok_or(AuthError::InvalidCredentials)?;
    password::sign_in(auth, &email, password, client).await.map(session_answer)
}

async fn rotate(auth: &Auth, body: GrantBody, client: &Client) -> Result<Response, AuthError> {
    auth.refresh_limit.check(client.address)?;
    let token = body.refresh_token.filter(|token| !token.is_empty());
    let token = token.ok_or(AuthError::Validation("refresh_token required".into()))?;
    let refreshed = refresh::refresh(auth, &token, client).await?;
    let mut response = session_answer(refreshed.session);
    let cause = refreshed.repeat.map(|cause| match cause {
        RepeatCause::ParentOfActive => "parent_of_active",
        RepeatCause::WithinInterval => "within_interval",
    });
    let headers = response.headers_mut();
    headers.insert(ROTATED, HeaderValue::from_static(if cause.is_none() { "true" } else { "false" }));
    if let Some(cause) = cause {
        headers.insert(REUSE, HeaderValue::from_static("true"));
        headers.insert(REUSE_CAUSE, HeaderValue::from_static(cause));
    }
    Ok(response)
}
