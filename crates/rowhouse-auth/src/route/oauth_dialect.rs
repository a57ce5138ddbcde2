//! Errors for applications (RFC 6749 section 5.2), and the switch of the authorization server. Users and administrators
//! get GoTrue's errors.

use std::borrow::Cow;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::FromRequestParts;
use axum::extract::rejection::BytesRejection;
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use crate::Auth;
use crate::oauth::parameter::Repeated;
use crate::refusal::Refusal;

/// Extractor: refuses everything while the server is switched off, as GoTrue does.
#[derive(Debug, Clone, Copy)]
pub(super) struct OauthServer;

impl FromRequestParts<Auth> for OauthServer {
    type Rejection = Refusal;

    async fn from_request_parts(_: &mut Parts, auth: &Auth) -> Result<Self, Refusal> {
        match auth.oauth.enabled {
            true => Ok(Self),
            false => Err(Refusal::new(StatusCode::NOT_FOUND, "feature_disabled", "OAuth server is disabled")),
        }
    }
}

/// How a client is asked to authenticate (RFC 9110 section 11.6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Challenge {
    None,
    Basic,
    Bearer,
}

/// An error for an application.
#[derive(Debug)]
pub(super) struct OauthRefusal {
    status: StatusCode,
    error: &'static str,
    description: Cow<'static, str>,
    challenge: Challenge,
    retry_after: Option<Duration>,
    /// GoTrue's code, where its clients look for one.
    code: Option<&'static str>,
}

impl OauthRefusal {
    pub(super) fn new(error: &'static str, description: impl Into<Cow<'static, str>>) -> Self {
        let (status, description) = (StatusCode::BAD_REQUEST, description.into());
        Self { status, error, description, challenge: Challenge::None, retry_after: None, code: None }
    }

    pub(super) fn invalid_request(description: impl Into<Cow<'static, str>>) -> Self {
        Self::new("invalid_request", description)
    }

    /// The application has not proved who it is.
    pub(super) fn invalid_client(description: impl Into<Cow<'static, str>>) -> Self {
        let (status, challenge) = (StatusCode::UNAUTHORIZED, Challenge::Basic);
        Self { status, challenge, ..Self::new("invalid_client", description) }
    }

    /// The access token is none, or valid no more (RFC 6750 section 3.1).
    pub(super) fn invalid_token(description: impl Into<Cow<'static, str>>) -> Self {
        let (status, challenge) = (StatusCode::UNAUTHORIZED, Challenge::Bearer);
        Self { status, challenge, ..Self::new("invalid_token", description) }
    }

    /// The same with GoTrue's fields beside those of the RFC.
    pub(super) fn with_code(self, code: &'static str) -> Self {
        Self { code: Some(code), ..self }
    }

    pub(super) fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    fn body(&self) -> Value {
        let mut body = json!({ "error": self.error, "error_description": self.description });
        if let Some(code) = self.code {
            body["code"] = code.into();
            body["error_code"] = code.into();
            body["msg"] = json!(self.description);
            body["message"] = json!(self.description);
        }
        body
    }
}

impl IntoResponse for OauthRefusal {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body())).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        let challenge = match self.challenge {
            Challenge::None => None,
            Challenge::Basic => Some("Basic realm=\"oauth\""),
            Challenge::Bearer => Some("Bearer error=\"invalid_token\""),
        };
        if let Some(challenge) = challenge {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        if let Some(wait) = self.retry_after {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        response
    }
}

/// Redirect URIs are checked when they are registered.
pub(super) fn no_url() -> Refusal {
    let message = "the redirect URI is not a URL";
    Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "unexpected_failure", message)
}

/// The body, if it was sent to its end and is not too large.
pub(super) fn whole(body: Result<Bytes, BytesRejection>) -> Result<Bytes, OauthRefusal> {
    body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => OauthRefusal::invalid_request("Request body is too large")
            .with_status(StatusCode::PAYLOAD_TOO_LARGE),
        _ => OauthRefusal::invalid_request("the body ended early"),
    })
}

/// What is not an application's fault, and limits. The cause is logged here, since no other layer sees it.
impl From<Refusal> for OauthRefusal {
    fn from(refusal: Refusal) -> Self {
        let is_passing =
            [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE, StatusCode::GATEWAY_TIMEOUT];
        let error = match refusal.status {
            status if is_passing.contains(&status) => "temporarily_unavailable",
            status if status.is_server_error() => "server_error",
            _ => "invalid_request",
        };
        if let (true, Some(cause)) = (refusal.status.is_server_error(), &refusal.cause) {
            tracing::error!(error = %cause, code = refusal.code, "request of an application failed");
        }
        let retry_after = refusal.retry_after;
        Self { status: refusal.status, retry_after, ..Self::new(error, refusal.message) }
    }
}

impl From<Repeated> for OauthRefusal {
    fn from(error: Repeated) -> Self {
        Self::invalid_request(error.to_string())
    }
}
