//! From what an administrator has set up to a provider.

use rowhouse_kernel::Secret;
use serde_json::Value;

use super::preset::discovery_url;
use super::{ClientSecret, Endpoints, Issuers, Protocol, Provider, Shape, Trust};
use crate::model::Object;
use crate::store::custom_provider::CustomProvider;

/// The provider, with its secret opened.
pub(crate) fn custom(from: &CustomProvider, secret: Secret) -> Provider {
    let protocol = if from.is_oidc() { oidc(from) } else { oauth2(from) };
    let first = std::iter::once(&from.client_id);
    Provider {
        name: from.identifier.clone(),
        protocol,
        client_ids: first.chain(&from.acceptable_client_ids).cloned().collect(),
        secret: ClientSecret::Text(secret),
        redirect_uri: None,
        scopes: from.scopes.clone(),
        replaces_scopes: true,
        params: texts(&from.authorization_params),
        uses_pkce: from.pkce_enabled,
        skip_nonce_check: from.skip_nonce_check,
        email_optional: from.email_optional,
        shape: Shape {
            mapping: texts(&from.attribute_mapping),
            custom: from.custom_claims_allowlist.clone(),
            ..Shape::default()
        },
        trust: Trust::Api,
    }
}

fn oidc(from: &CustomProvider) -> Protocol {
    let issuer = from.issuer.clone().unwrap_or_default();
    let url = from.discovery_url.clone().unwrap_or_else(|| discovery_url(&issuer));
    Protocol::Oidc { issuer: Issuers::Of(vec![issuer]), discovery_url: url }
}

fn oauth2(from: &CustomProvider) -> Protocol {
    let text = |url: &Option<String>| url.clone().unwrap_or_default();
    Protocol::OAuth2(Endpoints {
        authorization: text(&from.authorization_url),
        token: text(&from.token_url),
        profile: text(&from.userinfo_url),
        emails: None,
        issuer: text(&from.authorization_url),
    })
}

fn texts(table: &Object) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    table.iter().filter_map(|(name, value)| Some((name.clone(), text(value)?))).collect()
}
