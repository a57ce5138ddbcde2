//! `/admin/v1/tenants/{tenant}/entitlements`: who may use which product, in which role.

use axum::Json;
use axum::extract::{Extension, State};
use rowhouse_db::Transaction;
use rowhouse_http::LiveCaller;
use rowhouse_http::api::routing::{get_with, put_with};
use rowhouse_http::api::{
    Body, Cursor, NoContent, Page, Params, Problem, Routes, Segment, ThreeSegments, limit, operation,
};
use rowhouse_kernel::{Origin, TenantId};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio_postgres::Client;
use uuid::Uuid;

use super::instant::read_end;
use super::{MOST_LISTED, TenancyAdmin};
use crate::flow::entitlement::{self as flow, Holder, NewEntitlement};
use crate::flow::tenant;
use crate::permission::Permission;
use crate::store::entitlement::{self as store, Entitlement, Narrowed};
use crate::store::product::ProductRole;

/// The paths of entitlements below `/admin/v1/tenants`.
pub(super) fn routes(routes: Routes<TenancyAdmin>) -> Routes<TenancyAdmin> {
    let listed =
        operation("listEntitlements", "List a tenant's entitlements; needs permissions:view", &[400, 404]);
    let granted = operation(
        "grantEntitlement",
        "Give a member, or all, a role in an enabled product, or change it; needs tenant:apps, for ADMIN permissions:modify, and an owner for OWNER",
        &[400, 404, 409, 422],
    );
    let revoked =
        operation("revokeEntitlement", "Take it back at once; needs what giving it needs", &[400, 404]);
    routes
        .at("/{tenant}/entitlements", get_with(list, listed))
        .at("/{tenant}/entitlements/{product}/{user}", put_with(grant, granted).delete_with(revoke, revoked))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct EntitlementsQuery {
    /// A product's slug.
    product: Option<String>,
    /// This member's own.
    user_id: Option<Uuid>,
    /// Where the page begins: `next` of the one before.
    cursor: Option<Cursor>,
    /// 1 to 1000; 50 if not given.
    limit: Option<u32>,
}

async fn list(
    State(tenancy): State<TenancyAdmin>,
    caller: LiveCaller,
    Extension(origin): Extension<Origin>,
    Segment(id): Segment<Uuid>,
    Params(query): Params<EntitlementsQuery>,
) -> Result<Json<Page<Entitlement>>, Problem> {
    let (id, limit) = (TenantId(id), limit(query.limit, MOST_LISTED)?);
    let after = query.cursor.map(|cursor| cursor.position::<Uuid>()).transpose()?;
    let narrowed = Narrowed { product: query.product, user: query.user_id, after, limit };
    let list = async move |client: &Client| {
        tenant::get(client, &caller, id, Permission::PermissionsView).await?;
        Ok::<_, Problem>(store::list(client, id, &narrowed).await?)
    };
    let found = tenancy.control.statement(&origin.operation("tenancy.list_entitlements"), list).await?;
    Ok(Json(Page::new(found, limit, |entitlement| entitlement.id)))
}

/// Body of an entitlement.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct EntitlementBody {
    role: ProductRole,
    /// From when on it gives nothing; never, if it is not given.
    #[schemars(extend("format" = "date-time"))]
    expires_at: Option<String>,
}

async fn grant(
    State(tenancy): State<TenancyAdmin>,
    caller: LiveCaller,
    Extension(origin): Extension<Origin>,
    ThreeSegments(id, slug, holder): ThreeSegments<Uuid, String, Holder>,
    Body(body): Body<EntitlementBody>,
) -> Result<Json<Entitlement>, Problem> {
    let expires_at = body.expires_at.as_deref().map(read_end).transpose()?;
    let now = origin.clock.now();
    let grant = async move |tx: &Transaction<'_>| {
        let new = NewEntitlement { product: &slug, user: holder.user(), role: body.role, expires_at };
        Ok::<_, Problem>(Json(flow::grant(tx, &caller, TenantId(id), &new, now).await?))
    };
    tenancy.control.run_tx(&origin.operation("tenancy.grant_entitlement"), grant).await
}

async fn revoke(
    State(tenancy): State<TenancyAdmin>,
    caller: LiveCaller,
    Extension(origin): Extension<Origin>,
    ThreeSegments(id, slug, holder): ThreeSegments<Uuid, String, Holder>,
) -> Result<NoContent, Problem> {
    let revoke = async move |tx: &Transaction<'_>| {
        flow::revoke(tx, &caller, TenantId(id), (&slug, holder.user())).await?;
        Ok::<_, Problem>(NoContent)
    };
    tenancy.control.run_tx(&origin.operation("tenancy.revoke_entitlement"), revoke).await
}
