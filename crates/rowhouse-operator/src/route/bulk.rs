//! `/admin/v1/bulk-jobs`. Leaves the file of results to `result`.

use axum::Json;
use axum::extract::{Extension, State};
use rowhouse_db::Transaction;
use rowhouse_http::LiveCaller;
use rowhouse_http::api::routing::{get_with, post_with};
use rowhouse_http::api::{
    Body, Created, Cursor, Once, Page, Params, Problem, Routes, Segment, limit, operation as described,
};
use rowhouse_kernel::{Origin, new_id};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio_postgres::Client;
use uuid::Uuid;

use super::{MOST_LISTED, OperatorAdmin, result};
use crate::flow::bulk::{self as flow, Asked, Written};
use crate::flow::operation;
use crate::power::{Help, Operating, Power, require, require_assurance};
use crate::store::bulk::{self as store, Action, BulkJob};
use crate::store::search::Filter;

/// The paths below `/admin/v1/bulk-jobs`.
pub(crate) fn routes() -> Routes<OperatorAdmin> {
    let listed = described(
        "listBulkJobs",
        "List bulk jobs, the newest first; for operators and the service key",
        &[400],
    );
    let begun = described(
        "beginBulkJob",
        "Do something to many users; for super_admins, support (not invite and delete) and the service key",
        &[400, 404, 409, 422],
    );
    let shown = described("getBulkJob", "A bulk job with its progress", &[400, 404]);
    let retried = described(
        "retryBulkJob",
        "Do the failed items again, and those that a cancellation has left",
        &[400, 404, 409, 422],
    );
    let cancelled = described("cancelBulkJob", "End it after the batch that it is at", &[400, 404, 409, 422]);
    let results = described("getBulkJobResults", "What became of each user, as CSV or NDJSON", &[400, 404]);
    Routes::default()
        .at("/", get_with(list, listed).post_with(begin, begun))
        .at("/{job}", get_with(show, shown))
        .at("/{job}/retry", post_with(retry, retried))
        .at("/{job}/cancel", post_with(cancel, cancelled))
        .at("/{job}/results", get_with(result::download, results))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "BulkJobListQuery")]
struct ListQuery {
    /// Where the page begins: `next` of the one before.
    cursor: Option<Cursor>,
    /// 1 to 1000; 50 if not given.
    limit: Option<u32>,
}

async fn list(
    State(operator): State<OperatorAdmin>,
    _: Operating<Help>,
    Extension(origin): Extension<Origin>,
    Params(query): Params<ListQuery>,
) -> Result<Json<Page<BulkJob>>, Problem> {
    let limit = limit(query.limit, MOST_LISTED)?;
    let before = query.cursor.map(|cursor| cursor.position::<Uuid>()).transpose()?;
    let list = async move |client: &Client| store::list(client, before, limit).await;
    let found = operator.control.statement(&origin.operation("operators.list_bulk_jobs"), list).await?;
    Ok(Json(Page::new(found, limit, |job| job.id)))
}

async fn show(
    State(operator): State<OperatorAdmin>,
    _: Operating<Help>,
    Extension(origin): Extension<Origin>,
    Segment(id): Segment<Uuid>,
) -> Result<Json<BulkJob>, Problem> {
    let find = async move |client: &Client| flow::get(client, id).await;
    Ok(Json(operator.control.statement(&origin.operation("operators.find_bulk_job"), find).await?))
}

/// Body of a new one.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewBulkJob")]
struct NewBody {
    action: Action,
    /// Whom: 1 to 10,000 ids, each counted once.
    #[schemars(length(min = 1, max = 10_000))]
    users: Option<Vec<Uuid>>,
    /// Or who fits now, 100,000 at most; has a condition, unless they are exported.
    filter: Option<Filter>,
    /// Of `invite`: 1 to 10,000 addresses.
    #[schemars(length(min = 1, max = 10_000))]
    emails: Option<Vec<String>>,
    /// Of `invite`: to which organization.
    organization: Option<Uuid>,
    /// Of `invite`: the role there; `member` if not given.
    #[schemars(length(min = 1, max = 32))]
    role: Option<String>,
    /// Why, for operators; `suspend` and `delete` need one.
    #[schemars(length(min = 1, max = 500))]
    reason: Option<String>,
    /// Try each item and roll it back.
    #[serde(default)]
    dry_run: bool,
}

async fn begin(
    State(operator): State<OperatorAdmin>,
    Operating(caller, ..): Operating<Help>,
    Extension(origin): Extension<Origin>,
    once: Once,
    Body(body): Body<NewBody>,
) -> Result<Created<BulkJob>, Problem> {
    let NewBody { action, users, filter, emails, organization, role, reason, dry_run } = body;
    let written = Written { users, filter, emails, organization, role, reason, dry_run };
    let asked = Asked::read(action, written)?;
    let (id, actor) = (new_id(&*origin.clock, &*operator.rng), origin.actor.to_string());
    let aal = operator.bulk_aal;
    let begin = async move |tx: &Transaction<'_>| {
        let made = flow::begin_by(tx, (&caller, aal), id, &asked, &actor).await?;
        once.keep(tx, Created(made)).await
    };
    operator.control.run_tx(&operation(&origin, "operators.begin_bulk_job"), begin).await
}

/// As for the action itself: who may not delete may not go on deleting either.
async fn require_action(tx: &Client, caller: &LiveCaller, id: Uuid) -> Result<(), Problem> {
    let power = match flow::get(tx, id).await?.action {
        Action::Invite | Action::Delete => Power::Everything,
        _ => Power::Help,
    };
    Ok(require(tx, caller, power).await?)
}

async fn retry(
    State(operator): State<OperatorAdmin>,
    Operating(caller, ..): Operating<Help>,
    Extension(origin): Extension<Origin>,
    once: Once,
    Segment(id): Segment<Uuid>,
) -> Result<Json<BulkJob>, Problem> {
    let aal = operator.bulk_aal;
    let retry = async move |tx: &Transaction<'_>| {
        require_action(tx, &caller, id).await?;
        require_assurance(tx, &caller, aal).await?;
        once.keep(tx, Json(flow::retry(tx, id).await?)).await
    };
    operator.control.run_tx(&operation(&origin, "operators.retry_bulk_job"), retry).await
}

async fn cancel(
    State(operator): State<OperatorAdmin>,
    Operating(caller, ..): Operating<Help>,
    Extension(origin): Extension<Origin>,
    once: Once,
    Segment(id): Segment<Uuid>,
) -> Result<Json<BulkJob>, Problem> {
    let cancel = async move |tx: &Transaction<'_>| {
        require_action(tx, &caller, id).await?;
        once.keep(tx, Json(flow::cancel(tx, id).await?)).await
    };
    operator.control.run_tx(&operation(&origin, "operators.cancel_bulk_job"), cancel).await
}
