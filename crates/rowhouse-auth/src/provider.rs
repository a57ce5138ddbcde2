//! Providers of external sign-in: what each is reached at and how it speaks. Leaves accounts to `flow/external`.

mod apple;
mod claim;
mod custom;
mod directory;
mod endpoint;
mod preset;
mod profile;
mod token;

use rowhouse_kernel::Secret;

pub(crate) use apple::AppleKey;
pub(crate) use claim::{Expected, Nonce};
pub(crate) use custom::custom;
pub(crate) use directory::{Directory, Trust};
pub(crate) use endpoint::{RESERVED, Redirect};
pub(crate) use preset::{configured, known_issuer};
pub(crate) use profile::{Profile, Shape};
pub(crate) use token::{Code, Tokens};

use crate::model::Object;

/// Providers that clients of GoTrue know. Those that are not configured are off here, too, instead of unknown.
pub(crate) const KNOWN: [&str; 24] = [
    "apple",
    "azure",
    "bitbucket",
    "discord",
    "facebook",
    "figma",
    "fly",
    "github",
    "gitlab",
    "google",
    "kakao",
    "keycloak",
    "linkedin",
    "linkedin_oidc",
    "notion",
    "slack",
    "slack_oidc",
    "snapchat",
    "spotify",
    "twitch",
    "twitter",
    "workos",
    "x",
    "zoom",
];

/// Where Microsoft signs in.
const MICROSOFT: &str = "https://login.microsoftonline.com";

/// A provider, ready for use.
#[derive(Debug, Clone)]
pub(crate) struct Provider {
    /// The name in identities and sessions.
    pub(crate) name: String,
    pub(crate) protocol: Protocol,
    /// Ours at the provider; the first is used in redirects.
    pub(crate) client_ids: Vec<String>,
    pub(crate) secret: ClientSecret,
    /// Replaces the server's own callback.
    pub(crate) redirect_uri: Option<String>,
    pub(crate) scopes: Vec<String>,
    /// Whether scopes in a request replace these instead of being added.
    pub(crate) replaces_scopes: bool,
    /// Further parameters of the redirect.
    pub(crate) params: Vec<(String, String)>,
    pub(crate) uses_pkce: bool,
    pub(crate) skip_nonce_check: bool,
    pub(crate) email_optional: bool,
    /// How claims become a profile.
    pub(crate) shape: Shape,
    pub(crate) trust: Trust,
}

impl Provider {
    /// The id in redirects and at the token endpoint.
    pub(crate) fn client_id(&self) -> &str {
        self.client_ids.first().map(String::as_str).unwrap_or_default()
    }

    /// Whether its ID tokens may name this issuer; of Microsoft's many only by the directory in the token.
    pub(crate) fn is_of(&self, issuer: &str) -> bool {
        match &self.protocol {
            Protocol::Oidc { issuer: Issuers::Of(known), .. } => known.iter().any(|known| known == issuer),
            Protocol::Oidc { issuer: Issuers::AnyDirectory, .. } => issuer.starts_with(MICROSOFT),
            Protocol::OAuth2(_) => false,
        }
    }
}

/// How the provider speaks.
#[derive(Debug, Clone)]
pub(crate) enum Protocol {
    /// OpenID Connect.
    Oidc { issuer: Issuers, discovery_url: String },
    /// OAuth 2 and a request for the profile.
    OAuth2(Endpoints),
}

/// Which issuers an ID token may name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Issuers {
    /// Any of these.
    Of(Vec<String>),
    /// Microsoft's for several directories: the issuer has the token's own `tid` in it.
    AnyDirectory,
}

/// Where an OAuth 2 provider is reached.
#[derive(Debug, Clone)]
pub(crate) struct Endpoints {
    pub(crate) authorization: String,
    pub(crate) token: String,
    pub(crate) profile: String,
    /// GitHub's list of addresses.
    pub(crate) emails: Option<String>,
    /// The `iss` of the profile.
    pub(crate) issuer: String,
}

/// How we authenticate at the token endpoint.
#[derive(Debug, Clone)]
pub(crate) enum ClientSecret {
    /// A public client.
    None,
    Text(Secret),
    /// Signs a secret for each request.
    Apple(AppleKey),
}

/// Why a provider cannot be used now, or what it sent is not accepted. For the log; callers learn only that it failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ProviderError {
    /// No answer, or one that cannot be used.
    #[error("{what} of provider {provider}: {why}")]
    Unusable { provider: String, what: &'static str, why: String },
    /// An ID token that is not acceptable.
    #[error("ID token of provider {provider}: {why}")]
    IdToken { provider: String, why: String },
    /// The private key for client secrets does not work.
    #[error("the private key of provider {provider} cannot sign")]
    Key { provider: String },
}

impl Provider {
    fn unusable(&self, what: &'static str, why: impl std::fmt::Display) -> ProviderError {
        ProviderError::Unusable { provider: self.name.clone(), what, why: why.to_string() }
    }

    fn bad_token(&self, why: impl std::fmt::Display) -> ProviderError {
        ProviderError::IdToken { provider: self.name.clone(), why: why.to_string() }
    }
}

/// Reads a JSON object.
fn read_object(json: &[u8]) -> Result<Object, String> {
    serde_json::from_slice(json).map_err(|error| format!("no JSON object: {error}"))
}
