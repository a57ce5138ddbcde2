//! `/admin/v1/organizations`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use rowhouse_db::Transaction;
use rowhouse_http::LiveCaller;
use rowhouse_http::api::routing::{get_with, post_with};
use rowhouse_http::api::{
    Body, Created, ETag, IfMatch, NoContent, Once, Page, Params, Problem, Routes, Segment, Tagged, operation,
};
use rowhouse_kernel::{OrganizationId, Origin};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio_postgres::Client;
use uuid::Uuid;

use super::TenancyAdmin;
use super::list::ListQuery;
use super::may::{May, Update};
use super::place::{Organizations, tagged_organization};
use super::{member, role, step, tenant};
use crate::flow::narrowed_to;
use crate::flow::organization::{self as flow, NewOrganization};
use crate::permission::Permission;
use crate::store::organization::{self as store, Organization};
use crate::store::search::Search;
use crate::store::status::Step;

/// The paths below `/admin/v1/organizations`.
pub(crate) fn organizations() -> Routes<TenancyAdmin> {
    let listed = operation(
        "listOrganizations",
        "List the caller's organizations; operators and the service key list all",
        &[400],
    );
    let created = operation(
        "createOrganization",
        "Make an organization, whose owner the caller is",
        &[400, 404, 409, 422],
    );
    let changed = operation(
        "changeOrganization",
        "Change name or slug; needs organization:update and the version that was seen",
        &[400, 404, 409, 412, 422, 428],
    );
    let deleted = operation(
        "deleteOrganization",
        "Delete it, so that it can be restored for a while; needs organization:delete",
        &[400, 404, 409],
    );
    let routes = Routes::default().at("/", get_with(list, listed).post_with(create, created)).at(
        "/{organization}",
        get_with(show, operation("getOrganization", "An organization; needs organization:view", &[400, 404]))
            .patch_with(change, changed)
            .delete_with(delete, deleted),
    );
    tenant::in_organization(role::routes(member::in_organization(steps(routes))))
}

fn steps(routes: Routes<TenancyAdmin>) -> Routes<TenancyAdmin> {
    let problems = &[400, 404, 409, 422];
    let suspended =
        operation("suspendOrganization", "Close it to its members at once; for operators", problems);
    let reactivated = operation("reactivateOrganization", "Open it again; for operators", problems);
    let cancelled = operation("cancelOrganization", "End its use; needs organization:billing", problems);
    let restored = operation("restoreOrganization", "Take a deletion back; for operators", problems);
    routes
        .at("/{organization}/suspend", post_with(step::suspend::<Organizations>, suspended))
        .at("/{organization}/reactivate", post_with(step::reactivate::<Organizations>, reactivated))
        .at("/{organization}/cancel", post_with(step::cancel::<Organizations>, cancelled))
        .at("/{organization}/restore", post_with(step::restore::<Organizations>, restored))
}

async fn list(
    State(tenancy): State<TenancyAdmin>,
    caller: LiveCaller,
    Extension(origin): Extension<Origin>,
    Params(query): Params<ListQuery>,
) -> Result<Json<Page<Organization>>, Problem> {
    let search = Search::try_from(query)?;
    let limit = search.limit;
    let list = async move |client: &Client| {
        let member = narrowed_to(client, &caller, Permission::OrganizationView).await?;
        Ok::<_, Problem>(store::list(client, member, &search).await?)
    };
    let found = tenancy.control.statement(&origin.operation("tenancy.list_organizations"), list).await?;
    Ok(Json(Page::new(found, limit, |organization| organization.id)))
}

/// Body of a new organization.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewOrganizationBody {
    #[schemars(length(min = 1, max = 200))]
    name: String,
    /// Follows from the name if it is not given.
    slug: Option<String>,
    /// The first owner, if that is not the caller; for operators and the service key.
    owner: Option<Uuid>,
}

async fn create(
    State(tenancy): State<TenancyAdmin>,
    caller: LiveCaller,
    Extension(origin): Extension<Origin>,
    once: Once,
    Body(body): Body<NewOrganizationBody>,
) -> Result<Created<Organization>, Problem> {
    let settings = Arc::clone(&tenancy.settings);
    let create = async move |tx: &Transaction<'_>| {
        let new = NewOrganization { name: &body.name, slug: body.slug.as_deref(), owner: body.owner };
        let made = flow::create(tx, &caller, &new, &settings).await?;
        once.keep(tx, Created(made)).await
    };
    tenancy.control.run_tx(&origin.operation("tenancy.create_organization"), create).await
}

async fn show(
    State(tenancy): State<TenancyAdmin>,
    caller: LiveCaller,
    Extension(origin): Extension<Origin>,
    Segment(id): Segment<Uuid>,
) -> Result<Tagged<Organization>, Problem> {
    let find = async move |client: &Client| {
        let permission = Permission::OrganizationView;
        Ok::<_, Problem>(flow::get(client, &caller, OrganizationId(id), permission).await?)
    };
    let found = tenancy.control.statement(&origin.operation("tenancy.find_organization"), find).await?;
    Ok(tagged_organization(found))
}

/// Body of a change of an organization: what is left out stays.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct OrganizationChange {
    #[schemars(length(min = 1, max = 200))]
    name: Option<String>,
    slug: Option<String>,
}

async fn change(
    State(tenancy): State<TenancyAdmin>,
    May(caller, ..): May<Update<Organizations>>,
    Extension(origin): Extension<Origin>,
    once: Once,
    seen: IfMatch,
    Segment(id): Segment<Uuid>,
    Body(body): Body<OrganizationChange>,
) -> Result<Tagged<Organization>, Problem> {
    let change = async move |tx: &Transaction<'_>| {
        let permission = Permission::OrganizationUpdate;
        let before = flow::lock(tx, &caller, OrganizationId(id), permission).await?;
        seen.require(&ETag::new(&before.version))?;
        let after = flow::change(tx, &before, body.name.as_deref(), body.slug.as_deref()).await?;
        once.keep(tx, tagged_organization(after)).await
    };
    tenancy.control.run_tx(&origin.operation("tenancy.change_organization"), change).await
}

async fn delete(
    State(tenancy): State<TenancyAdmin>,
    caller: LiveCaller,
    Extension(origin): Extension<Origin>,
    Segment(id): Segment<Uuid>,
) -> Result<NoContent, Problem> {
    let delete = async move |tx: &Transaction<'_>| {
        flow::step(tx, &caller, OrganizationId(id), Step::Delete, None).await?;
        Ok::<_, Problem>(NoContent)
    };
    tenancy.control.run_tx(&origin.operation("tenancy.delete_organization"), delete).await
}
