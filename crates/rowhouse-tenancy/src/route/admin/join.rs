//! Joining an organization that has verified the domain of one's address.

use axum::Json;
use axum::extract::{Extension, State};
use rowhouse_db::Transaction;
use rowhouse_http::LiveCaller;
use rowhouse_http::api::routing::{get_with, post_with};
use rowhouse_http::api::{Body, Once, Problem, Routes, operation};
use rowhouse_kernel::{OrganizationId, Origin};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_postgres::Client;
use uuid::Uuid;

use super::TenancyAdmin;
use crate::flow::join as flow;
use crate::store::domain::Joinable;

/// The paths below `/admin/v1/organizations`.
pub(crate) fn routes() -> Routes<TenancyAdmin> {
    let listed = operation(
        "listJoinableOrganizations",
        "Organizations that have verified the domain of the caller's confirmed address and let people join",
        &[],
    );
    let joined = operation("joinOrganization", "Become a member of one of these", &[400, 409, 422]);
    Routes::default().at("/joinable", get_with(list, listed)).at("/join", post_with(join, joined))
}

/// What can be joined.
#[derive(Serialize, JsonSchema)]
struct AllJoinable {
    items: Vec<Joinable>,
}

async fn list(
    State(tenancy): State<TenancyAdmin>,
    caller: LiveCaller,
    Extension(origin): Extension<Origin>,
) -> Result<Json<AllJoinable>, Problem> {
    let list = async move |client: &Client| flow::list(client, &caller).await;
    let items = tenancy.control.statement(&origin.operation("tenancy.list_joinable"), list).await?;
    Ok(Json(AllJoinable { items }))
}

/// Body of a request to join.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct JoinBody {
    organization_id: Uuid,
}

async fn join(
    State(tenancy): State<TenancyAdmin>,
    caller: LiveCaller,
    Extension(origin): Extension<Origin>,
    once: Once,
    Body(body): Body<JoinBody>,
) -> Result<Json<Joinable>, Problem> {
    let join = async move |tx: &Transaction<'_>| {
        let joined = flow::join(tx, &caller, OrganizationId(body.organization_id)).await?;
        once.keep(tx, Json(joined)).await
    };
    tenancy.control.run_tx(&origin.operation("tenancy.join_organization"), join).await
}
