//! /sessions and /admin/users/{id}/sessions: which sessions there are, and the end of one.

use axum::Json;
use axum::extract::{Path, State, rejection::PathRejection};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::json;
use uuid::Uuid;

use crate::Auth;
use crate::flow::session_list::{self, SessionListError};
use crate::refusal::Refusal;
use crate::request::{Administrator, Client, SignedIn};
use crate::store::session_list::SessionInfo;

type Ids<T> = Result<Path<T>, PathRejection>;

impl From<SessionListError> for Refusal {
    fn from(error: SessionListError) -> Self {
        let code = match error {
            SessionListError::NotLive(error) => return error.into(),
            SessionListError::NoSuchUser => "user_not_found",
            SessionListError::NoSuchSession => "session_not_found",
            SessionListError::Fault(fault) => return fault.into(),
        };
        Self::new(StatusCode::NOT_FOUND, code, error.to_string())
    }
}

pub(super) async fn list(
    State(auth): State<Auth>,
    caller: SignedIn,
    client: Client,
) -> Result<Response, Refusal> {
    Ok(shown(&session_list::list(&auth, caller, &client).await?))
}

pub(super) async fn delete(
    State(auth): State<Auth>,
    caller: SignedIn,
    client: Client,
    id: Ids<Uuid>,
) -> Result<Response, Refusal> {
    auth.refresh_limit.check_user(caller.user, &client).await?;
    session_list::end(&auth, caller, read(id)?, &client).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub(super) async fn admin_list(
    State(auth): State<Auth>,
    _: Administrator,
    client: Client,
    id: Ids<Uuid>,
) -> Result<Response, Refusal> {
    Ok(shown(&session_list::list_of(&auth, read(id)?, &client).await?))
}

pub(super) async fn admin_delete(
    State(auth): State<Auth>,
    _: Administrator,
    client: Client,
    ids: Ids<(Uuid, Uuid)>,
) -> Result<Response, Refusal> {
    let (user, session) = read(ids)?;
    session_list::end_of(&auth, user, session, &client).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn read<T>(path: Ids<T>) -> Result<T, Refusal> {
    path.map(|Path(id)| id).map_err(|_| Refusal::validation("expected an UUID in the path"))
}

fn shown(sessions: &[SessionInfo]) -> Response {
    Json(json!({ "sessions": sessions })).into_response()
}
