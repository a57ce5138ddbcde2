//! Who may join an organization by its domain.

use axum::extract::{Extension, State};
use rowhouse_db::Transaction;
use rowhouse_http::api::{Body, ETag, IfMatch, Once, Problem, Segments, Tagged};
use rowhouse_kernel::Origin;
use schemars::JsonSchema;
use serde::Deserialize;
use uuid::Uuid;

use super::may::{May, Organizations, Place};
use super::{DomainAdmin, Shown, tagged};
use crate::claim::Status;
use crate::error::DomainError;
use crate::{flow, store};

/// Body of a change: what is left out stays.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Joining {
    /// Whether users with a confirmed address there may join.
    auto_join: Option<bool>,
    /// The role that they get; not `owner`.
    auto_join_role: Option<String>,
}

pub(super) async fn change(
    State(admin): State<DomainAdmin>,
    May(caller, ..): May<Organizations>,
    Extension(origin): Extension<Origin>,
    once: Once,
    seen: IfMatch,
    Segments(id, domain): Segments<Uuid, Uuid>,
    Body(body): Body<Joining>,
) -> Result<Tagged<Shown>, Problem> {
    let domains = admin.domains.clone();
    let change = async move |tx: &Transaction<'_>| {
        let owner = Organizations::owner(id);
        // Changes of one organization's domains come one after the other.
        let before = flow::get(tx, &caller, owner, domain, owner.update()).await?;
        store::lock(tx, owner).await?;
        let before =
            store::find(tx, owner, before.id).await?.filter(|claim| claim.status != Status::Released);
        let before = before.ok_or(DomainError::Missing("domain"))?;
        seen.require(&ETag::new(&before.version))?;
        let role = body.auto_join_role.as_deref();
        flow::set_joining(tx, &caller, &before, body.auto_join, role).await?;
        let after = store::find(tx, owner, domain).await?.ok_or(DomainError::Missing("domain"))?;
        once.keep(tx, tagged(domains.shown(after))).await
    };
    admin.control.run_tx(&origin.operation("domains.change"), change).await
}
