//! /admin/custom-providers, for the holder of the service key.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use rowhouse_kernel::Secret;
use serde::Deserialize;
use serde_json::json;

use crate::Auth;
use crate::fault::Fault;
use crate::flow::custom_provider::{self, CustomProviderError, Draft};
use crate::model::Object;
use crate::policy::Password;
use crate::refusal::Refusal;
use crate::request::{Administrator, Body, Client, Params};
use crate::store::custom_provider as store;

#[derive(Debug, Deserialize)]
pub(super) struct DraftBody {
    provider_type: Option<String>,
    identifier: Option<String>,
    name: Option<String>,
    client_id: Option<String>,
    /// Masked as passwords are.
    client_secret: Option<Password>,
    acceptable_client_ids: Option<Vec<String>>,
    scopes: Option<Vec<String>>,
    pkce_enabled: Option<bool>,
    attribute_mapping: Option<Object>,
    custom_claims_allowlist: Option<Vec<String>>,
    authorization_params: Option<Object>,
    enabled: Option<bool>,
    email_optional: Option<bool>,
    skip_nonce_check: Option<bool>,
    issuer: Option<String>,
    discovery_url: Option<String>,
    authorization_url: Option<String>,
    token_url: Option<String>,
    userinfo_url: Option<String>,
    jwks_uri: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Filter {
    #[serde(rename = "type")]
    provider_type: Option<String>,
}

pub(super) async fn list(
    State(auth): State<Auth>,
    _: Administrator,
    client: Client,
    Params(filter): Params<Filter>,
) -> Result<Response, Refusal> {
    let wanted = filter.provider_type.filter(|wanted| !wanted.is_empty());
    if wanted.as_deref().is_some_and(|wanted| !["oidc", "oauth2"].contains(&wanted)) {
        return Err(Refusal::validation("type must be either 'oauth2' or 'oidc'"));
    }
    let list = async move |db: &tokio_postgres::Client| store::list(db, wanted.as_deref()).await;
    let operation = client.operation("auth.list_providers");
    let found: Result<_, Fault> = auth.control.statement(&operation, list).await;
    Ok(Json(json!({ "providers": found? })).into_response())
}

pub(super) async fn create(
    State(auth): State<Auth>,
    _: Administrator,
    client: Client,
    Body(body): Body<DraftBody>,
) -> Result<Response, Refusal> {
    let made = custom_provider::create(&auth, body.draft(), &client).await?;
    Ok((StatusCode::CREATED, Json(made)).into_response())
}

pub(super) async fn get(
    State(auth): State<Auth>,
    _: Administrator,
    client: Client,
    Path(identifier): Path<String>,
) -> Result<Response, Refusal> {
    let found = custom_provider::find(&auth, identifier, &client).await?;
    Ok(Json(found.ok_or(CustomProviderError::NotFound)?).into_response())
}

pub(super) async fn put(
    State(auth): State<Auth>,
    _: Administrator,
    client: Client,
    Path(identifier): Path<String>,
    Body(body): Body<DraftBody>,
) -> Result<Response, Refusal> {
    Ok(Json(custom_provider::update(&auth, identifier, body.draft(), &client).await?).into_response())
}

pub(super) async fn delete(
    State(auth): State<Auth>,
    _: Administrator,
    client: Client,
    Path(identifier): Path<String>,
) -> Result<Response, Refusal> {
    custom_provider::delete(&auth, identifier, &client).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

impl DraftBody {
    fn draft(self) -> Draft {
        let secret = self.client_secret.filter(|secret| !secret.expose().is_empty());
        Draft {
            provider_type: self.provider_type.unwrap_or_default(),
            identifier: self.identifier.unwrap_or_default(),
            name: self.name,
            client_id: self.client_id,
            client_secret: secret.map(|secret| Secret::new(secret.expose())),
            acceptable_client_ids: self.acceptable_client_ids,
            scopes: self.scopes,
            pkce_enabled: self.pkce_enabled,
            attribute_mapping: self.attribute_mapping,
            custom_claims_allowlist: self.custom_claims_allowlist,
            authorization_params: self.authorization_params,
            enabled: self.enabled,
            email_optional: self.email_optional,
            skip_nonce_check: self.skip_nonce_check,
            urls: [
                ("issuer", self.issuer),
                ("discovery_url", self.discovery_url),
                ("authorization_url", self.authorization_url),
                ("token_url", self.token_url),
                ("userinfo_url", self.userinfo_url),
                ("jwks_uri", self.jwks_uri),
            ],
        }
    }
}

impl From<CustomProviderError> for Refusal {
    fn from(error: CustomProviderError) -> Self {
        let message = error.to_string();
        let (status, code) = match error {
            CustomProviderError::NotFound => (StatusCode::NOT_FOUND, "custom_provider_not_found"),
            CustomProviderError::Exists => (StatusCode::BAD_REQUEST, "conflict"),
            CustomProviderError::TooMany => (StatusCode::BAD_REQUEST, "over_custom_provider_quota"),
            CustomProviderError::Invalid(_) | CustomProviderError::Discovery(_) => {
                (StatusCode::BAD_REQUEST, "validation_failed")
            }
            CustomProviderError::Fault(fault) => return fault.into(),
        };
        Self::new(status, code, message)
    }
}
