//! `/admin/v1/tenants/{tenant}/branding`, and what of it a page shows before sign-in: `/admin/v1/branding/{tenant}`.

use axum::Json;
use axum::extract::{Extension, State};
use rowhouse_db::Transaction;
use rowhouse_http::LiveCaller;
use rowhouse_http::api::routing::get_with;
use rowhouse_http::api::{Body, ETag, IfMatch, Problem, Routes, Segment, Tagged, operation};
use rowhouse_kernel::{Origin, TenantId};
use tokio_postgres::Client;
use uuid::Uuid;

use super::TenancyAdmin;
use crate::flow::branding::{self as flow, Branding};
use crate::flow::tenant;
use crate::permission::Permission;
use crate::store::tenant::Tenant;

/// The paths below `/admin/v1/tenants`.
pub(crate) fn in_tenant() -> Routes<TenancyAdmin> {
    let shown = operation("getBranding", "How a tenant looks; needs tenant:view", &[400, 404]);
    let put = operation(
        "putBranding",
        "Say how a tenant looks; needs tenant:update and the version that was seen",
        &[400, 404, 412, 422, 428],
    );
    Routes::default().at("/{tenant}/branding", get_with(show, shown).put_with(replace, put))
}

/// The path below `/admin/v1/branding`.
pub(crate) fn public() -> Routes<TenancyAdmin> {
    let shown = operation(
        "getPublicBranding",
        "How a tenant looks, for everybody; nothing if it is closed or does not exist",
        &[400],
    );
    Routes::default().at("/{tenant}", get_with(show_public, shown))
}

fn tagged(tenant: &Tenant) -> Tagged<Branding> {
    Tagged(Branding::of(tenant), ETag::new(&tenant.version))
}

async fn show(
    State(tenancy): State<TenancyAdmin>,
    caller: LiveCaller,
    Extension(origin): Extension<Origin>,
    Segment(id): Segment<Uuid>,
) -> Result<Tagged<Branding>, Problem> {
    let find = async move |client: &Client| {
        let tenant = tenant::get(client, &caller, TenantId(id), Permission::TenantView).await?;
        Ok::<_, Problem>(tagged(&tenant))
    };
    tenancy.control.statement(&origin.operation("tenancy.find_branding"), find).await
}

async fn replace(
    State(tenancy): State<TenancyAdmin>,
    caller: LiveCaller,
    Extension(origin): Extension<Origin>,
    seen: IfMatch,
    Segment(id): Segment<Uuid>,
    Body(body): Body<Branding>,
) -> Result<Tagged<Branding>, Problem> {
    let put = async move |tx: &Transaction<'_>| {
        let before = tenant::lock(tx, &caller, TenantId(id), Permission::TenantUpdate).await?;
        seen.require(&ETag::new(&before.version))?;
        Ok::<_, Problem>(tagged(&flow::put(tx, &before, &body).await?))
    };
    tenancy.control.run_tx(&origin.operation("tenancy.put_branding"), put).await
}

async fn show_public(
    State(tenancy): State<TenancyAdmin>,
    Extension(origin): Extension<Origin>,
    Segment(id): Segment<Uuid>,
) -> Result<Json<Branding>, Problem> {
    let find = async move |client: &Client| Ok::<_, Problem>(flow::find_public(client, TenantId(id)).await?);
    Ok(Json(tenancy.control.statement(&origin.operation("tenancy.find_public_branding"), find).await?))
}
