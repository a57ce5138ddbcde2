//! `/admin/v1/jobs/schedules`.

use axum::Json;
use axum::extract::{Extension, State};
use rowhouse_db::Transaction;
use rowhouse_http::ServiceKey;
use rowhouse_http::api::{Created, Once, Problem, Raw, Segment};
use rowhouse_kernel::Origin;

use super::schema::{Id, Schedules};
use super::{JobsAdmin, JsonResult};
use crate::schedule;

pub(super) async fn list(
    State(jobs): State<JobsAdmin>,
    _: ServiceKey,
    Extension(origin): Extension<Origin>,
) -> JsonResult<Schedules> {
    let find = async move |client: &tokio_postgres::Client| schedule::list(client).await;
    let schedules = jobs.control.statement(&origin.operation("jobs.schedules_list"), find).await?;
    Ok(Json(Schedules { schedules: schedules.iter().map(Raw::of).collect() }))
}

/// The job carries the id of the request.
pub(super) async fn run(
    State(jobs): State<JobsAdmin>,
    _: ServiceKey,
    Extension(origin): Extension<Origin>,
    once: Once,
    Segment(name): Segment,
) -> Result<Created<Id>, Problem> {
    let now = jobs.clock.now();
    let work = async move |tx: &Transaction<'_>| match schedule::run(tx, now, &name).await? {
        Some(id) => once.keep(tx, Created(Id { id })).await,
        None => Err(Problem::not_found(format!("no schedule is called \"{name}\""))),
    };
    jobs.control.run_tx(&origin.operation("jobs.schedule_run"), work).await
}
