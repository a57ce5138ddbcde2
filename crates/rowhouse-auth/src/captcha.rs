//! Captchas: before a request that creates an account, checks a password or sends a mail, the service that has shown the
//! puzzle is asked whether the client's token is genuine. A layer over these routes; it leaves the body as it was.

use std::net::IpAddr;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use rowhouse_http::{ClientAddress, Identity};
use rowhouse_kernel::{SERVICE_ROLE, Secret};
use serde::Deserialize;

use crate::Auth;
use crate::refusal::Refusal;
use crate::request::InputError;
use crate::settings::{AuthSettings, CaptchaProvider};

/// Timeout of the service.
const LIMIT: Duration = Duration::from_secs(5);
/// Largest answer of the service.
const LARGEST: usize = 64 * 1024;
/// Routes that are protected; of `/token`, sign-ins by password.
const ROUTES: [&str; 7] =
    ["/signup", "/token", "/otp", "/magiclink", "/recover", "/resend", "/passkeys/authentication/options"];

/// Why a request is not let through.
#[derive(Debug, thiserror::Error)]
enum CaptchaError {
    #[error("captcha protection: request disallowed (no captcha_token found)")]
    NoToken,
    /// The service says no, with its codes.
    #[error("captcha protection: request disallowed ({0})")]
    Refused(String),
    /// The service does not answer, or not as it should.
    #[error("captcha verification process failed")]
    Failed(#[source] Option<reqwest::Error>),
}

impl From<CaptchaError> for Refusal {
    fn from(error: CaptchaError) -> Self {
        let message = error.to_string();
        match error {
            CaptchaError::NoToken | CaptchaError::Refused(_) => {
                Self::new(StatusCode::BAD_REQUEST, "captcha_failed", message)
            }
            CaptchaError::Failed(_) => {
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "unexpected_failure", message).because(error)
            }
        }
    }
}

/// The configured service.
#[derive(Debug)]
pub(crate) struct Captcha {
    url: String,
    secret: Secret,
    http: reqwest::Client,
}

/// What the services answer; both have the same interface.
#[derive(Debug, Deserialize)]
struct Verdict {
    success: bool,
    #[serde(default, rename = "error-codes")]
    error_codes: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
struct Protected {
    #[serde(default)]
    gotrue_meta_security: Option<Security>,
}

#[derive(Debug, Deserialize)]
struct Security {
    captcha_token: Option<String>,
}

impl Captcha {
    /// None unless a provider and its secret are set.
    pub(crate) fn new(settings: &AuthSettings) -> Option<Self> {
        let (provider, secret) = (settings.captcha_provider?, settings.captcha_secret.clone()?);
        let usual = match provider {
            CaptchaProvider::Turnstile => "https://challenges.cloudflare.com/turnstile/v0/siteverify",
            CaptchaProvider::Hcaptcha => "https://api.hcaptcha.com/siteverify",
        };
        let url = settings.captcha_url.clone().unwrap_or_else(|| usual.to_owned());
        Some(Self { url, secret, http: reqwest::Client::new() })
    }

    async fn require(&self, body: &[u8], address: Option<IpAddr>) -> Result<(), CaptchaError> {
        // A body that cannot be read is refused by the route, with the right message.
        let protected: Protected = serde_json::from_slice(body).unwrap_or_default();
        let token = protected.gotrue_meta_security.and_then(|security| security.captcha_token);
        let token = token.map(|token| token.trim().to_owned()).filter(|token| !token.is_empty());
        let verdict = self.ask(&token.ok_or(CaptchaError::NoToken)?, address).await?;
        if verdict.success { Ok(()) } else { Err(CaptchaError::Refused(verdict.error_codes.join(", "))) }
    }

    async fn ask(&self, token: &str, address: Option<IpAddr>) -> Result<Verdict, CaptchaError> {
        let failed = |error: reqwest::Error| CaptchaError::Failed(Some(error.without_url()));
        let form = form(self.secret.expose(), token, address);
        let request = self.http.post(&self.url).timeout(LIMIT).body(form);
        let request = request.header(http::header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        let mut response = request.send().await.map_err(failed)?;
        let mut answer = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            answer.extend_from_slice(&chunk);
            if answer.len() > LARGEST {
                return Err(CaptchaError::Failed(None));
            }
        }
        serde_json::from_slice(&answer).map_err(|_| CaptchaError::Failed(None))
    }
}

fn form(secret: &str, token: &str, address: Option<IpAddr>) -> String {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.append_pair("secret", secret).append_pair("response", token);
    if let Some(address) = address {
        form.append_pair("remoteip", &address.to_string());
    }
    form.finish()
}

/// The layer. The service key passes: it acts for the operator.
pub(crate) async fn protect(State(auth): State<Auth>, request: Request, next: Next) -> Response {
    let Some(captcha) = auth.captcha.as_deref().filter(|_| is_protected(&request)) else {
        return next.run(request).await;
    };
    let (parts, body) = request.into_parts();
    let most = usize::try_from(auth.settings.max_body_bytes).unwrap_or(usize::MAX);
    let Ok(body): Result<Bytes, _> = to_bytes(body, most).await else {
        return Refusal::from(InputError::TooLarge).into_response();
    };
    let address = parts.extensions.get::<ClientAddress>().map(|address| address.0);
    match captcha.require(&body, address).await {
        Ok(()) => next.run(Request::from_parts(parts, Body::from(body))).await,
        Err(error) => Refusal::from(error).into_response(),
    }
}

fn is_protected(request: &Request) -> bool {
    let path = request.uri().path();
    let by_password = || {
        let query = request.uri().query().unwrap_or_default();
        url::form_urlencoded::parse(query.as_bytes())
            .any(|pair| pair == ("grant_type".into(), "password".into()))
    };
    let identity = request.extensions().get::<Identity>().and_then(|identity| identity.caller().ok());
    let is_service = identity.is_some_and(|caller| caller.user.is_none() && &*caller.role == SERVICE_ROLE);
    request.method() == http::Method::POST
        && !is_service
        && ROUTES.contains(&path)
        && (path != "/token" || by_password())
}
