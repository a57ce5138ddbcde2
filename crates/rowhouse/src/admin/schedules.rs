//! `/admin/v1/jobs/schedules`: what the command `schedule` does, over HTTP.

use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use rowhouse_db::Control;
use rowhouse_jobs::schedule;
use rowhouse_kernel::Origin;
use serde_json::{Value, json};

use super::{Administrator, Problem, Segment};
use crate::command::clock;

/// The paths below `/admin/v1/jobs/schedules`.
pub(super) fn router() -> Router<Control> {
    Router::new().route("/", get(list)).route("/{name}/run", post(run))
}

async fn list(
    State(control): State<Control>,
    _: Administrator,
    Extension(origin): Extension<Origin>,
) -> Result<Json<Value>, Problem> {
    let work = async move |client: &tokio_postgres::Client| schedule::list(client).await;
    let schedules = control.statement(&origin.operation("jobs.schedules_list"), work).await?;
    Ok(Json(json!({ "schedules": schedules })))
}

/// The job carries the id of the request.
async fn run(
    State(control): State<Control>,
    _: Administrator,
    Extension(origin): Extension<Origin>,
    Segment(name): Segment,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let wanted = name.clone();
    let work = async move |tx: &rowhouse_db::Transaction<'_>| schedule::run(tx, &*clock(), &wanted).await;
    match control.run_tx(&origin.operation("jobs.schedule_run"), work).await? {
        Some(id) => Ok((StatusCode::CREATED, Json(json!({ "id": id })))),
        None => Err(Problem::NotFound(format!("no schedule is called \"{name}\""))),
    }
}
