//! `/admin/v1/impersonations`.

use axum::Json;
use axum::extract::{Extension, State};
use http::StatusCode;
use rowhouse_crypto::OpaqueSecret;
use rowhouse_db::Transaction;
use rowhouse_http::api::routing::{get_with, post_with};
use rowhouse_http::api::{
    Body, Created, Cursor, Once, Page, Params, Problem, Routes, Segment, limit, operation as described,
};
use rowhouse_http::limit::{RateLimited, RateReport};
use rowhouse_http::{ClientAddress, Identity, LiveCaller};
use rowhouse_kernel::{Origin, new_id};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio_postgres::Client;
use uuid::Uuid;

use super::{ImpersonationAdmin, MOST_LISTED};
use crate::flow::impersonation::{self as flow, ActingError, Asked};
use crate::flow::operation;
use crate::power::{Impersonate, Inspect, Operating};
use crate::store::impersonation::{self as store, Impersonation, Wanted};

/// Minutes of one that names none.
const MINUTES: u32 = 30;
/// Longest code that is looked up, in bytes.
const MAX_CODE: usize = 100;

/// The paths below `/admin/v1/impersonations`.
pub(crate) fn routes() -> Routes<ImpersonationAdmin> {
    let listed =
        described("listImpersonations", "Who has acted as whom, the newest first; for operators", &[400]);
    let begun = described(
        "beginImpersonation",
        "Act as a user for some minutes: answers a code for a session; for super_admins and support",
        &[400, 404, 409, 422],
    );
    let shown = described("getImpersonation", "An impersonation; for operators", &[400, 404]);
    let ended = described(
        "endImpersonation",
        "End it and its session at once; its operator, super_admins and the service key",
        &[400, 404],
    );
    let redeemed = described(
        "redeemImpersonation",
        "Exchange a code for the session, once; needs no token",
        &[400, 404, 409, 429],
    );
    Routes::default()
        .at("/", get_with(list, listed).post_with(begin, begun))
        .at("/redeem", post_with(redeem, redeemed))
        .at("/{impersonation}", get_with(show, shown))
        .at("/{impersonation}/end", post_with(end, ended))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ImpersonationListQuery")]
struct ListQuery {
    /// Of this operator.
    operator: Option<Uuid>,
    /// As this user.
    user: Option<Uuid>,
    /// Those that have not ended, or those that have; all if not given.
    running: Option<bool>,
    /// Where the page begins: `next` of the one before.
    cursor: Option<Cursor>,
    /// 1 to 1000; 50 if not given.
    limit: Option<u32>,
}

async fn list(
    State(admin): State<ImpersonationAdmin>,
    _: Operating<Inspect>,
    Extension(origin): Extension<Origin>,
    Params(query): Params<ListQuery>,
) -> Result<Json<Page<Impersonation>>, Problem> {
    let limit = limit(query.limit, MOST_LISTED)?;
    let before = query.cursor.map(|cursor| cursor.position::<Uuid>()).transpose()?;
    let ListQuery { operator, user, running, .. } = query;
    let wanted = Wanted { operator, user, running, before, limit };
    let list = async move |client: &Client| store::list(client, &wanted).await;
    let found = admin.control.statement(&origin.operation("operators.list_impersonations"), list).await?;
    Ok(Json(Page::new(found, limit, |impersonation| impersonation.id)))
}

async fn show(
    State(admin): State<ImpersonationAdmin>,
    _: Operating<Inspect>,
    Extension(origin): Extension<Origin>,
    Segment(id): Segment<Uuid>,
) -> Result<Json<Impersonation>, Problem> {
    let find = async move |client: &Client| store::find(client, id).await;
    let found = admin.control.statement(&origin.operation("operators.show_impersonation"), find).await?;
    found.map(Json).ok_or_else(|| Problem::not_found("there is no such impersonation"))
}

/// Body of a new one.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewImpersonation")]
struct NewBody {
    /// As whom.
    user: Uuid,
    /// Why, for the audit log of the user's organizations: 1 to 500 characters.
    #[schemars(length(min = 1, max = 500))]
    reason: String,
    /// How long: 5 to 1440; 30 if not given. Not longer than the operator's own role.
    #[schemars(range(min = 5, max = 1440))]
    minutes: Option<u32>,
    /// In which tenant of the user's; the default one if not given.
    tenant: Option<Uuid>,
}

/// One that has begun.
#[derive(Serialize, JsonSchema)]
struct Begun {
    #[serde(flatten)]
    impersonation: Impersonation,
    /// For `POST /admin/v1/impersonations/redeem`; works once, and is shown here only.
    code: String,
    /// How long it works, in seconds.
    code_expires_in: u64,
}

async fn begin(
    State(admin): State<ImpersonationAdmin>,
    Operating(caller, ..): Operating<Impersonate>,
    Extension(origin): Extension<Origin>,
    Body(body): Body<NewBody>,
) -> Result<Created<Begun>, Problem> {
    let minutes = body.minutes.unwrap_or(MINUTES);
    let asked = Asked::read(body.user, body.tenant, &body.reason, minutes)?;
    let facts = (new_id(&*origin.clock, &*admin.rng), origin.clock.now(), admin.aal);
    let code = OpaqueSecret::generate(&*admin.rng);
    let begin = async move |tx: &Transaction<'_>| flow::begin(tx, &caller, &asked, facts, code.clone()).await;
    let begun = admin.control.run_tx(&operation(&origin, "operators.begin_impersonation"), begin).await?;
    Ok(Created(Begun {
        impersonation: begun.impersonation,
        code: begun.code.expose().to_owned(),
        code_expires_in: flow::CODE_LIFETIME.as_secs(),
    }))
}

/// Body of a redemption.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RedeemBody {
    #[schemars(length(min = 1, max = 100))]
    code: String,
}

/// A session, as a sign-in answers it; its tokens carry `act` and `impersonation_id`.
#[derive(Serialize, JsonSchema)]
#[serde(transparent)]
struct ImpersonationSession(serde_json::Map<String, Value>);

async fn redeem(
    State(admin): State<ImpersonationAdmin>,
    Extension(identity): Extension<Identity>,
    Extension(origin): Extension<Origin>,
    Extension(ClientAddress(address)): Extension<ClientAddress>,
    Extension(report): Extension<RateReport>,
    Body(body): Body<RedeemBody>,
) -> Result<Json<ImpersonationSession>, Problem> {
    identity.caller().map_err(|error| Problem::unauthorized(format!("the token is refused: {error}")))?;
    admin.tries.look(address, &report).await.map_err(limited)?;
    let redeemed = match body.code.len() <= MAX_CODE {
        true => flow::redeem(&admin.control, &admin.auth, &origin, &body.code).await,
        false => Err(ActingError::NoSuchCode),
    };
    if matches!(redeemed, Err(ActingError::NoSuchCode)) {
        admin.tries.check(address, &report).await.map_err(limited)?;
    }
    let session = redeemed?.as_object().cloned().ok_or_else(Problem::internal)?;
    Ok(Json(ImpersonationSession(session)))
}

fn limited(limit: RateLimited) -> Problem {
    let text = "too many unknown codes; try again later";
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "over_request_rate_limit", text).after(limit.retry_after)
}

async fn end(
    State(admin): State<ImpersonationAdmin>,
    caller: LiveCaller,
    Extension(origin): Extension<Origin>,
    once: Once,
    Segment(id): Segment<Uuid>,
) -> Result<Json<Impersonation>, Problem> {
    let end = async move |tx: &Transaction<'_>| {
        let ended = flow::end(tx, &caller, id).await?;
        once.keep(tx, Json(ended)).await
    };
    admin.control.run_tx(&operation(&origin, "operators.end_impersonation"), end).await
}
