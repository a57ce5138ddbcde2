//! From settings to providers: what is known of Apple, GitHub, GitLab, Google and Microsoft, and OpenID Connect for every
//! other name.

use super::apple::AppleKey;
use super::{ClientSecret, Endpoints, Issuers, MICROSOFT, Profile, Protocol, Provider, Shape, Trust};
use crate::settings::ProviderSettings;

/// Microsoft's endpoints for more than one directory.
const SHARED_DIRECTORIES: [&str; 3] = ["common", "organizations", "consumers"];
/// Both are in use for the same accounts.
const APPLE: [&str; 2] = ["https://appleid.apple.com", "https://account.apple.com"];

const GOOGLE: &str = "https://accounts.google.com";
const GITLAB: &str = "https://gitlab.com";

/// The issuer of the ID tokens of a provider that everybody knows; empty for all others.
pub(crate) fn known_issuer(name: &str) -> &'static str {
    match name {
        "apple" => APPLE[0],
        "gitlab" => GITLAB,
        "google" => GOOGLE,
        _ => "",
    }
}

/// The provider of that name.
pub(crate) fn configured(name: &str, settings: &ProviderSettings) -> Provider {
    let mut provider = match name {
        "apple" => apple(settings),
        "azure" => azure(settings),
        "github" => github(settings),
        "gitlab" => oidc(settings, GITLAB),
        "google" => google(settings),
        _ => oidc(settings, ""),
    };
    name.clone_into(&mut provider.name);
    for scope in &settings.scopes {
        if !provider.scopes.contains(scope) {
            provider.scopes.push(scope.clone());
        }
    }
    provider
}

/// Where an issuer publishes its endpoints (OpenID Connect Discovery, section 4).
pub(crate) fn discovery_url(issuer: &str) -> String {
    format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'))
}

fn base(settings: &ProviderSettings, protocol: Protocol, scopes: &[&str]) -> Provider {
    Provider {
        name: String::new(),
        protocol,
        client_ids: settings.client_id.iter().filter(|id| !id.is_empty()).cloned().collect(),
        secret: settings.secret.clone().map_or(ClientSecret::None, ClientSecret::Text),
        redirect_uri: settings.redirect_uri.clone(),
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        replaces_scopes: false,
        params: Vec::new(),
        uses_pkce: true,
        skip_nonce_check: settings.skip_nonce_check,
        email_optional: settings.email_optional,
        shape: Shape::default(),
        trust: Trust::Operator,
    }
}

fn oidc(settings: &ProviderSettings, known: &str) -> Provider {
    let issuer = settings.issuer.as_deref().unwrap_or(known);
    let protocol =
        Protocol::Oidc { issuer: Issuers::Of(vec![issuer.to_owned()]), discovery_url: discovery_url(issuer) };
    base(settings, protocol, &["openid", "email", "profile"])
}

fn google(settings: &ProviderSettings) -> Provider {
    let mut provider = oidc(settings, GOOGLE);
    // Google's documentation names both.
    if let (Protocol::Oidc { issuer: Issuers::Of(issuers), .. }, None) =
        (&mut provider.protocol, &settings.issuer)
    {
        issuers.push("accounts.google.com".to_owned());
    }
    provider.shape.custom.push("hd".to_owned());
    provider
}

fn apple(settings: &ProviderSettings) -> Provider {
    let mut provider = oidc(settings, APPLE[0]);
    if let (Protocol::Oidc { issuer, .. }, None) = (&mut provider.protocol, &settings.issuer) {
        *issuer = Issuers::Of(APPLE.map(str::to_owned).to_vec());
    }
    provider.scopes = ["openid", "email", "name"].map(str::to_owned).to_vec();
    // Apple requires it with these scopes, and knows no code challenge.
    provider.params.push(("response_mode".to_owned(), "form_post".to_owned()));
    provider.uses_pkce = false;
    provider.shape.custom.push("is_private_email".to_owned());
    if let (Some(key), Some(team), Some(id)) = (&settings.secret, &settings.team_id, &settings.key_id) {
        provider.secret = ClientSecret::Apple(AppleKey::new(key.clone(), team, id));
    }
    provider
}

fn azure(settings: &ProviderSettings) -> Provider {
    let common = format!("{MICROSOFT}/common/v2.0");
    let issuer = settings.issuer.clone().unwrap_or(common);
    let directory = issuer.strip_prefix(MICROSOFT).and_then(|path| path.split('/').nth(1));
    let is_shared = directory.is_some_and(|directory| SHARED_DIRECTORIES.contains(&directory));
    let url = discovery_url(&issuer);
    let issuer = if is_shared { Issuers::AnyDirectory } else { Issuers::Of(vec![issuer]) };
    let protocol = Protocol::Oidc { issuer, discovery_url: url };
    let mut provider = base(settings, protocol, &["openid", "email", "profile"]);
    // In a shared directory anybody may run one and claim any address; Microsoft says of each whether its domain was
    // verified, if the application asks for the claim. In one's own, the administrator vouches.
    provider.shape.verified = if is_shared { "xms_edov" } else { "email" };
    provider.shape.custom.extend(["tid", "oid"].map(str::to_owned));
    provider
}

fn github(settings: &ProviderSettings) -> Provider {
    let own = settings.issuer.as_deref().map(|url| url.trim_end_matches('/').to_owned());
    let host = own.clone().unwrap_or_else(|| "https://github.com".to_owned());
    let api = own.map_or_else(|| "https://api.github.com".to_owned(), |own| format!("{own}/api/v3"));
    let endpoints = Endpoints {
        authorization: format!("{host}/login/oauth/authorize"),
        token: format!("{host}/login/oauth/access_token"),
        profile: format!("{api}/user"),
        emails: Some(format!("{api}/user/emails")),
        issuer: api,
    };
    let mut provider = base(settings, Protocol::OAuth2(endpoints), &["user:email"]);
    provider.shape.mapping = Profile::GITHUB.map(|(to, from)| (to.to_owned(), from.to_owned())).to_vec();
    provider
}

#[cfg(test)]
mod tests;
