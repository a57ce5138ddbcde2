//! The redirect to a provider.

use url::Url;

use super::{Directory, Protocol, Provider, ProviderError};

/// Parameters that this installation sets; callers and administrators cannot.
pub(crate) const RESERVED: [&str; 13] = [
    "client_id",
    "client_secret",
    "redirect_uri",
    "response_type",
    "response_mode",
    "scope",
    "state",
    "code_challenge",
    "code_challenge_method",
    "code_verifier",
    "nonce",
    "request",
    "request_uri",
];

/// What is particular to one redirect.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Redirect<'a> {
    /// Where the provider sends the browser back to.
    pub(crate) back: &'a str,
    pub(crate) state: &'a str,
    pub(crate) nonce: &'a str,
    /// S256 of the verifier (RFC 7636).
    pub(crate) challenge: &'a str,
    /// Scopes of the request.
    pub(crate) scopes: &'a [String],
    /// Further parameters of the request.
    pub(crate) params: &'a [(String, String)],
}

impl Directory {
    /// The URL at the provider that begins a sign-in.
    pub(crate) async fn authorization_url(
        &self,
        provider: &Provider,
        redirect: Redirect<'_>,
    ) -> Result<String, ProviderError> {
        let (endpoint, is_oidc) = match &provider.protocol {
            Protocol::Oidc { issuer, discovery_url } => {
                let metadata = self.metadata(provider, issuer, discovery_url).await?;
                (metadata.authorization_endpoint.clone(), true)
            }
            Protocol::OAuth2(endpoints) => (endpoints.authorization.clone(), false),
        };
        let what = "authorization endpoint";
        let mut url = Url::parse(&endpoint).map_err(|error| provider.unusable(what, error))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(provider.unusable(what, "no web address"));
        }
        let scopes = scopes(provider, redirect.scopes, is_oidc).join(" ");
        let mut query = url.query_pairs_mut();
        // Providers read the first or the last of two; the administrator's is the only one.
        let is_set = |name: &str| provider.params.iter().any(|(set, _)| set.eq_ignore_ascii_case(name));
        let asked = redirect.params.iter().filter(|(name, _)| !is_set(name));
        for (name, value) in provider.params.iter().chain(asked) {
            query.append_pair(name, value);
        }
        query
            .append_pair("response_type", "code")
            .append_pair("client_id", provider.client_id())
            .append_pair("redirect_uri", redirect.back)
            .append_pair("scope", &scopes)
            .append_pair("state", redirect.state);
        if is_oidc {
            query.append_pair("nonce", redirect.nonce);
        }
        if provider.uses_pkce {
            query
                .append_pair("code_challenge", redirect.challenge)
                .append_pair("code_challenge_method", "S256");
        }
        drop(query);
        Ok(url.into())
    }
}

/// `openid` makes a request one of OpenID Connect.
fn scopes(provider: &Provider, asked: &[String], is_oidc: bool) -> Vec<String> {
    let own = if provider.replaces_scopes && !asked.is_empty() { &[][..] } else { &provider.scopes };
    let needed = is_oidc.then(|| "openid".to_owned());
    let mut all: Vec<String> = Vec::new();
    for scope in needed.iter().chain(own).chain(asked) {
        if !all.contains(scope) {
            all.push(scope.clone());
        }
    }
    all
}
