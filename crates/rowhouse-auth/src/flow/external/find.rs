//! The provider of a name: configured, or set up through the admin API.

use rowhouse_kernel::Secret;

use crate::Auth;
use crate::fault::Fault;
use crate::flow::custom_provider;
use crate::provider::{self, KNOWN, Provider};
use crate::request::Client;
use crate::sealed;
use crate::sealed_text::provider_label;

/// Why a provider cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FindError {
    #[error("Unsupported provider: Provider {0} could not be found")]
    Unknown(String),
    #[error("Unsupported provider: provider is not enabled")]
    Disabled,
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Longest name that is repeated in an answer.
pub(super) const LONGEST_NAME: usize = 64;

/// The provider of that name, in any case.
pub(crate) async fn provider(auth: &Auth, name: &str, client: &Client) -> Result<Provider, FindError> {
    let name = name.to_ascii_lowercase();
    let found = if name.starts_with("custom:") {
        custom_provider::find(auth, name.clone(), client).await?
    } else {
        None
    };
    if let Some(found) = found {
        let secret = sealed::open(auth, &found.client_secret, &provider_label(found.id))?;
        let secret = secret.and_then(|plain| std::str::from_utf8(&plain).map(Secret::new).ok());
        let ready = provider::custom(&found, secret.unwrap_or_else(|| Secret::new("")));
        return if found.enabled { Ok(ready) } else { Err(FindError::Disabled) };
    }
    let unknown = || match KNOWN.contains(&name.as_str()) {
        true => FindError::Disabled,
        false => FindError::Unknown(name.chars().take(LONGEST_NAME).collect()),
    };
    let settings = auth.settings.external.get(&name).ok_or_else(unknown)?;
    if settings.enabled { Ok(provider::configured(&name, settings)) } else { Err(FindError::Disabled) }
}

/// The configured provider that this issuer is.
pub(crate) fn provider_of_issuer(auth: &Auth, issuer: &str) -> Result<Provider, FindError> {
    let configured = auth.settings.external.iter().filter(|(_, settings)| settings.enabled);
    let mut providers = configured.map(|(name, settings)| provider::configured(name, settings));
    let found = providers.find(|provider| provider.is_of(issuer));
    found.ok_or_else(|| FindError::Unknown(issuer.chars().take(LONGEST_NAME).collect()))
}
