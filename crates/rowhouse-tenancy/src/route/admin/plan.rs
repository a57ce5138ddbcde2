//! `/admin/v1/plans`: what tenants can book.

use axum::Json;
use axum::extract::{Extension, State};
use rowhouse_db::Transaction;
use rowhouse_http::LiveCaller;
use rowhouse_http::api::routing::{get_with, put_with};
use rowhouse_http::api::{Body, ETag, IfMatch, NoContent, Problem, Routes, Segment, Tagged, operation};
use rowhouse_kernel::Origin;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_postgres::Client;

use super::TenancyAdmin;
use crate::flow::plan as flow;
use crate::store::plan::{self as store, Plan, PlanContent};
use crate::store::quota::Quota;

/// The paths below `/admin/v1/plans`.
pub(crate) fn plans() -> Routes<TenancyAdmin> {
    let put = operation(
        "putPlan",
        "Make or replace a plan, whose quotas count at once; for operators with super_admin and the service key",
        &[400, 412, 422],
    );
    let removed = operation(
        "removePlan",
        "Remove a plan that no tenant has; for operators with super_admin and the service key",
        &[400, 404, 409],
    );
    Routes::default()
        .at("/", get_with(list, operation("listPlans", "All plans with their quotas", &[])))
        .at("/{plan}", put_with(replace, put).delete_with(remove, removed))
}

/// All plans, by name.
#[derive(Serialize, JsonSchema)]
struct Plans {
    items: Vec<Plan>,
}

async fn list(
    State(tenancy): State<TenancyAdmin>,
    _: LiveCaller,
    Extension(origin): Extension<Origin>,
) -> Result<Json<Plans>, Problem> {
    let list = async |client: &Client| store::list(client, None).await;
    let items = tenancy.control.statement(&origin.operation("tenancy.list_plans"), list).await?;
    Ok(Json(Plans { items }))
}

/// Body of a plan.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PlanBody {
    #[schemars(length(min = 1, max = 200))]
    title: String,
    /// Length of a trial, 1 to 365; none if it is not given.
    trial_days: Option<i32>,
    /// At most 50, each metric once.
    #[serde(default)]
    quotas: Vec<Quota>,
}

async fn replace(
    State(tenancy): State<TenancyAdmin>,
    caller: LiveCaller,
    Extension(origin): Extension<Origin>,
    seen: IfMatch,
    Segment(name): Segment,
    Body(body): Body<PlanBody>,
) -> Result<Tagged<Plan>, Problem> {
    let put = async move |tx: &Transaction<'_>| {
        flow::require_plans(tx, &caller).await?;
        if let Some(before) = store::find(tx, &name).await? {
            seen.allow(&ETag::new(&before.version))?;
        }
        let content = PlanContent { title: &body.title, trial_days: body.trial_days, quotas: &body.quotas };
        let plan = flow::put(tx, &caller, &name, &content).await?;
        let version = ETag::new(&plan.version);
        Ok::<_, Problem>(Tagged(plan, version))
    };
    tenancy.control.run_tx(&origin.operation("tenancy.put_plan"), put).await
}

async fn remove(
    State(tenancy): State<TenancyAdmin>,
    caller: LiveCaller,
    Extension(origin): Extension<Origin>,
    Segment(name): Segment,
) -> Result<NoContent, Problem> {
    let remove = async move |tx: &Transaction<'_>| {
        flow::remove(tx, &caller, &name).await?;
        Ok::<_, Problem>(NoContent)
    };
    tenancy.control.run_tx(&origin.operation("tenancy.remove_plan"), remove).await
}
