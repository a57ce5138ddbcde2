//! `/admin/v1/jobs/schedules`.

use axum::Json;
use axum::extract::{Extension, State};
use rowhouse_db::Transaction;
use rowhouse_http::ServiceKey;
use rowhouse_http::api::{Created, Problem, Raw, Segment};
use rowhouse_kernel::Origin;

use super::schema::{Id, Schedules};
use super::{Answer, JobsAdmin};
use crate::schedule;

pub(super) async fn list(
    State(jobs): State<JobsAdmin>,
    _: ServiceKey,
    Extension(origin): Extension<Origin>,
) -> Answer<Schedules> {
    let find = async move |client: &tokio_postgres::Client| schedule::list(client).await;
    let schedules = jobs.control.statement(&origin.operation("jobs.schedules_list"), find).await?;
    Ok(Json(Schedules { schedules: schedules.iter().map(Raw::of).collect() }))
}

/// The job carries the id of the request.
pub(super) async fn run(
    State(jobs): State<JobsAdmin>,
    _: ServiceKey,
    Extension(origin): Extension<Origin>,
    Segment(name): Segment,
) -> Result<Created<Id>, Problem> {
    let (wanted, now) = (name.clone(), jobs.clock.now());
    let work = async move |tx: &Transaction<'_>| schedule::run(tx, now, &wanted).await;
    match jobs.control.run_tx(&origin.operation("jobs.schedule_run"), work).await? {
        Some(id) => Ok(Created(Id { id })),
        None => Err(Problem::not_found(format!("no schedule is called \"{name}\""))),
    }
}
