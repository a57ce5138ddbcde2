//! Roles of an organization: the built-in ones, and its own.

use axum::Json;
use axum::extract::{Extension, State};
use rowhouse_db::Transaction;
use rowhouse_http::LiveCaller;
use rowhouse_http::api::routing::get_with;
use rowhouse_http::api::{
    Body, Created, ETag, IfMatch, NoContent, Once, Problem, Routes, Segment, Segments, Tagged, operation,
};
use rowhouse_kernel::{OrganizationId, Origin};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_postgres::Client;
use uuid::Uuid;

use super::TenancyAdmin;
use super::may::{May, ModifyRoles};
use crate::flow::{organization, role as flow};
use crate::permission::Permission;
use crate::store::role::{self as store, Role};

/// The paths of roles below `/admin/v1/organizations`.
pub(super) fn routes(routes: Routes<TenancyAdmin>) -> Routes<TenancyAdmin> {
    let listed = operation("listRoles", "List the roles of members; needs permissions:view", &[400, 404]);
    let created = operation(
        "createRole",
        "Make a role; needs permissions:modify, and every permission of the role",
        &[400, 404, 409, 422],
    );
    let shown = operation("getRole", "A role; needs permissions:view", &[400, 404]);
    let changed = operation(
        "changeRole",
        "Change what a role may do, at once for all who have it; needs permissions:modify, and every permission of the role before and after",
        &[400, 404, 409, 412, 422, 428],
    );
    let deleted = operation(
        "deleteRole",
        "Delete a role that no member has; needs permissions:modify",
        &[400, 404, 409],
    );
    routes.at("/{organization}/roles", get_with(list, listed).post_with(create, created)).at(
        "/{organization}/roles/{role}",
        get_with(show, shown).patch_with(change, changed).delete_with(delete, deleted),
    )
}

/// The roles of an organization.
#[derive(Serialize, JsonSchema)]
struct Roles {
    /// The built-in ones first.
    items: Vec<Role>,
}

async fn list(
    State(tenancy): State<TenancyAdmin>,
    caller: LiveCaller,
    Extension(origin): Extension<Origin>,
    Segment(id): Segment<Uuid>,
) -> Result<Json<Roles>, Problem> {
    let id = OrganizationId(id);
    let list = async move |client: &Client| {
        organization::get(client, &caller, id, Permission::PermissionsView).await?;
        Ok::<_, Problem>(store::list(client, id).await?)
    };
    let items = tenancy.control.statement(&origin.operation("tenancy.list_roles"), list).await?;
    Ok(Json(Roles { items }))
}

async fn show(
    State(tenancy): State<TenancyAdmin>,
    caller: LiveCaller,
    Extension(origin): Extension<Origin>,
    Segments(id, name): Segments<Uuid, String>,
) -> Result<Tagged<Role>, Problem> {
    let id = OrganizationId(id);
    let find = async move |client: &Client| {
        organization::get(client, &caller, id, Permission::PermissionsView).await?;
        Ok::<_, Problem>(flow::get(client, id, &name).await?)
    };
    Ok(tagged(tenancy.control.statement(&origin.operation("tenancy.find_role"), find).await?))
}

fn tagged(role: Role) -> Tagged<Role> {
    let version = ETag::new(&role.version);
    Tagged(role, version)
}

/// Body of a new role.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewRole {
    /// 1 to 32 of a-z, 0-9, `_` and `-`, a letter first.
    name: String,
    #[serde(default)]
    #[schemars(length(max = 500))]
    description: String,
    #[schemars(length(max = 17))]
    permissions: Vec<Permission>,
}

async fn create(
    State(tenancy): State<TenancyAdmin>,
    May(caller, ..): May<ModifyRoles>,
    Extension(origin): Extension<Origin>,
    once: Once,
    Segment(id): Segment<Uuid>,
    Body(body): Body<NewRole>,
) -> Result<Created<Role>, Problem> {
    let id = OrganizationId(id);
    let create = async move |tx: &Transaction<'_>| {
        organization::lock(tx, &caller, id, Permission::PermissionsModify).await?;
        let (description, permissions) = (&body.description, &body.permissions);
        let made = flow::create(tx, &caller, id, &body.name, description, permissions).await?;
        once.keep(tx, Created(made)).await
    };
    tenancy.control.run_tx(&origin.operation("tenancy.create_role"), create).await
}

/// Body of a change of a role: what is left out stays.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RoleChange {
    #[schemars(length(max = 500))]
    description: Option<String>,
    #[schemars(length(max = 17))]
    permissions: Option<Vec<Permission>>,
}

async fn change(
    State(tenancy): State<TenancyAdmin>,
    May(caller, ..): May<ModifyRoles>,
    Extension(origin): Extension<Origin>,
    once: Once,
    seen: IfMatch,
    Segments(id, name): Segments<Uuid, String>,
    Body(body): Body<RoleChange>,
) -> Result<Tagged<Role>, Problem> {
    let id = OrganizationId(id);
    let change = async move |tx: &Transaction<'_>| {
        organization::lock(tx, &caller, id, Permission::PermissionsModify).await?;
        let before = flow::get(tx, id, &name).await?;
        seen.require(&ETag::new(&before.version))?;
        let (description, permissions) = (body.description.as_deref(), body.permissions.as_deref());
        let after = flow::change(tx, &caller, id, &before, description, permissions).await?;
        once.keep(tx, tagged(after)).await
    };
    tenancy.control.run_tx(&origin.operation("tenancy.change_role"), change).await
}

async fn delete(
    State(tenancy): State<TenancyAdmin>,
    caller: LiveCaller,
    Extension(origin): Extension<Origin>,
    Segments(id, name): Segments<Uuid, String>,
) -> Result<NoContent, Problem> {
    let id = OrganizationId(id);
    let delete = async move |tx: &Transaction<'_>| {
        organization::lock(tx, &caller, id, Permission::PermissionsModify).await?;
        flow::delete(tx, &caller, id, &name).await?;
        Ok::<_, Problem>(NoContent)
    };
    tenancy.control.run_tx(&origin.operation("tenancy.delete_role"), delete).await
}
