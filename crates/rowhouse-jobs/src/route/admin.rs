//! `/admin/v1/jobs`: what the commands `jobs` and `schedule` do, over HTTP, for holders of the service key.

mod schedule;
mod schema;

use axum::Json;
use axum::extract::{Extension, FromRef, State};
use rowhouse_db::{Control, Transaction};
use rowhouse_http::ServiceKey;
use rowhouse_http::api::routing::{get_with, post_with};
use rowhouse_http::api::{
    Body, Created, Cursor, Once, Page, Params, Problem, Raw, Routes, Segment, SentBody, limit, operation,
};
use rowhouse_kernel::{Origin, SharedClock, TenantId};
use schemars::JsonSchema;
use serde::Deserialize;
use uuid::Uuid;

use crate::admin::{self, Filter, MOST_LISTED};
use crate::{NewJob, enqueue};
use schema::{Cancelled, Id, Job, JobPage, JobState, ListedJob, NewJobBody, Paused, Stats};

/// State of the routes.
#[derive(Clone)]
pub(crate) struct JobsAdmin {
    pub(crate) control: Control,
    pub(crate) clock: SharedClock,
}

impl FromRef<JobsAdmin> for Control {
    fn from_ref(jobs: &JobsAdmin) -> Self {
        jobs.control.clone()
    }
}

type JsonResult<T> = Result<Json<T>, Problem>;

/// The routes below `/admin/v1/jobs`.
pub(crate) fn routes() -> Routes<JobsAdmin> {
    let enqueued = operation("enqueueJob", "Enqueue a job", &[400, 409, 413, 422]);
    schedules(Routes::default())
        .at(
            "/",
            get_with(list, operation("listJobs", "List jobs, highest number first", &[400, 422]))
                .post_with(new, enqueued),
        )
        .at(
            "/stats",
            get_with(stats, operation("getJobStats", "Counts of jobs by state, per queue and kind", &[])),
        )
        .at(
            "/pause",
            post_with(
                set_paused::<true>,
                operation("pauseJobs", "Pause a queue, a tenant's jobs or everything", &[400, 404, 422]),
            ),
        )
        .at(
            "/resume",
            post_with(
                set_paused::<false>,
                operation("resumeJobs", "Resume what is paused", &[400, 404, 422]),
            ),
        )
        .at("/{id}", get_with(show, operation("getJob", "A job in full", &[400, 404])))
        .at(
            "/{id}/retry",
            post_with(
                retry,
                operation("retryJob", "Run a dead, cancelled, failed or scheduled job now", &[400, 404, 409]),
            ),
        )
        .at(
            "/{id}/cancel",
            post_with(cancel, operation("cancelJob", "Cancel a job, also while it runs", &[400, 404, 409])),
        )
}

fn schedules(routes: Routes<JobsAdmin>) -> Routes<JobsAdmin> {
    routes
        .at(
            "/schedules",
            get_with(
                schedule::list,
                operation(
                    "listSchedules",
                    "List schedules with their next time and the outcome of their last job",
                    &[],
                ),
            ),
        )
        .at(
            "/schedules/{name}/run",
            post_with(
                schedule::run,
                operation(
                    "runSchedule",
                    "Enqueue a schedule's job now, in addition to its times, even while it is paused",
                    &[400, 404, 422],
                ),
            ),
        )
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "JobListQuery")]
struct ListQuery {
    state: Option<JobState>,
    queue: Option<String>,
    kind: Option<String>,
    tenant: Option<Uuid>,
    /// Start of the page: `next` of the previous one.
    cursor: Option<Cursor>,
    /// 1 to 1000; 50 if not given.
    limit: Option<u32>,
}

async fn list(
    State(jobs): State<JobsAdmin>,
    _: ServiceKey,
    Extension(origin): Extension<Origin>,
    Params(query): Params<ListQuery>,
) -> JsonResult<JobPage> {
    let limit = limit(query.limit, MOST_LISTED as u32)?;
    let after = query.cursor.map(|cursor| cursor.position::<i64>()).transpose()?;
    let (state, tenant) = (query.state.map(|state| state.name().to_owned()), query.tenant.map(TenantId));
    let filter = Filter { state, queue: query.queue, kind: query.kind, tenant, after };
    let find = async move |client: &tokio_postgres::Client| admin::list(client, &filter, limit.into()).await;
    let found = jobs.control.statement(&origin.operation("jobs.list"), find).await?;
    let found = found.into_iter().map(Raw::new).collect();
    let page = Page::new(found, limit, |job: &Raw<ListedJob>| job.get("id").as_i64());
    Ok(Json(JobPage { jobs: page.items, next: page.next }))
}

async fn show(
    State(jobs): State<JobsAdmin>,
    _: ServiceKey,
    Extension(origin): Extension<Origin>,
    Segment(id): Segment<i64>,
) -> JsonResult<Raw<Job>> {
    let find = async move |client: &tokio_postgres::Client| admin::find(client, id).await;
    let job = jobs.control.statement(&origin.operation("jobs.find"), find).await?;
    job.map(|job| Json(Raw::new(job))).ok_or_else(|| no_job(id))
}

async fn stats(
    State(jobs): State<JobsAdmin>,
    _: ServiceKey,
    Extension(origin): Extension<Origin>,
) -> JsonResult<Stats> {
    let count = async move |client: &tokio_postgres::Client| admin::stats(client).await;
    let kinds = jobs.control.statement(&origin.operation("jobs.stats"), count).await?;
    Ok(Json(Stats { kinds: kinds.into_iter().map(Raw::new).collect() }))
}

async fn retry(
    State(jobs): State<JobsAdmin>,
    _: ServiceKey,
    Extension(origin): Extension<Origin>,
    once: Once,
    Segment(id): Segment<i64>,
) -> JsonResult<Raw<Job>> {
    let work =
        async move |tx: &Transaction<'_>| match (admin::retry(tx, id).await?, admin::find(tx, id).await?) {
            (true, Some(job)) => once.keep(tx, Json(Raw::new(job))).await,
            (_, None) => Err(no_job(id)),
            (false, Some(_)) => {
                Err(Problem::conflict(format!("job {id} is not dead, cancelled, failed or scheduled")))
            }
        };
    jobs.control.run_tx(&origin.operation("jobs.retry"), work).await
}

async fn cancel(
    State(jobs): State<JobsAdmin>,
    _: ServiceKey,
    Extension(origin): Extension<Origin>,
    once: Once,
    Segment(id): Segment<i64>,
) -> JsonResult<Cancelled> {
    let work = async move |tx: &Transaction<'_>| match admin::cancel(tx, id).await? {
        None => Err(no_job(id)),
        Some(state) if state == "cancelled" || state == "cancelling" => {
            once.keep(tx, Json(Cancelled { id, state })).await
        }
        Some(state) => Err(Problem::conflict(format!("job {id} has ended already: {state}"))),
    };
    jobs.control.run_tx(&origin.operation("jobs.cancel"), work).await
}

/// The job carries the id of the request that enqueued it, which the transaction knows.
async fn new(
    State(jobs): State<JobsAdmin>,
    _: ServiceKey,
    Extension(origin): Extension<Origin>,
    once: Once,
    SentBody(new, text): SentBody<NewJobBody>,
) -> Result<Created<Id>, Problem> {
    let (run_at, timeout, payload) = (new.run_at()?, new.timeout()?, new.payload(&text));
    let work = async move |tx: &Transaction<'_>| {
        let plain = NewJob::new(&new.kind, payload.clone());
        let job = NewJob {
            queue: new.queue.as_deref().unwrap_or(plain.queue),
            run_at,
            priority: new.priority.unwrap_or(plain.priority),
            tenant: new.tenant.map(TenantId),
            unique_key: new.unique_key.as_deref(),
            key: new.key.as_deref(),
            max_attempts: new.max_attempts,
            timeout,
            ..plain
        };
        let id = enqueue(tx, &job).await?;
        once.keep(tx, Created(Id { id })).await
    };
    jobs.control.run_tx(&origin.operation("jobs.enqueue"), work).await
}

/// What is paused: a queue or all, for a tenant or for all.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Scope {
    queue: Option<String>,
    tenant: Option<Uuid>,
}

async fn set_paused<const PAUSED: bool>(
    State(jobs): State<JobsAdmin>,
    _: ServiceKey,
    Extension(origin): Extension<Origin>,
    once: Once,
    Body(scope): Body<Scope>,
) -> JsonResult<Paused> {
    let (queue, tenant) = (scope.queue, scope.tenant.map(TenantId));
    let work = async move |tx: &Transaction<'_>| {
        let queues = admin::pause(tx, queue.as_deref(), tenant, PAUSED).await?;
        if queues.is_empty() {
            return Err(Problem::not_found("no queue of that name"));
        }
        once.keep(tx, Json(Paused { queues, tenant: scope.tenant, paused: PAUSED })).await
    };
    jobs.control.run_tx(&origin.operation("jobs.pause"), work).await
}

fn no_job(id: i64) -> Problem {
    Problem::not_found(format!("no job {id}, or it was pruned"))
}
