//! `/admin/v1/tenants/{tenant}/quotas` and `/usage`: what a tenant may use, and has used.

use axum::Json;
use axum::extract::{Extension, State};
use rowhouse_db::Transaction;
use rowhouse_http::LiveCaller;
use rowhouse_http::api::routing::get_with;
use rowhouse_http::api::{Body, Cursor, Page, Params, Problem, Routes, Segment, limit, operation};
use rowhouse_kernel::{Origin, TenantId};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use tokio_postgres::Client;
use uuid::Uuid;

use super::{MOST_LISTED, TenancyAdmin};
use crate::flow::quota::{self as flow, QuotaChange, Quotas};
use crate::flow::tenant;
use crate::permission::Permission;
use crate::store::quota::{self as store, Quota, Used};

/// The paths below `/admin/v1/tenants`.
pub(crate) fn in_tenant() -> Routes<TenancyAdmin> {
    let shown = operation(
        "getQuotas",
        "The plan of a tenant, its quotas and what is used of them; needs tenant:view",
        &[400, 404],
    );
    let changed = operation(
        "putQuotas",
        "Give a tenant a plan, or quotas of its own; for operators with super_admin and the service key",
        &[400, 404, 422],
    );
    let listed =
        operation("listUsage", "What was used, the newest period first; needs tenant:view", &[400, 404]);
    Routes::default()
        .at("/{tenant}/quotas", get_with(show, shown).put_with(change, changed))
        .at("/{tenant}/usage", get_with(list, listed))
}

async fn show(
    State(tenancy): State<TenancyAdmin>,
    caller: LiveCaller,
    Extension(origin): Extension<Origin>,
    Segment(id): Segment<Uuid>,
) -> Result<Json<Quotas>, Problem> {
    let find = async move |client: &Client| Ok::<_, Problem>(flow::get(client, &caller, TenantId(id)).await?);
    Ok(Json(tenancy.control.statement(&origin.operation("tenancy.find_quotas"), find).await?))
}

/// Body of a change of quotas: what is left out stays.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct QuotasBody {
    /// Name of its plan; null: none.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "Option<String>")]
    plan: Option<Option<String>>,
    /// Whether the trial of the plan begins now.
    #[serde(default)]
    start_trial: bool,
    /// Quotas of its own, in place of its plan's: at most 50, each metric once.
    quotas: Option<Vec<Quota>>,
}

/// Tells null from what is left out.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

async fn change(
    State(tenancy): State<TenancyAdmin>,
    caller: LiveCaller,
    Extension(origin): Extension<Origin>,
    Segment(id): Segment<Uuid>,
    Body(body): Body<QuotasBody>,
) -> Result<Json<Quotas>, Problem> {
    let change = async move |tx: &Transaction<'_>| {
        let change = QuotaChange {
            plan: body.plan.as_ref().map(Option::as_deref),
            starts_trial: body.start_trial,
            quotas: body.quotas.as_deref(),
        };
        Ok::<_, Problem>(flow::change(tx, &caller, TenantId(id), &change).await?)
    };
    Ok(Json(tenancy.control.run_tx(&origin.operation("tenancy.change_quotas"), change).await?))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct UsageQuery {
    /// Of this metric.
    metric: Option<String>,
    /// Where the page begins: `next` of the one before.
    cursor: Option<Cursor>,
    /// 1 to 1000; 50 if not given.
    limit: Option<u32>,
}

/// The first day as PostgreSQL writes it, metric and period.
type Position = (String, String);

async fn list(
    State(tenancy): State<TenancyAdmin>,
    caller: LiveCaller,
    Extension(origin): Extension<Origin>,
    Segment(id): Segment<Uuid>,
    Params(query): Params<UsageQuery>,
) -> Result<Json<Page<Used>>, Problem> {
    let limit = limit(query.limit, MOST_LISTED)?;
    let after = query.cursor.map(|cursor| cursor.position::<Position>()).transpose()?;
    let list = async move |client: &Client| {
        tenant::get(client, &caller, TenantId(id), Permission::TenantView).await?;
        let metric = query.metric.as_deref();
        Ok::<_, Problem>(store::list_past_usage(client, TenantId(id), metric, after.as_ref(), limit).await?)
    };
    let found = tenancy.control.statement(&origin.operation("tenancy.list_usage"), list).await?;
    let page = Page::new(found, limit, |(used, day)| {
        (day.clone(), format!("{}{}", used.metric, used.period.name()))
    });
    let Page { items, next } = page;
    Ok(Json(Page { items: items.into_iter().map(|(used, _)| used).collect(), next }))
}
