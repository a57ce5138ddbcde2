//! `/admin/v1/jobs`: what the command `jobs` does, over HTTP.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Extension, Query, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use rowhouse_db::{Control, DbError};
use rowhouse_jobs::admin::{self, Filter, MOST_LISTED, STATES};
use rowhouse_jobs::{NewJob, enqueue};
use rowhouse_kernel::{Origin, TenantId};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

use super::{Administrator, Problem, Segment};

type Answer = Result<Json<Value>, Problem>;

/// The paths below `/admin/v1/jobs`.
pub(super) fn router(control: Control) -> Router {
    Router::new()
        .route("/", get(list).post(new))
        .route("/stats", get(stats))
        .nest("/schedules", super::schedules::router())
        .route("/pause", post(pause))
        .route("/resume", post(resume))
        .route("/{id}", get(show))
        .route("/{id}/retry", post(retry))
        .route("/{id}/cancel", post(cancel))
        .with_state(control)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    state: Option<String>,
    queue: Option<String>,
    kind: Option<String>,
    tenant: Option<Uuid>,
    after: Option<i64>,
    limit: Option<i64>,
}

/// A full page names where the next begins.
async fn list(
    State(control): State<Control>,
    _: Administrator,
    Extension(origin): Extension<Origin>,
    query: Result<Query<ListQuery>, axum::extract::rejection::QueryRejection>,
) -> Answer {
    let Query(query) = query.map_err(|error| Problem::Malformed(error.body_text()))?;
    let limit = query.limit.unwrap_or(50);
    if !(1..=MOST_LISTED).contains(&limit) {
        return Err(Problem::Malformed(format!("limit is 1 to {MOST_LISTED}")));
    }
    if query.state.as_deref().is_some_and(|state| !STATES.contains(&state)) {
        return Err(Problem::Malformed(format!("state is one of {}", STATES.join(", "))));
    }
    let tenant = query.tenant.map(TenantId);
    let ListQuery { state, queue, kind, after, .. } = query;
    require_plain([&queue, &kind])?;
    let filter = Filter { state, queue, kind, tenant, after };
    let jobs = control
        .statement(&origin.operation("jobs.list"), async move |client| {
            admin::list(client, &filter, limit).await
        })
        .await?;
    let full = jobs.len() as i64 == limit;
    let next = jobs.last().filter(|_| full).map(|job| job["id"].clone());
    Ok(Json(json!({ "jobs": jobs, "next": next })))
}

async fn show(
    State(control): State<Control>,
    _: Administrator,
    Extension(origin): Extension<Origin>,
    Segment(id): Segment,
) -> Answer {
    let id = number(&id)?;
    let job = control
        .statement(&origin.operation("jobs.find"), async move |client| admin::find(client, id).await)
        .await?;
    job.map(Json).ok_or_else(|| no_job(id))
}

async fn stats(
    State(control): State<Control>,
    _: Administrator,
    Extension(origin): Extension<Origin>,
) -> Answer {
    let kinds = control
        .statement(&origin.operation("jobs.stats"), async move |client| admin::stats(client).await)
        .await?;
    Ok(Json(json!({ "kinds": kinds })))
}

async fn retry(
    State(control): State<Control>,
    _: Administrator,
    Extension(origin): Extension<Origin>,
    Segment(id): Segment,
) -> Answer {
    let id = number(&id)?;
    let work = async move |tx: &rowhouse_db::Transaction<'_>| {
        Ok::<_, DbError>((admin::retry(tx, id).await?, admin::find(tx, id).await?))
    };
    match control.run_tx(&origin.operation("jobs.retry"), work).await? {
        (true, Some(job)) => Ok(Json(job)),
        (_, None) => Err(no_job(id)),
        (false, Some(_)) => {
            Err(Problem::Conflict(format!("job {id} is not dead, cancelled, failed or scheduled")))
        }
    }
}

async fn cancel(
    State(control): State<Control>,
    _: Administrator,
    Extension(origin): Extension<Origin>,
    Segment(id): Segment,
) -> Answer {
    let id = number(&id)?;
    let work = async move |tx: &rowhouse_db::Transaction<'_>| admin::cancel(tx, id).await;
    match control.run_tx(&origin.operation("jobs.cancel"), work).await?.as_deref() {
        None => Err(no_job(id)),
        Some(state @ ("cancelled" | "cancelling")) => Ok(Json(json!({ "id": id, "state": state }))),
        Some(state) => Err(Problem::Conflict(format!("job {id} has ended already: {state}"))),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    kind: String,
    #[serde(default)]
    payload: Map<String, Value>,
    queue: Option<String>,
    run_at: Option<String>,
    priority: Option<u8>,
    tenant: Option<Uuid>,
    unique_key: Option<String>,
    key: Option<String>,
    max_attempts: Option<u16>,
    timeout_seconds: Option<f64>,
}

impl New {
    fn run_at(&self) -> Result<Option<OffsetDateTime>, Problem> {
        let read = |text: &String| {
            OffsetDateTime::parse(text, &Rfc3339).map_err(|_| {
                Problem::Refused("run_at: expected a time such as 2026-11-21T09:30:00Z".to_owned())
            })
        };
        self.run_at.as_ref().map(read).transpose()
    }

    /// The database says what is too long; it only has to be a duration.
    fn timeout(&self) -> Result<Option<Duration>, Problem> {
        let read = |seconds: f64| {
            let fits = (0.01..=86_400.0).contains(&seconds);
            fits.then(|| Duration::from_secs_f64(seconds))
                .ok_or_else(|| Problem::Refused("timeout_seconds is 0.01 to 86400".to_owned()))
        };
        self.timeout_seconds.map(read).transpose()
    }
}

/// The job carries the id of the request that enqueued it, which the transaction knows.
async fn new(
    State(control): State<Control>,
    _: Administrator,
    Extension(origin): Extension<Origin>,
    body: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let new: New = read(body)?;
    require_plain([&Some(new.kind.clone()), &new.queue])?;
    require_plain([&new.unique_key, &new.key])?;
    let (run_at, timeout) = (new.run_at()?, new.timeout()?);
    let work = async move |tx: &rowhouse_db::Transaction<'_>| {
        let plain = NewJob::new(&new.kind, Value::Object(new.payload.clone()));
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
        enqueue(tx, &job).await
    };
    let id = control.run_tx(&origin.operation("jobs.enqueue"), work).await?;
    Ok((StatusCode::CREATED, Json(json!({ "id": id }))))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scope {
    queue: Option<String>,
    tenant: Option<Uuid>,
}

async fn pause(
    State(control): State<Control>,
    _: Administrator,
    Extension(origin): Extension<Origin>,
    body: Result<Bytes, BytesRejection>,
) -> Answer {
    rest(&control, &origin, read(body)?, true).await
}

async fn resume(
    State(control): State<Control>,
    _: Administrator,
    Extension(origin): Extension<Origin>,
    body: Result<Bytes, BytesRejection>,
) -> Answer {
    rest(&control, &origin, read(body)?, false).await
}

async fn rest(control: &Control, origin: &Origin, scope: Scope, rests: bool) -> Answer {
    require_plain([&scope.queue, &None])?;
    let (queue, tenant) = (scope.queue, scope.tenant.map(TenantId));
    let work = async move |tx: &rowhouse_db::Transaction<'_>| {
        admin::pause(tx, queue.as_deref(), tenant, rests).await
    };
    match control.run_tx(&origin.operation("jobs.pause"), work).await? {
        queues if queues.is_empty() => Err(Problem::NotFound("no queue of that name".to_owned())),
        queues => Ok(Json(json!({ "queues": queues, "tenant": tenant, "paused": rests }))),
    }
}

/// An empty body is an empty object.
fn read<T: DeserializeOwned>(body: Result<Bytes, BytesRejection>) -> Result<T, Problem> {
    let body = body.map_err(|error| match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::TooLarge,
        _ => Problem::Malformed(error.body_text()),
    })?;
    let text: &[u8] = if body.is_empty() { b"{}" } else { &body };
    serde_json::from_slice(text).map_err(|error| Problem::Malformed(error.to_string()))
}

/// PostgreSQL's text has no NUL.
fn require_plain(texts: [&Option<String>; 2]) -> Result<(), Problem> {
    match texts.into_iter().flatten().any(|text| text.contains('\0')) {
        true => Err(Problem::Refused("a name has no NUL".to_owned())),
        false => Ok(()),
    }
}

fn number(id: &str) -> Result<i64, Problem> {
    id.parse().map_err(|_| Problem::Malformed("a job's id is a number".to_owned()))
}

fn no_job(id: i64) -> Problem {
    Problem::NotFound(format!("no job {id}, or no longer"))
}
