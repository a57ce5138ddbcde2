//! What an application says of itself when it is registered or changed (RFC 7591 section 2), and the rules for it.

use time::OffsetDateTime;
use url::{Host, Url};
use uuid::Uuid;

use super::client::{AuthMethod, ClientType, GrantType, OauthClient, Registration};

const MOST_REDIRECT_URIS: usize = 10;
/// Characters.
const LONGEST_NAME: usize = 1024;
/// Bytes.
const LONGEST_URI: usize = 2048;
/// Schemes by which a browser runs or shows what the URL itself says.
const DANGEROUS: [&str; 6] = ["javascript", "data", "file", "vbscript", "about", "blob"];

/// Why an application is not registered or changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MetadataError {
    #[error("{0}")]
    RedirectUri(String),
    #[error("{0}")]
    Other(String),
}

impl MetadataError {
    fn other(text: impl Into<String>) -> Self {
        Self::Other(text.into())
    }
}

/// What was given; `None` leaves a field, or takes its default.
#[derive(Debug, Clone, Default)]
pub(crate) struct Draft {
    pub(crate) redirect_uris: Option<Vec<String>>,
    pub(crate) post_logout_redirect_uris: Option<Vec<String>>,
    pub(crate) grant_types: Option<Vec<String>>,
    pub(crate) response_types: Option<Vec<String>>,
    pub(crate) client_type: Option<String>,
    pub(crate) auth_method: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) uri: Option<String>,
    pub(crate) logo_uri: Option<String>,
}

impl Draft {
    /// Whether there is nothing to change.
    pub(crate) fn is_empty(&self) -> bool {
        let lists = [&self.redirect_uris, &self.post_logout_redirect_uris, &self.grant_types];
        let texts = [&self.auth_method, &self.name, &self.uri, &self.logo_uri];
        lists.iter().all(|list| list.is_none()) && texts.iter().all(|text| text.is_none())
    }

    /// A new application, yet without secret.
    pub(crate) fn register(
        self,
        id: Uuid,
        registration: Registration,
        now: OffsetDateTime,
    ) -> Result<OauthClient, MetadataError> {
        if self.redirect_uris.as_ref().is_none_or(Vec::is_empty) {
            return Err(MetadataError::RedirectUri("redirect_uris is required".to_owned()));
        }
        if self.response_types.as_ref().is_some_and(|types| types.iter().any(|name| name != "code")) {
            return Err(MetadataError::other("response_types must only contain 'code'"));
        }
        let (client_type, auth_method) =
            kind(self.client_type.as_deref().filter(given), self.auth_method.as_deref().filter(given))?;
        let blank = OauthClient {
            id,
            secret_hash: None,
            registration,
            client_type,
            auth_method,
            redirect_uris: Vec::new(),
            post_logout_redirect_uris: Vec::new(),
            grant_types: vec![GrantType::AuthorizationCode, GrantType::RefreshToken],
            name: None,
            uri: None,
            logo_uri: None,
            created_at: now,
            updated_at: now,
        };
        let grant_types = self.grant_types.filter(|types| !types.is_empty());
        Self { auth_method: None, grant_types, ..self }.apply(blank, now)
    }

    /// The application with what was given.
    pub(crate) fn apply(self, to: OauthClient, now: OffsetDateTime) -> Result<OauthClient, MetadataError> {
        let mut client = to;
        if let Some(uris) = self.redirect_uris {
            check_redirect_uris(&uris)?;
            client.redirect_uris = uris;
        }
        if let Some(uris) = self.post_logout_redirect_uris {
            check_post_logout_uris(&uris)?;
            client.post_logout_redirect_uris = uris;
        }
        if let Some(names) = self.grant_types {
            client.grant_types = grant_types(&names)?;
        }
        if let Some(name) = self.auth_method {
            client.auth_method = method_for(&client, &name)?;
        }
        if let Some(name) = self.name {
            if name.chars().count() > LONGEST_NAME || name.contains('\0') {
                return Err(MetadataError::other("client_name cannot exceed 1024 characters"));
            }
            client.name = Some(name).filter(|name| !name.is_empty());
        }
        client.uri = page("client_uri", self.uri, client.uri)?;
        client.logo_uri = page("logo_uri", self.logo_uri, client.logo_uri)?;
        client.updated_at = now;
        Ok(client)
    }
}

fn given(text: &&str) -> bool {
    !text.is_empty()
}

/// Type and method, of which one may be left out.
fn kind(client_type: Option<&str>, method: Option<&str>) -> Result<(ClientType, AuthMethod), MetadataError> {
    let wrong_type = || MetadataError::other("client_type must be 'public' or 'confidential'");
    let client_type = client_type.map(|name| ClientType::parse(name).ok_or_else(wrong_type)).transpose()?;
    let method = method.map(auth_method).transpose()?;
    match (client_type, method) {
        (Some(client_type), Some(method)) if client_type != method.client_type() => {
            Err(MetadataError::other(format!(
                "client_type '{}' is inconsistent with token_endpoint_auth_method '{}'",
                client_type.as_str(),
                method.as_str()
            )))
        }
        (_, Some(method)) => Ok((method.client_type(), method)),
        (Some(ClientType::Public), None) => Ok((ClientType::Public, AuthMethod::None)),
        (Some(ClientType::Confidential) | None, None) => Ok((ClientType::Confidential, AuthMethod::Basic)),
    }
}

fn auth_method(name: &str) -> Result<AuthMethod, MetadataError> {
    AuthMethod::parse(name).ok_or_else(|| {
        let allowed = "none, client_secret_basic, client_secret_post";
        MetadataError::other(format!("token_endpoint_auth_method must be one of: {allowed}"))
    })
}

fn method_for(client: &OauthClient, name: &str) -> Result<AuthMethod, MetadataError> {
    let (method, kind) = (auth_method(name)?, client.client_type.as_str());
    match method.client_type() == client.client_type {
        true => Ok(method),
        false => Err(MetadataError::other(format!(
            "token_endpoint_auth_method '{name}' is not valid for client_type '{kind}'"
        ))),
    }
}

fn grant_types(names: &[String]) -> Result<Vec<GrantType>, MetadataError> {
    if names.is_empty() {
        return Err(MetadataError::other("grant_types cannot be empty"));
    }
    let mut types = Vec::new();
    for name in names {
        let message = "grant_types must only contain 'authorization_code' and/or 'refresh_token'";
        let grant = GrantType::parse(name).ok_or_else(|| MetadataError::other(message))?;
        if !types.contains(&grant) {
            types.push(grant);
        }
    }
    Ok(types)
}

fn check_redirect_uris(uris: &[String]) -> Result<(), MetadataError> {
    let wrong = |text: &str| Err(MetadataError::RedirectUri(text.to_owned()));
    if uris.is_empty() {
        return wrong("redirect_uris cannot be empty");
    }
    if uris.len() > MOST_REDIRECT_URIS {
        return wrong("redirect_uris cannot exceed 10 items");
    }
    uris.iter().try_for_each(|uri| {
        check_redirect_uri(uri)
            .map_err(|why| MetadataError::RedirectUri(format!("invalid redirect_uri '{uri}': {why}")))
    })
}

/// The same rules; there may be none.
fn check_post_logout_uris(uris: &[String]) -> Result<(), MetadataError> {
    if uris.len() > MOST_REDIRECT_URIS {
        return Err(MetadataError::other("post_logout_redirect_uris cannot exceed 10 items"));
    }
    uris.iter().try_for_each(|uri| {
        check_redirect_uri(uri)
            .map_err(|why| MetadataError::other(format!("invalid post_logout_redirect_uri '{uri}': {why}")))
    })
}

/// RFC 6749 section 3.1.2. The scheme of an app is allowed; plain HTTP only to the person's own machine.
fn check_redirect_uri(uri: &str) -> Result<(), &'static str> {
    // The list is stored with commas, and readers disagree on backslashes.
    let is_plain = uri.bytes().all(|byte| byte.is_ascii_graphic() && !b",\\".contains(&byte));
    if uri.is_empty() || uri.len() > LONGEST_URI || !is_plain {
        return Err("expected up to 2048 characters without spaces, commas and backslashes");
    }
    let url = Url::parse(uri).map_err(|_| "invalid URL format")?;
    if DANGEROUS.contains(&url.scheme()) {
        return Err("scheme is not allowed for security reasons");
    }
    if !url.has_host() || url.host_str().is_none_or(str::is_empty) {
        return Err("must have scheme and host");
    }
    if url.scheme() == "http" && !is_loopback(&url) {
        return Err("HTTP scheme only allowed for localhost");
    }
    if url.fragment().is_some() {
        return Err("fragment not allowed in redirect URI");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("user and password are not allowed");
    }
    Ok(())
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// A page of the application, which the consent page links to or shows; empty for none.
fn page(field: &str, new: Option<String>, old: Option<String>) -> Result<Option<String>, MetadataError> {
    let Some(new) = new else { return Ok(old) };
    if new.is_empty() {
        return Ok(None);
    }
    if new.len() > LONGEST_URI {
        return Err(MetadataError::other(format!("{field} cannot exceed 2048 characters")));
    }
    let is_page = Url::parse(&new).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
    match is_page && !new.contains('\0') {
        true => Ok(Some(new)),
        false => Err(MetadataError::other(format!("{field} must be a valid URL with http or https"))),
    }
}

#[cfg(test)]
mod tests;
