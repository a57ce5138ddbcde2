//! Members of an organization and of a tenant.

use axum::Json;
use axum::extract::{Extension, State};
use rowhouse_db::Transaction;
use rowhouse_http::LiveCaller;
use rowhouse_http::api::routing::{get_with, put_with};
use rowhouse_http::api::{
    Body, Created, Cursor, NoContent, Once, Page, Params, Problem, Routes, Segment, Segments, limit,
    operation,
};
use rowhouse_kernel::Origin;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio_postgres::Client;
use uuid::Uuid;

use super::may::{Add, May};
use super::place::{Organizations, Place, Tenants};
use super::{MOST_LISTED, TenancyAdmin};
use crate::flow::member::{self as flow, MemberUpdate};
use crate::permission::Permission;
use crate::store::member::{self as store, Member, MemberStatus};

/// The paths of members below `/admin/v1/tenants`.
pub(super) fn in_tenant(routes: Routes<TenancyAdmin>) -> Routes<TenancyAdmin> {
    let listed = operation("listMembers", "List a tenant's members; needs members:view", &[400, 404]);
    let added = operation(
        "addMember",
        "Add a member of the organization; needs tenant:members, and every permission of the role",
        &[400, 404, 409, 422],
    );
    let changed = operation(
        "setMemberRole",
        "Change a member's role or status; needs members:manage, every permission of both roles, and an owner where owners are concerned",
        &[400, 404, 409, 422],
    );
    let removed = operation(
        "removeMember",
        "Remove a member; needs members:manage, and an owner where owners are concerned",
        &[400, 404, 409],
    );
    routes.at("/{tenant}/members", get_with(list::<Tenants>, listed).post_with(add::<Tenants>, added)).at(
        "/{tenant}/members/{user}",
        put_with(change::<Tenants>, changed).delete_with(remove::<Tenants>, removed),
    )
}

/// The paths of members below `/admin/v1/organizations`.
pub(super) fn in_organization(routes: Routes<TenancyAdmin>) -> Routes<TenancyAdmin> {
    let listed = operation(
        "listMembersOfOrganization",
        "List an organization's members; needs members:view",
        &[400, 404],
    );
    let added = operation(
        "addMemberToOrganization",
        "Add a user without an invitation; for operators and the service key",
        &[400, 404, 409, 422],
    );
    let changed = operation(
        "setMemberRoleInOrganization",
        "Change a member's role or status, which counts in all tenants; needs members:manage, every permission of both roles, and an owner where owners are concerned",
        &[400, 404, 409, 422],
    );
    let removed = operation(
        "removeMemberFromOrganization",
        "Remove a member from the organization and its tenants; needs members:manage, and an owner where owners are concerned",
        &[400, 404, 409],
    );
    routes
        .at(
            "/{organization}/members",
            get_with(list::<Organizations>, listed).post_with(add::<Organizations>, added),
        )
        .at(
            "/{organization}/members/{user}",
            put_with(change::<Organizations>, changed).delete_with(remove::<Organizations>, removed),
        )
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct MembersQuery {
    /// Where the page begins: `next` of the one before.
    cursor: Option<Cursor>,
    /// 1 to 1000; 50 if not given.
    limit: Option<u32>,
}

async fn list<P: Place>(
    State(tenancy): State<TenancyAdmin>,
    caller: LiveCaller,
    Extension(origin): Extension<Origin>,
    Segment(id): Segment<Uuid>,
    Params(query): Params<MembersQuery>,
) -> Result<Json<Page<Member>>, Problem> {
    let limit = limit(query.limit, MOST_LISTED)?;
    let after = query.cursor.map(|cursor| cursor.position::<Uuid>()).transpose()?;
    let list = async move |client: &Client| {
        let group = flow::group(client, &caller, P::scope(id), Permission::MembersView).await?;
        Ok::<_, Problem>(store::list(client, group, after, limit).await?)
    };
    let members = tenancy.control.statement(&origin.operation("tenancy.list_members"), list).await?;
    Ok(Json(Page::new(members, limit, |member| member.user_id)))
}

/// Body of a new member.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewMember {
    user_id: Uuid,
    /// `owner`, `admin`, `manager`, `member`, or a role of the organization's own.
    role: String,
}

async fn add<P: Place>(
    State(tenancy): State<TenancyAdmin>,
    May(caller, ..): May<Add<P>>,
    Extension(origin): Extension<Origin>,
    once: Once,
    Segment(id): Segment<Uuid>,
    Body(body): Body<NewMember>,
) -> Result<Created<Member>, Problem> {
    let add = async move |tx: &Transaction<'_>| {
        let group = flow::lock_group_to_add(tx, &caller, P::scope(id)).await?;
        let member = flow::add(tx, &caller, group, body.user_id, &body.role).await?;
        once.keep(tx, Created(member)).await
    };
    tenancy.control.run_tx(&origin.operation("tenancy.add_member"), add).await
}

/// Body of a change of a member: what is left out stays.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct MemberChange {
    /// `owner`, `admin`, `manager`, `member`, or a role of the organization's own.
    role: Option<String>,
    status: Option<MemberStatus>,
}

async fn change<P: Place>(
    State(tenancy): State<TenancyAdmin>,
    caller: LiveCaller,
    Extension(origin): Extension<Origin>,
    Segments(id, user): Segments<Uuid, Uuid>,
    Body(body): Body<MemberChange>,
) -> Result<Json<Member>, Problem> {
    let change = async move |tx: &Transaction<'_>| {
        let group = flow::lock_group(tx, &caller, P::scope(id), Permission::MembersManage).await?;
        let update = MemberUpdate { role: body.role.as_deref(), status: body.status };
        Ok::<_, Problem>(Json(flow::change(tx, &caller, group, user, update).await?))
    };
    tenancy.control.run_tx(&origin.operation("tenancy.change_member"), change).await
}

async fn remove<P: Place>(
    State(tenancy): State<TenancyAdmin>,
    caller: LiveCaller,
    Extension(origin): Extension<Origin>,
    Segments(id, user): Segments<Uuid, Uuid>,
) -> Result<NoContent, Problem> {
    let remove = async move |tx: &Transaction<'_>| {
        let group = flow::lock_group(tx, &caller, P::scope(id), Permission::MembersManage).await?;
        flow::remove(tx, &caller, group, user).await?;
        Ok::<_, Problem>(NoContent)
    };
    tenancy.control.run_tx(&origin.operation("tenancy.remove_member"), remove).await
}
