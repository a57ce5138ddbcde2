//! A provider's code becomes tokens, and these a profile.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rowhouse_jobs::outbound::Fetch;
use rowhouse_kernel::Secret;
use serde::Deserialize;
use serde_json::Value;
use url::form_urlencoded::{Serializer, byte_serialize};

use super::{
    ClientSecret, Directory, Endpoints, Expected, Profile, Protocol, Provider, ProviderError, read_object,
};
use crate::model::Object;

/// Longest token of a provider that is passed on, in bytes.
const LONGEST_TOKEN: usize = 16 * 1024;

/// What a provider gives for a code.
#[derive(Debug, Clone)]
pub(crate) struct Tokens {
    pub(crate) access_token: Secret,
    pub(crate) refresh_token: Option<Secret>,
    id_token: Option<Secret>,
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: Option<String>,
    refresh_token: Option<String>,
    id_token: Option<String>,
    error: Option<String>,
}

/// What belongs to one code.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Code<'a> {
    pub(crate) code: &'a str,
    pub(crate) verifier: &'a str,
    /// As in the redirect.
    pub(crate) back: &'a str,
}

impl Directory {
    /// Exchanges a code.
    pub(crate) async fn exchange(
        &self,
        provider: &Provider,
        code: Code<'_>,
    ) -> Result<Tokens, ProviderError> {
        let (endpoint, methods) = match &provider.protocol {
            Protocol::Oidc { issuer, discovery_url } => {
                let metadata = self.metadata(provider, issuer, discovery_url).await?;
                (metadata.token_endpoint.clone(), metadata.token_endpoint_auth_methods_supported.clone())
            }
            Protocol::OAuth2(endpoints) => (endpoints.token.clone(), None),
        };
        let secret = self.secret(provider)?;
        let in_form = matches!(provider.secret, ClientSecret::Apple(_))
            || methods.is_some_and(|known| known.iter().any(|method| method == "client_secret_post"));
        let (form, authorization) = form(provider, code, secret.as_ref(), in_form);
        let mut headers = vec![("accept", "application/json".to_owned())];
        headers.extend(authorization.map(|value| ("authorization", value)));
        self.ask(provider, Fetch { url: &endpoint, headers, form: Some(form), ..Fetch::default() }).await
    }

    async fn ask(&self, provider: &Provider, fetch: Fetch<'_>) -> Result<Tokens, ProviderError> {
        let what = "token endpoint";
        let answer = self.fetch(provider, what, fetch).await?;
        let read: Result<TokenAnswer, _> = serde_json::from_slice(&answer.body);
        let read =
            read.map_err(|error| provider.unusable(what, format!("status {}: {error}", answer.status)))?;
        let short = |text: &Option<String>| text.as_deref().is_none_or(|text| text.len() <= LONGEST_TOKEN);
        if !(short(&read.access_token) && short(&read.refresh_token) && short(&read.id_token)) {
            return Err(provider.unusable(what, "a token is too long"));
        }
        match read.access_token.filter(|token| answer.status == 200 && !token.is_empty()) {
            Some(token) => Ok(Tokens {
                access_token: Secret::new(token),
                refresh_token: read.refresh_token.filter(|token| !token.is_empty()).map(Secret::new),
                id_token: read.id_token.map(Secret::new),
            }),
            None => {
                let error: String = read.error.unwrap_or_default().chars().take(100).collect();
                Err(provider.unusable(what, format!("status {} {error:?}", answer.status)))
            }
        }
    }

    fn secret(&self, provider: &Provider) -> Result<Option<Secret>, ProviderError> {
        match &provider.secret {
            ClientSecret::None => Ok(None),
            ClientSecret::Text(secret) => Ok(Some(secret.clone())),
            ClientSecret::Apple(key) => match key.client_secret(provider.client_id(), self.now()) {
                Some(secret) => Ok(Some(secret)),
                None => Err(ProviderError::Key { provider: provider.name.clone() }),
            },
        }
    }

    /// Whose tokens these are.
    pub(crate) async fn profile(
        &self,
        provider: &Provider,
        tokens: &Tokens,
        expected: Expected<'_>,
    ) -> Result<Profile, ProviderError> {
        let claims = match &provider.protocol {
            Protocol::Oidc { issuer, discovery_url } => {
                let what = "token endpoint";
                let token = tokens.id_token.as_ref().ok_or_else(|| provider.unusable(what, "no ID token"))?;
                let token = self.verify(provider, (issuer, discovery_url), token.expose(), expected).await?;
                let metadata = self.metadata(provider, issuer, discovery_url).await?;
                match &metadata.userinfo_endpoint {
                    Some(url) if !token.claims.contains_key("email") => {
                        self.with_userinfo(provider, url, tokens, token.claims).await?
                    }
                    _ => token.claims,
                }
            }
            Protocol::OAuth2(endpoints) => self.person(provider, endpoints, tokens).await?,
        };
        let read = Profile::of(claims, &provider.shape);
        read.ok_or_else(|| provider.unusable("profile", "it has no id of the person"))
    }

    /// Claims that the token leaves out. The answer is not signed: it must be about the same person.
    async fn with_userinfo(
        &self,
        provider: &Provider,
        url: &str,
        tokens: &Tokens,
        claims: Object,
    ) -> Result<Object, ProviderError> {
        let what = "userinfo endpoint";
        let body = self.get(provider, what, url, Some(tokens.access_token.expose())).await?;
        let mut all = read_object(&body).map_err(|why| provider.unusable(what, why))?;
        if all.get("sub") != claims.get("sub") {
            return Err(provider.unusable(what, "it is about another person"));
        }
        all.extend(claims);
        Ok(all)
    }

    async fn person(
        &self,
        provider: &Provider,
        endpoints: &Endpoints,
        tokens: &Tokens,
    ) -> Result<Object, ProviderError> {
        let what = "profile";
        let token = Some(tokens.access_token.expose());
        let body = self.get(provider, what, &endpoints.profile, token).await?;
        let mut claims = read_object(&body).map_err(|why| provider.unusable(what, why))?;
        claims.insert("iss".to_owned(), Value::from(endpoints.issuer.as_str()));
        if let Some(url) = &endpoints.emails {
            let body = self.get(provider, what, url, token).await?;
            let (email, is_verified) = primary(&body).unwrap_or_default();
            claims.insert("email".to_owned(), email.into());
            claims.insert("email_verified".to_owned(), is_verified.into());
        }
        Ok(claims)
    }
}

/// GitHub's primary address, and whether it is verified.
fn primary(body: &[u8]) -> Option<(String, bool)> {
    #[derive(Deserialize)]
    struct Address {
        email: String,
        #[serde(default)]
        primary: bool,
        #[serde(default)]
        verified: bool,
    }
    let all: Vec<Address> = serde_json::from_slice(body).ok()?;
    all.into_iter().find(|address| address.primary).map(|address| (address.email, address.verified))
}

/// The request for tokens, and the header with the client's secret unless that is in the form.
fn form(
    provider: &Provider,
    code: Code<'_>,
    secret: Option<&Secret>,
    in_form: bool,
) -> (String, Option<String>) {
    let mut form = Serializer::new(String::new());
    form.append_pair("grant_type", "authorization_code")
        .append_pair("code", code.code)
        .append_pair("redirect_uri", code.back);
    if provider.uses_pkce {
        form.append_pair("code_verifier", code.verifier);
    }
    if let (Some(secret), false) = (secret, in_form) {
        return (form.finish(), Some(basic(provider.client_id(), secret.expose())));
    }
    form.append_pair("client_id", provider.client_id());
    if let Some(secret) = secret {
        form.append_pair("client_secret", secret.expose());
    }
    (form.finish(), None)
}

/// RFC 6749 section 2.3.1: both parts are form-encoded first.
fn basic(id: &str, secret: &str) -> String {
    let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    format!("Basic {}", STANDARD.encode(format!("{}:{}", encoded(id), encoded(secret))))
}
