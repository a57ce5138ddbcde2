//! `/admin/v1/tenants/{tenant}/products`: which products a tenant uses, and for what.

use axum::Json;
use axum::extract::{Extension, State};
use rowhouse_db::Transaction;
use rowhouse_http::LiveCaller;
use rowhouse_http::api::routing::{get_with, put_with};
use rowhouse_http::api::{
    Cursor, NoContent, Page, Params, Problem, Routes, Segment, ThreeSegments, limit, operation,
};
use rowhouse_kernel::{Origin, TenantId};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio_postgres::Client;
use uuid::Uuid;

use super::{MOST_LISTED, TenancyAdmin};
use crate::flow::{tenant, tenant_product as flow};
use crate::permission::Permission;
use crate::store::tenant_product::{self as store, ProductEnvironment, TenantProduct};

/// The paths of products below `/admin/v1/tenants`.
pub(super) fn routes(routes: Routes<TenancyAdmin>) -> Routes<TenancyAdmin> {
    let listed =
        operation("listTenantProducts", "List what a tenant has enabled; needs tenant:view", &[400, 404]);
    let enabled = operation(
        "enableProduct",
        "Enable a product for an environment of a tenant; needs tenant:apps",
        &[400, 404, 409],
    );
    let disabled = operation(
        "disableProduct",
        "Disable it; with the last environment nobody is entitled to it any more; needs tenant:apps",
        &[400, 404],
    );
    routes.at("/{tenant}/products", get_with(list, listed)).at(
        "/{tenant}/products/{product}/{environment}",
        put_with(enable, enabled).delete_with(disable, disabled),
    )
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TenantProductsQuery {
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
    Params(query): Params<TenantProductsQuery>,
) -> Result<Json<Page<TenantProduct>>, Problem> {
    let (id, limit) = (TenantId(id), limit(query.limit, MOST_LISTED)?);
    let after = query.cursor.map(|cursor| cursor.position::<(String, String)>()).transpose()?;
    let list = async move |client: &Client| {
        tenant::get(client, &caller, id, Permission::TenantView).await?;
        Ok::<_, Problem>(store::list(client, id, after.as_ref(), limit).await?)
    };
    let found = tenancy.control.statement(&origin.operation("tenancy.list_tenant_products"), list).await?;
    Ok(Json(Page::new(found, limit, |enabled| (enabled.product.clone(), enabled.environment.clone()))))
}

async fn enable(
    State(tenancy): State<TenancyAdmin>,
    caller: LiveCaller,
    Extension(origin): Extension<Origin>,
    ThreeSegments(id, slug, environment): ThreeSegments<Uuid, String, ProductEnvironment>,
) -> Result<Json<TenantProduct>, Problem> {
    let enable = async move |tx: &Transaction<'_>| {
        let enabled = flow::enable(tx, &caller, TenantId(id), (&slug, environment)).await?;
        Ok::<_, Problem>(Json(enabled))
    };
    tenancy.control.run_tx(&origin.operation("tenancy.enable_product"), enable).await
}

async fn disable(
    State(tenancy): State<TenancyAdmin>,
    caller: LiveCaller,
    Extension(origin): Extension<Origin>,
    ThreeSegments(id, slug, environment): ThreeSegments<Uuid, String, ProductEnvironment>,
) -> Result<NoContent, Problem> {
    let disable = async move |tx: &Transaction<'_>| {
        flow::disable(tx, &caller, TenantId(id), (&slug, environment)).await?;
        Ok::<_, Problem>(NoContent)
    };
    tenancy.control.run_tx(&origin.operation("tenancy.disable_product"), disable).await
}
