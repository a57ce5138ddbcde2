//! Captchas: before a request that creates an account, checks a password or sends a mail, the service that has shown the
//! puzzle is asked whether the client's token is genuine. The layer that asks is `route/captcha.rs`.

use std::net::IpAddr;
use std::time::Duration;

use rowhouse_kernel::Secret;
use serde::Deserialize;

use crate::settings::{AuthSettings, CaptchaProvider};

/// Timeout of the service.
const LIMIT: Duration = Duration::from_secs(5);
/// Largest answer of the service.
const LARGEST: usize = 64 * 1024;

/// Why a request is not let through.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CaptchaError {
    #[error("captcha protection: request disallowed (no captcha_token found)")]
    NoToken,
    /// The service says no, with its codes.
    #[error("captcha protection: request disallowed ({0})")]
    Refused(String),
    /// The service does not answer, or not as it should.
    #[error("captcha verification process failed")]
    Failed(#[source] Option<reqwest::Error>),
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

    /// Asks the service about the token in the body.
    pub(crate) async fn require(&self, body: &[u8], address: Option<IpAddr>) -> Result<(), CaptchaError> {
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
        read(&answer)
    }
}

/// What the service says.
fn read(answer: &[u8]) -> Result<Verdict, CaptchaError> {
    serde_json::from_slice(answer).map_err(|_| CaptchaError::Failed(None))
}

fn form(secret: &str, token: &str, address: Option<IpAddr>) -> String {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.append_pair("secret", secret).append_pair("response", token);
    if let Some(address) = address {
        form.append_pair("remoteip", &address.to_string());
    }
    form.finish()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn arbitrary_answers_of_a_captcha_service_are_no_success(
            text in ".{0,120}", word in "(true|false|1|\"true\"|null|\\[\\])", more in "[a-z\",: ]{0,40}",
        ) {
            prop_assert!(!read(text.as_bytes()).is_ok_and(|verdict| verdict.success));
            let answer = format!("{{\"success\": {word}{more}}}");
            let success = read(answer.as_bytes()).is_ok_and(|verdict| verdict.success);
            prop_assert!(!success || word == "true", "{answer}");
        }
    }
}
