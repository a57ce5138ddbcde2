//! /admin/oauth/clients for administrators, and POST /oauth/clients/register for anybody.

use std::net::{IpAddr, Ipv4Addr};

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

use super::oauth_dialect::{OauthRefusal, OauthServer, whole};
use super::paging::Paging;
use crate::Auth;
use crate::flow::oauth_client::{self, OauthClientError, Registered};
use crate::limit::TooManyRequests;
use crate::oauth::client::{OauthClient, Registration};
use crate::oauth::metadata::{Draft, MetadataError};
use crate::refusal::Refusal;
use crate::request::{Administrator, Body, Client, InputError, Params, read_object};

#[derive(Debug, Deserialize)]
pub(super) struct DraftBody {
    redirect_uris: Option<Vec<String>>,
    post_logout_redirect_uris: Option<Vec<String>>,
    grant_types: Option<Vec<String>>,
    response_types: Option<Vec<String>>,
    client_type: Option<String>,
    token_endpoint_auth_method: Option<String>,
    client_name: Option<String>,
    client_uri: Option<String>,
    logo_uri: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Page {
    page: Option<String>,
    per_page: Option<String>,
}

pub(super) async fn list(
    State(auth): State<Auth>,
    _: Administrator,
    _: OauthServer,
    client: Client,
    Params(page): Params<Page>,
) -> Result<Response, Refusal> {
    let paging = Paging::read(page.page.as_deref(), page.per_page.as_deref())?;
    let (clients, total) = oauth_client::list(&auth, paging.limit_and_offset(), &client).await?;
    let shown: Vec<Value> = clients.iter().map(shown).collect();
    let body = json!({ "clients": shown, "aud": rowhouse_kernel::AUTHENTICATED });
    let mut response = Json(body).into_response();
    paging.describe(response.headers_mut(), "/admin/oauth/clients", &[], total);
    Ok(response)
}

pub(super) async fn create(
    State(auth): State<Auth>,
    _: Administrator,
    _: OauthServer,
    client: Client,
    Body(body): Body<DraftBody>,
) -> Result<Response, Refusal> {
    let made = oauth_client::register(&auth, body.draft(), Registration::Manual, &client).await?;
    Ok(registered(StatusCode::CREATED, &made))
}

/// Errors are those of RFC 7591 section 3.2.2, with GoTrue's fields beside them.
pub(super) async fn register(
    State(auth): State<Auth>,
    _: OauthServer,
    client: Client,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, OauthRefusal> {
    if !auth.oauth.allow_dynamic_registration {
        return Err(OauthClientError::RegistrationDisabled.into());
    }
    let address = client.address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let counted = auth.registration_limit.check(address, &client.rates).await;
    counted.map_err(|limited| Refusal::from(TooManyRequests::from(limited)))?;
    let body: DraftBody = read_object(&whole(body)?).map_err(|error: InputError| {
        OauthRefusal::new("invalid_client_metadata", error.to_string()).with_code("bad_json")
    })?;
    let made = oauth_client::register(&auth, body.draft(), Registration::Dynamic, &client).await?;
    Ok(registered(StatusCode::CREATED, &made))
}

pub(super) async fn get(
    State(auth): State<Auth>,
    _: Administrator,
    _: OauthServer,
    client: Client,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let found = oauth_client::find(&auth, read(&id)?, &client).await?;
    Ok(Json(shown(&found.ok_or(OauthClientError::NotFound)?)).into_response())
}

pub(super) async fn put(
    State(auth): State<Auth>,
    _: Administrator,
    _: OauthServer,
    client: Client,
    Path(id): Path<String>,
    Body(body): Body<DraftBody>,
) -> Result<Response, Refusal> {
    let changed = oauth_client::update(&auth, read(&id)?, body.draft(), &client).await?;
    Ok(Json(shown(&changed)).into_response())
}

pub(super) async fn delete(
    State(auth): State<Auth>,
    _: Administrator,
    _: OauthServer,
    client: Client,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    oauth_client::delete(&auth, read(&id)?, &client).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub(super) async fn regenerate_secret(
    State(auth): State<Auth>,
    _: Administrator,
    _: OauthServer,
    client: Client,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let renewed = oauth_client::regenerate_secret(&auth, read(&id)?, &client).await?;
    Ok(registered(StatusCode::OK, &renewed))
}

fn read(id: &str) -> Result<Uuid, Refusal> {
    id.parse().map_err(|_| Refusal::validation("invalid client_id format"))
}

/// With the secret, which no other answer has.
fn registered(status: StatusCode, made: &Registered) -> Response {
    let mut body = shown(&made.client);
    body["client_id_issued_at"] = made.client.created_at.unix_timestamp().into();
    if let Some(secret) = &made.secret {
        body["client_secret"] = secret.expose().into();
        // Zero: never (RFC 7591 section 3.2.1).
        body["client_secret_expires_at"] = 0.into();
    }
    (status, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

/// GoTrue's JSON: what is not set is left out.
fn shown(client: &OauthClient) -> Value {
    let grant_types: Vec<&str> = client.grant_types.iter().map(|grant| grant.as_str()).collect();
    let mut body = json!({
        "client_id": client.id,
        "client_type": client.client_type.as_str(),
        "redirect_uris": client.redirect_uris,
        "token_endpoint_auth_method": client.auth_method.as_str(),
        "grant_types": grant_types,
        "response_types": ["code"],
        "registration_type": client.registration.as_str(),
        "created_at": client.created_at.format(&Rfc3339).ok(),
        "updated_at": client.updated_at.format(&Rfc3339).ok(),
    });
    if !client.post_logout_redirect_uris.is_empty() {
        body["post_logout_redirect_uris"] = json!(client.post_logout_redirect_uris);
    }
    for (name, text) in
        [("client_name", &client.name), ("client_uri", &client.uri), ("logo_uri", &client.logo_uri)]
    {
        if let Some(text) = text {
            body[name] = text.as_str().into();
        }
    }
    body
}

impl DraftBody {
    fn draft(self) -> Draft {
        Draft {
            redirect_uris: self.redirect_uris,
            post_logout_redirect_uris: self.post_logout_redirect_uris,
            grant_types: self.grant_types,
            response_types: self.response_types,
            client_type: self.client_type,
            auth_method: self.token_endpoint_auth_method,
            name: self.client_name,
            uri: self.client_uri,
            logo_uri: self.logo_uri,
        }
    }
}

impl From<OauthClientError> for Refusal {
    fn from(error: OauthClientError) -> Self {
        use StatusCode as S;
        let message = error.to_string();
        match error {
            OauthClientError::RegistrationDisabled => {
                Self::new(S::FORBIDDEN, "oauth_dynamic_client_registration_disabled", message)
            }
            OauthClientError::NotFound => Self::new(S::NOT_FOUND, "oauth_client_not_found", message),
            OauthClientError::NoFields
            | OauthClientError::Public
            | OauthClientError::TooMany
            | OauthClientError::Metadata(_) => Self::validation(message),
            OauthClientError::Fault(fault) => fault.into(),
        }
    }
}

impl From<OauthClientError> for OauthRefusal {
    fn from(error: OauthClientError) -> Self {
        let rfc = match &error {
            OauthClientError::Metadata(MetadataError::RedirectUri(_)) => "invalid_redirect_uri",
            OauthClientError::Metadata(MetadataError::Other(_)) => "invalid_client_metadata",
            OauthClientError::RegistrationDisabled | OauthClientError::TooMany => "access_denied",
            _ => return Refusal::from(error).into(),
        };
        let Refusal { status, code, message, .. } = Refusal::from(error);
        Self::new(rfc, message).with_code(code).with_status(status)
    }
}
