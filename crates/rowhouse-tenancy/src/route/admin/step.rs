//! Steps in the life of organizations and tenants: their routes differ in what they are called.

use axum::extract::{Extension, State};
use rowhouse_db::Transaction;
use rowhouse_http::LiveCaller;
use rowhouse_http::api::{Body, Once, Problem, Segment, Tagged};
use rowhouse_kernel::Origin;
use schemars::JsonSchema;
use serde::Deserialize;
use uuid::Uuid;

use super::TenancyAdmin;
use super::may::{Cancel, May, Reactivate, Restore, Suspend, Take};
use super::place::Place;
use crate::store::status::Step;

/// Body of a suspension.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Suspension {
    /// For operators, at most 500 characters.
    #[schemars(length(max = 500))]
    reason: String,
}

pub(super) async fn suspend<P: Place>(
    State(tenancy): State<TenancyAdmin>,
    May(caller, ..): May<Take<P, Suspend>>,
    Extension(origin): Extension<Origin>,
    once: Once,
    Segment(id): Segment<Uuid>,
    Body(Suspension { reason }): Body<Suspension>,
) -> Result<Tagged<P::Shown>, Problem> {
    take::<P>(tenancy, caller, origin, once, (id, Step::Suspend, Some(reason))).await
}

pub(super) async fn reactivate<P: Place>(
    State(tenancy): State<TenancyAdmin>,
    May(caller, ..): May<Take<P, Reactivate>>,
    Extension(origin): Extension<Origin>,
    once: Once,
    Segment(id): Segment<Uuid>,
) -> Result<Tagged<P::Shown>, Problem> {
    take::<P>(tenancy, caller, origin, once, (id, Step::Reactivate, None)).await
}

pub(super) async fn cancel<P: Place>(
    State(tenancy): State<TenancyAdmin>,
    May(caller, ..): May<Take<P, Cancel>>,
    Extension(origin): Extension<Origin>,
    once: Once,
    Segment(id): Segment<Uuid>,
) -> Result<Tagged<P::Shown>, Problem> {
    take::<P>(tenancy, caller, origin, once, (id, Step::Cancel, None)).await
}

pub(super) async fn restore<P: Place>(
    State(tenancy): State<TenancyAdmin>,
    May(caller, ..): May<Take<P, Restore>>,
    Extension(origin): Extension<Origin>,
    once: Once,
    Segment(id): Segment<Uuid>,
) -> Result<Tagged<P::Shown>, Problem> {
    let step = Step::Restore(tenancy.settings.restore_window);
    take::<P>(tenancy, caller, origin, once, (id, step, None)).await
}

/// The step with what it captures owned: a future that holds references is not `Send` for every lifetime.
async fn take<P: Place>(
    tenancy: TenancyAdmin,
    caller: LiveCaller,
    origin: Origin,
    once: Once,
    (id, step, reason): (Uuid, Step, Option<String>),
) -> Result<Tagged<P::Shown>, Problem> {
    let take = async move |tx: &Transaction<'_>| {
        let after = P::step(tx, &caller, id, step, reason.as_deref()).await?;
        once.keep(tx, after).await
    };
    tenancy.control.run_tx(&origin.operation(P::STEP), take).await
}
