//! Identities of the signed-in user: GET /user/identities/authorize, DELETE /user/identities/{id}.

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::json;

use super::external::{begin, linking_disabled};
use crate::Auth;
use crate::flow::external::link::{self, UnlinkError};
use crate::refusal::Refusal;
use crate::request::{Client, RedirectTo, SignedIn};

pub(super) async fn authorize(
    State(auth): State<Auth>,
    caller: SignedIn,
    client: Client,
    target: RedirectTo,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    begin(&auth, &query.unwrap_or_default(), target, Some(caller), &client).await
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
