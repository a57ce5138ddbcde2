//! Providers of external sign-in that an administrator sets up.

use rowhouse_audit::Entry;
use rowhouse_db::Transaction;
use rowhouse_kernel::Secret;
use url::Url;

use crate::Auth;
use crate::fault::{Fault, carry_fault};
use crate::model::Object;
use crate::provider::{ProviderError, RESERVED, custom};
use crate::request::Client;
use crate::sealed;
use crate::sealed_text::provider_label;
use crate::store::custom_provider::{self, CustomProvider};

/// Most providers of an installation.
const MOST_PROVIDERS: i64 = 100;
/// Most entries of a list or table.
const MOST_ENTRIES: usize = 50;
/// Longest text, in bytes.
const LONGEST_TEXT: usize = 2048;
/// What a mapping must not set: the platform decides about it.
const PROTECTED: [&str; 14] = [
    "id",
    "aud",
    "role",
    "app_metadata",
    "created_at",
    "updated_at",
    "confirmed_at",
    "email_confirmed_at",
    "phone_confirmed_at",
    "email_verified",
    "phone_verified",
    "banned_until",
    "is_super_admin",
    "iss",
];

/// Why a provider is not shown, set up, changed or removed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CustomProviderError {
    #[error("Custom OAuth provider not found")]
    NotFound,
    #[error("A custom OAuth provider with this identifier already exists")]
    Exists,
    #[error("Maximum number of custom OAuth/OIDC providers reached")]
    TooMany,
    #[error("{0}")]
    Invalid(String),
    #[error("OIDC discovery failed: {0}")]
    Discovery(#[from] ProviderError),
    #[error(transparent)]
    Fault(#[from] Fault),
}
carry_fault!(CustomProviderError);

/// What an administrator gives; `None` leaves a field, or takes its default.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub(crate) provider_type: String,
    pub(crate) identifier: String,
    pub(crate) name: Option<String>,
    pub(crate) client_id: Option<String>,
    pub(crate) client_secret: Option<Secret>,
    pub(crate) acceptable_client_ids: Option<Vec<String>>,
    pub(crate) scopes: Option<Vec<String>>,
    pub(crate) pkce_enabled: Option<bool>,
    pub(crate) attribute_mapping: Option<Object>,
    pub(crate) custom_claims_allowlist: Option<Vec<String>>,
    pub(crate) authorization_params: Option<Object>,
    pub(crate) enabled: Option<bool>,
    pub(crate) email_optional: Option<bool>,
    pub(crate) skip_nonce_check: Option<bool>,
    /// Issuer, discovery document, endpoints and key set, by the names of their columns.
    pub(crate) urls: [(&'static str, Option<String>); 6],
}

pub(crate) async fn create(
    auth: &Auth,
    draft: Draft,
    client: &Client,
) -> Result<CustomProvider, CustomProviderError> {
    require(["oidc", "oauth2"].contains(&draft.provider_type.as_str()), || {
        "provider_type must be either 'oauth2' or 'oidc'".to_owned()
    })?;
    require(is_identifier(&draft.identifier), || {
        "identifier must start with 'custom:', then have up to 43 of a-z, 0-9, : and -".to_owned()
    })?;
    require(draft.client_secret.is_some(), || "client_secret is required".to_owned())?;
    let provider = apply(auth, blank(auth, &draft), draft)?;
    check(&provider)?;
    discover(auth, &provider).await?;
    let new = provider.clone();
    let work = async move |tx: &Transaction<'_>| {
        if custom_provider::lock_and_count(tx).await? >= MOST_PROVIDERS {
            return Err(CustomProviderError::TooMany);
        }
        if custom_provider::find(tx, &new.identifier).await?.is_some() {
            return Err(CustomProviderError::Exists);
        }
        custom_provider::put(tx, &new).await?;
        note(tx, "provider_created", &new.identifier).await
    };
    auth.control.run_tx(&client.operation("auth.create_provider"), work).await?;
    Ok(provider)
}

pub(crate) async fn update(
    auth: &Auth,
    identifier: String,
    draft: Draft,
    client: &Client,
) -> Result<CustomProvider, CustomProviderError> {
    let found = find(auth, identifier, client).await?.ok_or(CustomProviderError::NotFound)?;
    let provider = apply(auth, found, draft)?;
    check(&provider)?;
    discover(auth, &provider).await?;
    let new = provider.clone();
    let work = async move |tx: &Transaction<'_>| {
        if custom_provider::find(tx, &new.identifier).await?.is_none() {
            return Err(CustomProviderError::NotFound);
        }
        custom_provider::put(tx, &new).await?;
        note(tx, "provider_updated", &new.identifier).await
    };
    auth.control.run_tx(&client.operation("auth.update_provider"), work).await?;
    Ok(provider)
}

pub(crate) async fn delete(
    auth: &Auth,
    identifier: String,
    client: &Client,
) -> Result<(), CustomProviderError> {
    let work = async move |tx: &Transaction<'_>| {
        if !custom_provider::delete(tx, &identifier).await? {
            return Err(CustomProviderError::NotFound);
        }
        note(tx, "provider_deleted", &identifier).await
    };
    auth.control.run_tx(&client.operation("auth.delete_provider"), work).await
}

pub(crate) async fn find(
    auth: &Auth,
    identifier: String,
    client: &Client,
) -> Result<Option<CustomProvider>, Fault> {
    let find = async move |db: &tokio_postgres::Client| custom_provider::find(db, &identifier).await;
    auth.control.statement(&client.operation("auth.find_provider"), find).await
}

async fn note(tx: &Transaction<'_>, action: &str, identifier: &str) -> Result<(), CustomProviderError> {
    let (target_kind, details) = ("custom_provider", Object::new());
    let entry = Entry { source: "auth", action, target_kind, target_id: identifier, tenant: None, details };
    rowhouse_audit::write(tx, entry).await?;
    Ok(())
}

fn blank(auth: &Auth, draft: &Draft) -> CustomProvider {
    let now = auth.now();
    CustomProvider {
        id: auth.new_id(),
        provider_type: draft.provider_type.clone(),
        identifier: draft.identifier.clone(),
        name: String::new(),
        client_id: String::new(),
        client_secret: String::new(),
        acceptable_client_ids: Vec::new(),
        scopes: Vec::new(),
        pkce_enabled: true,
        attribute_mapping: Object::new(),
        custom_claims_allowlist: Vec::new(),
        authorization_params: Object::new(),
        enabled: true,
        email_optional: false,
        issuer: None,
        discovery_url: None,
        skip_nonce_check: false,
        authorization_url: None,
        token_url: None,
        userinfo_url: None,
        jwks_uri: None,
        created_at: now,
        updated_at: now,
    }
}

/// The provider with what the draft gives.
fn apply(auth: &Auth, mut to: CustomProvider, draft: Draft) -> Result<CustomProvider, CustomProviderError> {
    fn set<T>(field: &mut T, given: Option<T>) {
        if let Some(given) = given {
            *field = given;
        }
    }
    set(&mut to.name, draft.name);
    set(&mut to.client_id, draft.client_id);
    set(&mut to.acceptable_client_ids, draft.acceptable_client_ids);
    set(&mut to.scopes, draft.scopes);
    set(&mut to.pkce_enabled, draft.pkce_enabled);
    set(&mut to.attribute_mapping, draft.attribute_mapping);
    set(&mut to.custom_claims_allowlist, draft.custom_claims_allowlist);
    set(&mut to.authorization_params, draft.authorization_params);
    set(&mut to.enabled, draft.enabled);
    set(&mut to.email_optional, draft.email_optional);
    set(&mut to.skip_nonce_check, draft.skip_nonce_check);
    for (name, url) in draft.urls {
        let Some(url) = url else { continue };
        let field = match name {
            "issuer" => &mut to.issuer,
            "discovery_url" => &mut to.discovery_url,
            "authorization_url" => &mut to.authorization_url,
            "token_url" => &mut to.token_url,
            "userinfo_url" => &mut to.userinfo_url,
            _ => &mut to.jwks_uri,
        };
        *field = Some(url).filter(|url| !url.is_empty());
    }
    if let Some(secret) = draft.client_secret {
        to.client_secret = sealed::seal(auth, secret.expose().as_bytes(), &provider_label(to.id))?;
    }
    to.updated_at = auth.now();
    Ok(to)
}

fn require(holds: bool, problem: impl FnOnce() -> String) -> Result<(), CustomProviderError> {
    if holds { Ok(()) } else { Err(CustomProviderError::Invalid(problem())) }
}

fn is_identifier(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b":-".contains(&byte);
    let name = text.strip_prefix("custom:").unwrap_or_default();
    let ends = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    (1..=43).contains(&name.len())
        && name.bytes().all(allowed)
        && name.starts_with(ends)
        && name.ends_with(ends)
}

fn check(provider: &CustomProvider) -> Result<(), CustomProviderError> {
    let p = provider;
    require((1..=100).contains(&p.name.chars().count()), || {
        "name is required, up to 100 characters".to_owned()
    })?;
    require((1..=512).contains(&p.client_id.len()), || "client_id is required, up to 512 bytes".to_owned())?;
    let needed: &[(&str, &Option<String>)] = match p.is_oidc() {
        true => &[("issuer", &p.issuer)],
        false => &[
            ("authorization_url", &p.authorization_url),
            ("token_url", &p.token_url),
            ("userinfo_url", &p.userinfo_url),
        ],
    };
    for (name, url) in needed {
        require(url.is_some(), || format!("{name} is required"))?;
    }
    let urls =
        [&p.issuer, &p.discovery_url, &p.authorization_url, &p.token_url, &p.userinfo_url, &p.jwks_uri];
    for url in urls.into_iter().flatten() {
        require(is_url(url), || format!("{url:?} is no URL with https:// or http://"))?;
    }
    let lists = [&p.acceptable_client_ids, &p.scopes, &p.custom_claims_allowlist];
    let is_short = |text: &String| (1..=LONGEST_TEXT).contains(&text.len());
    require(lists.iter().all(|list| list.len() <= MOST_ENTRIES && list.iter().all(is_short)), || {
        format!("a list has up to {MOST_ENTRIES} texts, none of them empty")
    })?;
    check_tables(provider)
}

fn check_tables(provider: &CustomProvider) -> Result<(), CustomProviderError> {
    for table in [&provider.attribute_mapping, &provider.authorization_params] {
        let is_text =
            |value: &serde_json::Value| value.as_str().is_some_and(|text| text.len() <= LONGEST_TEXT);
        require(table.len() <= MOST_ENTRIES && table.values().all(is_text), || {
            format!("attribute_mapping and authorization_params have up to {MOST_ENTRIES} texts")
        })?;
    }
    for name in provider.attribute_mapping.keys() {
        require(!PROTECTED.contains(&name.as_str()), || {
            format!("Cannot map to protected system field: {name}")
        })?;
    }
    for name in provider.authorization_params.keys() {
        require(!RESERVED.contains(&name.to_ascii_lowercase().as_str()), || {
            format!("Cannot override reserved OAuth parameter: {name}")
        })?;
    }
    Ok(())
}

fn is_url(text: &str) -> bool {
    let parsed = Url::parse(text).ok().filter(|_| text.len() <= LONGEST_TEXT);
    parsed.is_some_and(|url| matches!(url.scheme(), "http" | "https") && url.username().is_empty())
}

/// A wrong issuer is reported now, not when somebody signs in.
async fn discover(auth: &Auth, provider: &CustomProvider) -> Result<(), CustomProviderError> {
    let ready = custom(provider, Secret::new(""));
    auth.providers.require_discovery(&ready).await?;
    Ok(())
}
