//! Identities of the signed-in user: GET /user/identities/authorize, DELETE /user/identities/{id}.

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::json;

use super::authorize::Asked;
use super::external::{linking_disabled, no_redirect};
use super::redirect::redirect;
use crate::Auth;
use crate::flow::external::begin::entry_url;
use crate::flow::external::find;
use crate::flow::external::link::{self, UnlinkError};
use crate::flow::external::link_begin::{self, NewLink};
use crate::refusal::Refusal;
use crate::request::{Client, RedirectTo, SignedIn};

/// The URL with which a browser begins the link.
pub(super) async fn authorize(
    State(auth): State<Auth>,
    caller: SignedIn,
    client: Client,
    RedirectTo(referrer): RedirectTo,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    auth.refresh_limit.check(&client).await?;
    link_begin::require_linking(&auth)?;
    let asked = Asked::read(query.as_deref());
    let challenge = asked.challenge()?;
    let provider = find::provider(&auth, asked.provider(), &client).await?;
    let entry = entry_url(&auth, &provider);
    let state = link_begin::start(&auth, NewLink { caller, provider, challenge, referrer }, &client).await?;
    let url = asked.link_url(&entry, state.expose())?;
    if asked.wants_url() {
        return Ok(Json(json!({ "url": url })).into_response());
    }
    redirect(StatusCode::FOUND, &url).ok_or_else(no_redirect)
}

pub(super) async fn delete(
    State(auth): State<Auth>,
    caller: SignedIn,
    client: Client,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let malformed =
        || Refusal::new(StatusCode::NOT_FOUND, "validation_failed", "identity_id must be an UUID");
    let id = id.parse().map_err(|_| malformed())?;
    link::unlink(&auth, caller, id, &client).await?;
    Ok(Json(json!({})).into_response())
}

impl From<UnlinkError> for Refusal {
    fn from(error: UnlinkError) -> Self {
        let message = error.to_string();
        let code = match error {
            UnlinkError::NotLive(error) => return error.into(),
            UnlinkError::LinkingDisabled => return linking_disabled(message),
            UnlinkError::LastIdentity => "single_identity_not_deletable",
            UnlinkError::NotFound => "identity_not_found",
            UnlinkError::EmailConflict => "email_conflict_identity_not_deletable",
            UnlinkError::Fault(fault) => return fault.into(),
        };
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, message)
    }
}
