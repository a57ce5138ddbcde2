//! /admin/users/{id}/factors, for the holder of the service key.

use axum::Json;
use axum::extract::{Path, State, rejection::PathRejection};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Deserialize;
use uuid::Uuid;

use crate::Auth;
use crate::flow::admin::AdminError;
use crate::flow::factor;
use crate::refusal::Refusal;
use crate::request::{Administrator, Body, Client};
use crate::store::user;

type FactorPath = Result<Path<(String, String)>, PathRejection>;

#[derive(Debug, Deserialize)]
pub(super) struct FactorBody {
    friendly_name: Option<String>,
}

pub(super) async fn list(
    State(auth): State<Auth>,
    _: Administrator,
    client: Client,
    Path(user): Path<String>,
) -> Result<Response, Refusal> {
    let id = read(&user, "user_id")?;
    let operation = client.operation("auth.admin_list_factors");
    let row = auth.control.statement(&operation, async move |db| user::find(db, id).await).await?;
    Ok(Json(row.ok_or(AdminError::NoSuchUser)?.user.factors).into_response())
}

pub(super) async fn put(
    State(auth): State<Auth>,
    _: Administrator,
    client: Client,
    path: FactorPath,
    Body(body): Body<FactorBody>,
) -> Result<Response, Refusal> {
    let (user, id) = ids(path)?;
    Ok(Json(factor::admin_rename(&auth, user, id, body.friendly_name, &client).await?).into_response())
}

pub(super) async fn delete(
    State(auth): State<Auth>,
    _: Administrator,
    client: Client,
    path: FactorPath,
) -> Result<Response, Refusal> {
    let (user, id) = ids(path)?;
    Ok(Json(factor::admin_delete(&auth, user, id, &client).await?).into_response())
}

fn ids(path: FactorPath) -> Result<(Uuid, Uuid), Refusal> {
    let Path((user, factor)) = path.map_err(|rejection| Refusal::validation(rejection.body_text()))?;
    Ok((read(&user, "user_id")?, read(&factor, "factor_id")?))
}

fn read(text: &str, name: &'static str) -> Result<Uuid, Refusal> {
    let message = format!("{name} must be an UUID");
    text.parse().map_err(|_| Refusal::new(StatusCode::NOT_FOUND, "validation_failed", message))
}
