//! `/admin/v1/users`.

use axum::Json;
use axum::extract::{Extension, State};
use rowhouse_db::Transaction;
use rowhouse_http::api::routing::{get_with, post_with};
use rowhouse_http::api::{
    Body, Cursor, Once, Page, Params, Problem, Routes, Segment, limit, operation as described,
};
use rowhouse_kernel::Origin;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio_postgres::Client;
use uuid::Uuid;

use super::{MOST_LISTED, OperatorAdmin};
use crate::flow::account::{self, Change};
use crate::flow::operation;
use crate::power::{Help, Operating};
use crate::store::search::{Filter, UserStatus};
use crate::store::user::{self as store, User, UserDetails};

/// The paths below `/admin/v1/users`.
pub(crate) fn routes() -> Routes<OperatorAdmin> {
    let listed = described("searchUsers", "Search users; for operators and the service key", &[400]);
    let shown = described(
        "getUser",
        "A user with what belongs to them; for operators and the service key",
        &[400, 404],
    );
    let suspended = described(
        "suspendUser",
        "Close an account: every session ends, and sign-ins are refused; for super_admins, support and the service key",
        &[400, 404, 409, 422],
    );
    let reactivated = described(
        "reactivateUser",
        "Open an account again; for super_admins, support and the service key",
        &[400, 404, 409, 422],
    );
    Routes::default()
        .at("/", get_with(list, listed))
        .at("/{user}", get_with(show, shown))
        .at("/{user}/suspend", post_with(suspend, suspended))
        .at("/{user}/reactivate", post_with(reactivate, reactivated))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SearchQuery {
    /// The beginning of an address or a number, beginnings of words of the name, or an id.
    q: Option<String>,
    status: Option<UserStatus>,
    /// Members of this tenant.
    tenant: Option<Uuid>,
    /// Members of this organization.
    organization: Option<Uuid>,
    /// Where the page begins: `next` of the one before.
    cursor: Option<Cursor>,
    /// 1 to 1000; 50 if not given.
    limit: Option<u32>,
}

async fn list(
    State(operator): State<OperatorAdmin>,
    _: Operating<Help>,
    Extension(origin): Extension<Origin>,
    Params(query): Params<SearchQuery>,
) -> Result<Json<Page<User>>, Problem> {
    let limit = limit(query.limit, MOST_LISTED)?;
    let after = query.cursor.map(|cursor| cursor.position::<Uuid>()).transpose()?;
    let SearchQuery { q, status, tenant, organization, .. } = query;
    let filter = Filter { q, status, tenant, organization };
    if let Some(why) = filter.mistake() {
        return Err(Problem::malformed(why));
    }
    let search = async move |client: &Client| store::search(client, &filter, after, limit).await;
    let found = operator.control.statement(&origin.operation("operators.search_users"), search).await?;
    Ok(Json(Page::new(found, limit, |user| user.id)))
}

async fn show(
    State(operator): State<OperatorAdmin>,
    _: Operating<Help>,
    Extension(origin): Extension<Origin>,
    Segment(id): Segment<Uuid>,
) -> Result<Json<UserDetails>, Problem> {
    let find = async move |client: &Client| store::find_details(client, id).await;
    let found = operator.control.statement(&origin.operation("operators.find_user"), find).await?;
    found.map(Json).ok_or_else(|| Problem::not_found("there is no such user"))
}

/// Body of a suspension.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SuspendBody {
    /// Why, for operators: 1 to 500 characters.
    #[schemars(length(min = 1, max = 500))]
    reason: String,
}

async fn suspend(
    State(operator): State<OperatorAdmin>,
    Operating(caller, ..): Operating<Help>,
    Extension(origin): Extension<Origin>,
    once: Once,
    Segment(id): Segment<Uuid>,
    Body(body): Body<SuspendBody>,
) -> Result<Json<User>, Problem> {
    let wanted = Change::read(true, Some(&body.reason))?;
    let actor = origin.actor.to_string();
    let suspend = async move |tx: &Transaction<'_>| {
        let user = account::change_by(tx, &caller, id, &wanted, &actor).await?;
        once.keep(tx, Json(user)).await
    };
    operator.control.run_tx(&operation(&origin, "operators.suspend_user"), suspend).await
}

/// Body of a reactivation.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ReactivateBody {
    /// Why, for operators.
    #[schemars(length(min = 1, max = 500))]
    reason: Option<String>,
}

async fn reactivate(
    State(operator): State<OperatorAdmin>,
    Operating(caller, ..): Operating<Help>,
    Extension(origin): Extension<Origin>,
    once: Once,
    Segment(id): Segment<Uuid>,
    Body(body): Body<ReactivateBody>,
) -> Result<Json<User>, Problem> {
    let wanted = Change::read(false, body.reason.as_deref())?;
    let actor = origin.actor.to_string();
    let reactivate = async move |tx: &Transaction<'_>| {
        let user = account::change_by(tx, &caller, id, &wanted, &actor).await?;
        once.keep(tx, Json(user)).await
    };
    operator.control.run_tx(&operation(&origin, "operators.reactivate_user"), reactivate).await
}
