//! Overrides of a flag.

use axum::Json;
use axum::extract::{Extension, State};
use rowhouse_db::Transaction;
use rowhouse_http::api::{Body, Cursor, NoContent, Page, Params, Problem, Segment, Segments, limit};
use rowhouse_kernel::Origin;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio_postgres::Client;
use uuid::Uuid;

use super::caller::SuperAdmin;
use super::{FlagAdmin, MOST_LISTED};
use crate::flow::{self, FlagError};
use crate::overriding::{self, Override, Target};
use crate::value::Scope;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OverridesQuery {
    /// Where the page begins: `next` of the one before.
    cursor: Option<Cursor>,
    /// 1 to 1000; 50 if not given.
    limit: Option<u32>,
}

pub(super) async fn list(
    State(admin): State<FlagAdmin>,
    _: SuperAdmin,
    Extension(origin): Extension<Origin>,
    Segment(name): Segment,
    Params(query): Params<OverridesQuery>,
) -> Result<Json<Page<Override>>, Problem> {
    let limit = limit(query.limit, MOST_LISTED)?;
    let after = query.cursor.map(|cursor| cursor.position::<(Uuid, Scope)>()).transpose()?;
    let list = async move |client: &Client| {
        flow::get(client, &name).await?;
        Ok::<_, FlagError>(overriding::list(client, &name, after, limit).await?)
    };
    let overrides = admin.control.statement(&origin.operation("flags.list_overrides"), list).await?;
    Ok(Json(Page::new(overrides, limit, |one| (one.subject, one.scope))))
}

/// Body of an override.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "FlagOverrideValue")]
pub(super) struct Overriding {
    /// As the flag's `default_value`.
    value: String,
}

pub(super) async fn set(
    State(admin): State<FlagAdmin>,
    _: SuperAdmin,
    Extension(origin): Extension<Origin>,
    Segments(name, target): Segments<String, String>,
    Body(body): Body<Overriding>,
) -> Result<Json<Override>, Problem> {
    let target = read(&target)?;
    let set = async move |tx: &Transaction<'_>| flow::set_override(tx, &name, target, &body.value).await;
    Ok(Json(admin.control.run_tx(&origin.operation("flags.set_override"), set).await?))
}

pub(super) async fn remove(
    State(admin): State<FlagAdmin>,
    _: SuperAdmin,
    Extension(origin): Extension<Origin>,
    Segments(name, target): Segments<String, String>,
) -> Result<NoContent, Problem> {
    let target = read(&target)?;
    let remove = async move |tx: &Transaction<'_>| flow::remove_override(tx, &name, target).await;
    admin.control.run_tx(&origin.operation("flags.remove_override"), remove).await?;
    Ok(NoContent)
}

fn read(target: &str) -> Result<Target, Problem> {
    target.parse().map_err(|why: String| Problem::malformed(format!("subject: {why}")))
}
