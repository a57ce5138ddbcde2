//! `/admin/v1/tenants`, and an organization's tenants.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use rowhouse_db::Transaction;
use rowhouse_http::LiveCaller;
use rowhouse_http::api::routing::{get_with, post_with};
use rowhouse_http::api::{
    Body, Created, ETag, IfMatch, NoContent, Once, Page, Params, Problem, Routes, Segment, Tagged, operation,
};
use rowhouse_kernel::{OrganizationId, Origin, TenantId};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio_postgres::Client;
use uuid::Uuid;

use super::list::ListQuery;
use super::may::{CreateTenant, May, Update};
use super::place::{Tenants, tagged_tenant};
use super::{TenancyAdmin, entitlement, member, step, tenant_product};
use crate::flow::branding::Branding;
use crate::flow::{narrowed_to, organization, tenant as flow};
use crate::permission::Permission;
use crate::store::search::Search;
use crate::store::status::Step;
use crate::store::tenant::{self as store, Listed, Tenant, TenantUpdate};

/// The paths below `/admin/v1/tenants`.
pub(crate) fn tenants() -> Routes<TenancyAdmin> {
    let listed =
        operation("listTenants", "List the caller's tenants; operators and the service key list all", &[400]);
    let changed = operation(
        "changeTenant",
        "Change name, slug or branding; needs tenant:update and the version that was seen",
        &[400, 404, 409, 412, 422, 428],
    );
    let deleted = operation(
        "deleteTenant",
        "Delete it, so that it can be restored for a while; needs organization:delete",
        &[400, 404, 409],
    );
    let routes = Routes::default().at("/", get_with(list, listed)).at(
        "/{tenant}",
        get_with(show, operation("getTenant", "A tenant; needs tenant:view", &[400, 404]))
            .patch_with(change, changed)
            .delete_with(delete, deleted),
    );
    entitlement::routes(tenant_product::routes(member::in_tenant(steps(routes))))
}

fn steps(routes: Routes<TenancyAdmin>) -> Routes<TenancyAdmin> {
    let problems = &[400, 404, 409, 422];
    let suspended = operation("suspendTenant", "Close it to its members at once; for operators", problems);
    let reactivated = operation("reactivateTenant", "Open it again; for operators", problems);
    let cancelled = operation("cancelTenant", "End its use; needs organization:billing", problems);
    let restored = operation(
        "restoreTenant",
        "Take a deletion back; needs organization:delete in its organization",
        problems,
    );
    routes
        .at("/{tenant}/suspend", post_with(step::suspend::<Tenants>, suspended))
        .at("/{tenant}/reactivate", post_with(step::reactivate::<Tenants>, reactivated))
        .at("/{tenant}/cancel", post_with(step::cancel::<Tenants>, cancelled))
        .at("/{tenant}/restore", post_with(step::restore::<Tenants>, restored))
}

/// The paths of tenants below `/admin/v1/organizations`.
pub(super) fn in_organization(routes: Routes<TenancyAdmin>) -> Routes<TenancyAdmin> {
    let listed = operation(
        "listTenantsOfOrganization",
        "List an organization's tenants; needs tenant:view in it, and with the role member shows the caller's own",
        &[400, 404],
    );
    let created = operation("createTenant", "Make a tenant; needs tenant:create", &[400, 404, 409, 422]);
    routes.at("/{organization}/tenants", get_with(list_in, listed).post_with(create, created))
}

async fn list(
    State(tenancy): State<TenancyAdmin>,
    caller: LiveCaller,
    Extension(origin): Extension<Origin>,
    Params(query): Params<ListQuery>,
) -> Result<Json<Page<Tenant>>, Problem> {
    let search = Search::try_from(query)?;
    let limit = search.limit;
    let list = async move |client: &Client| {
        let user = narrowed_to(client, &caller, Permission::TenantView).await?;
        Ok::<_, Problem>(store::list(client, user.map_or(Listed::All, Listed::Of), &search).await?)
    };
    let found = tenancy.control.statement(&origin.operation("tenancy.list_tenants"), list).await?;
    Ok(Json(Page::new(found, limit, |tenant| tenant.id)))
}

async fn list_in(
    State(tenancy): State<TenancyAdmin>,
    caller: LiveCaller,
    Extension(origin): Extension<Origin>,
    Segment(id): Segment<Uuid>,
    Params(query): Params<ListQuery>,
) -> Result<Json<Page<Tenant>>, Problem> {
    let (search, id) = (Search::try_from(query)?, OrganizationId(id));
    let limit = search.limit;
    let list = async move |client: &Client| {
        let listed = flow::seen_in(client, &caller, id).await?;
        organization::get(client, &caller, id, Permission::TenantView).await?;
        Ok::<_, Problem>(store::list(client, listed, &search).await?)
    };
    let found = tenancy.control.statement(&origin.operation("tenancy.list_tenants_of"), list).await?;
    Ok(Json(Page::new(found, limit, |tenant| tenant.id)))
}

/// Body of a new tenant.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewTenant {
    #[schemars(length(min = 1, max = 200))]
    name: String,
    /// Follows from the name if it is not given.
    slug: Option<String>,
}

async fn create(
    State(tenancy): State<TenancyAdmin>,
    May(caller, ..): May<CreateTenant>,
    Extension(origin): Extension<Origin>,
    once: Once,
    Segment(id): Segment<Uuid>,
    Body(body): Body<NewTenant>,
) -> Result<Created<Tenant>, Problem> {
    let settings = Arc::clone(&tenancy.settings);
    let create = async move |tx: &Transaction<'_>| {
        let id = OrganizationId(id);
        organization::lock(tx, &caller, id, Permission::TenantCreate).await?;
        let made = flow::create(tx, &caller, id, &body.name, body.slug.as_deref(), &settings).await?;
        once.keep(tx, Created(made)).await
    };
    tenancy.control.run_tx(&origin.operation("tenancy.create_tenant"), create).await
}

async fn show(
    State(tenancy): State<TenancyAdmin>,
    caller: LiveCaller,
    Extension(origin): Extension<Origin>,
    Segment(id): Segment<Uuid>,
) -> Result<Tagged<Tenant>, Problem> {
    let find = async move |client: &Client| {
        let permission = Permission::TenantView;
        Ok::<_, Problem>(flow::get(client, &caller, TenantId(id), permission).await?)
    };
    let found = tenancy.control.statement(&origin.operation("tenancy.find_tenant"), find).await?;
    Ok(tagged_tenant(found))
}

/// Body of a change of a tenant: what is left out stays.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TenantChange {
    #[schemars(length(min = 1, max = 200))]
    name: Option<String>,
    slug: Option<String>,
    branding: Option<Branding>,
}

async fn change(
    State(tenancy): State<TenancyAdmin>,
    May(caller, ..): May<Update<Tenants>>,
    Extension(origin): Extension<Origin>,
    once: Once,
    seen: IfMatch,
    Segment(id): Segment<Uuid>,
    Body(body): Body<TenantChange>,
) -> Result<Tagged<Tenant>, Problem> {
    let branding = body.branding.as_ref().map(Branding::checked).transpose()?;
    let change = async move |tx: &Transaction<'_>| {
        let permission = Permission::TenantUpdate;
        let before = flow::lock(tx, &caller, TenantId(id), permission).await?;
        seen.require(&ETag::new(&before.version))?;
        let (name, slug) = (body.name.as_deref(), body.slug.as_deref());
        let update = TenantUpdate { name, slug, branding: branding.as_ref() };
        let after = flow::change(tx, &before, update).await?;
        once.keep(tx, tagged_tenant(after)).await
    };
    tenancy.control.run_tx(&origin.operation("tenancy.change_tenant"), change).await
}

async fn delete(
    State(tenancy): State<TenancyAdmin>,
    caller: LiveCaller,
    Extension(origin): Extension<Origin>,
    Segment(id): Segment<Uuid>,
) -> Result<NoContent, Problem> {
    let delete = async move |tx: &Transaction<'_>| {
        flow::step(tx, &caller, TenantId(id), Step::Delete, None).await?;
        Ok::<_, Problem>(NoContent)
    };
    tenancy.control.run_tx(&origin.operation("tenancy.delete_tenant"), delete).await
}
