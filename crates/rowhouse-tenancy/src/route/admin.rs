//! `/admin/v1/tenants`: a tenant and its members, for users with the permission that each route requires, and for the
//! service key.

mod may_update;

use axum::Json;
use axum::extract::{Extension, FromRef, State};
use rowhouse_audit::Entry;
use rowhouse_db::{Control, DbError, Transaction};
use rowhouse_http::LiveCaller;
use rowhouse_http::api::routing::{get_with, put_with};
use rowhouse_http::api::{
    Body, Cursor, ETag, IfMatch, NoContent, Once, Page, Params, Problem, Routes, Segment, Segments, Tagged,
    limit, operation,
};
use rowhouse_kernel::{Caller, Origin, TenantId};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio_postgres::Client;
use uuid::Uuid;

use crate::member::{self, Member, MemberError, Role};
use crate::permission::{Permission, PermissionError, Scope, require};
use crate::tenant::{self, Tenant};
use may_update::MayUpdate;

/// Longest page.
const MOST_LISTED: u32 = 1000;

/// State of the routes.
#[derive(Clone)]
pub(crate) struct TenancyAdmin {
    pub(crate) control: Control,
}

impl FromRef<TenancyAdmin> for Control {
    fn from_ref(tenancy: &TenancyAdmin) -> Self {
        tenancy.control.clone()
    }
}

impl From<PermissionError> for Problem {
    fn from(error: PermissionError) -> Self {
        match error {
            PermissionError::Denied(_) => Self::forbidden("forbidden", error.to_string()),
            PermissionError::Db(error) => error.into(),
        }
    }
}

impl From<MemberError> for Problem {
    fn from(error: MemberError) -> Self {
        match error {
            MemberError::NotAMember => Self::not_found(error.to_string()),
            MemberError::OwnersOnly => Self::forbidden("owners_only", error.to_string()),
            MemberError::LastOwner => Self::conflict(error.to_string()),
            MemberError::Db(error) => error.into(),
        }
    }
}

/// The paths below `/admin/v1/tenants`.
pub(crate) fn routes() -> Routes<TenancyAdmin> {
    let renamed = operation(
        "changeTenant",
        "Change a tenant's name; needs tenant:update and the version that was seen",
        &[400, 404, 412, 422, 428],
    );
    let members = operation("listMembers", "List a tenant's members; needs members:view", &[400, 404]);
    let set_role = operation(
        "setMemberRole",
        "Change a member's role; needs members:manage, and an owner where owners are concerned",
        &[400, 404, 409],
    );
    let removed = operation(
        "removeMember",
        "Remove a member; needs members:manage, and an owner where owners are concerned",
        &[400, 404, 409],
    );
    Routes::default()
        .at(
            "/{tenant}",
            get_with(show, operation("getTenant", "A tenant; needs tenant:view", &[400, 404]))
                .patch_with(rename, renamed),
        )
        .at("/{tenant}/members", get_with(list_members, members))
        .at(
            "/{tenant}/members/{user}",
            put_with(set_member_role, set_role).delete_with(remove_member, removed),
        )
}

async fn show(
    State(tenancy): State<TenancyAdmin>,
    caller: LiveCaller,
    Extension(origin): Extension<Origin>,
    Segment(id): Segment<Uuid>,
) -> Result<Tagged<Tenant>, Problem> {
    let id = TenantId(id);
    let find = async move |client: &Client| get_tenant(client, &caller, id, Permission::TenantView).await;
    let found = tenancy.control.statement(&origin.operation("tenancy.find_tenant"), find).await?;
    Ok(tagged(found))
}

/// The tenant, for a caller with the permission.
async fn get_tenant(
    client: &Client,
    caller: &Caller,
    id: TenantId,
    permission: Permission,
) -> Result<Tenant, Problem> {
    require(client, caller, Scope::Tenant(id), permission).await?;
    tenant::find(client, id).await?.ok_or_else(no_tenant)
}

/// The same, locked until the transaction ends.
async fn lock_tenant(
    tx: &Transaction<'_>,
    caller: &Caller,
    id: TenantId,
    permission: Permission,
) -> Result<Tenant, Problem> {
    require(tx, caller, Scope::Tenant(id), permission).await?;
    tenant::lock(tx, id).await?.ok_or_else(no_tenant)
}

fn tagged(tenant: Tenant) -> Tagged<Tenant> {
    let version = ETag::new(&tenant.version);
    Tagged(tenant, version)
}

/// Body of a change of a tenant.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TenantChange {
    #[schemars(length(min = 1, max = 200))]
    name: String,
}

async fn rename(
    State(tenancy): State<TenancyAdmin>,
    MayUpdate(caller): MayUpdate,
    Extension(origin): Extension<Origin>,
    once: Once,
    seen: IfMatch,
    Segment(id): Segment<Uuid>,
    Body(change): Body<TenantChange>,
) -> Result<Tagged<Tenant>, Problem> {
    let id = TenantId(id);
    if !(1..=200).contains(&change.name.chars().count()) {
        return Err(Problem::invalid("name: 1 to 200 characters"));
    }
    let rename = async move |tx: &Transaction<'_>| {
        let before = lock_tenant(tx, &caller, id, Permission::TenantUpdate).await?;
        seen.require(&ETag::new(&before.version))?;
        let after = tenant::rename(tx, id, &change.name).await?.ok_or_else(no_tenant)?;
        let details = json!({ "before": before.name, "after": after.name });
        audit(tx, id, "tenant_renamed", ("tenant", id.0), details).await?;
        once.keep(tx, tagged(after)).await
    };
    tenancy.control.run_tx(&origin.operation("tenancy.rename_tenant"), rename).await
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct MembersQuery {
    /// Where the page begins: `next` of the one before.
    cursor: Option<Cursor>,
    /// 1 to 1000; 50 if not given.
    limit: Option<u32>,
}

async fn list_members(
    State(tenancy): State<TenancyAdmin>,
    caller: LiveCaller,
    Extension(origin): Extension<Origin>,
    Segment(id): Segment<Uuid>,
    Params(query): Params<MembersQuery>,
) -> Result<Json<Page<Member>>, Problem> {
    let (id, limit) = (TenantId(id), limit(query.limit, MOST_LISTED)?);
    let after = query.cursor.map(|cursor| cursor.position::<Uuid>()).transpose()?;
    let list = async move |client: &Client| {
        get_tenant(client, &caller, id, Permission::MembersView).await?;
        Ok::<_, Problem>(member::list(client, id, after, limit).await?)
    };
    let members = tenancy.control.statement(&origin.operation("tenancy.list_members"), list).await?;
    Ok(Json(Page::new(members, limit, |member| member.user_id)))
}

/// Body of a change of a member.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct MemberChange {
    role: Role,
}

async fn set_member_role(
    State(tenancy): State<TenancyAdmin>,
    caller: LiveCaller,
    Extension(origin): Extension<Origin>,
    Segments(id, user): Segments<Uuid, Uuid>,
    Body(change): Body<MemberChange>,
) -> Result<Json<Member>, Problem> {
    let id = TenantId(id);
    let set = async move |tx: &Transaction<'_>| {
        lock_tenant(tx, &caller, id, Permission::MembersManage).await?;
        let member = member::set_role(tx, &caller, id, user, change.role).await?;
        audit(tx, id, "member_role_changed", ("user", user), json!({ "role": member.role })).await?;
        Ok::<_, Problem>(Json(member))
    };
    tenancy.control.run_tx(&origin.operation("tenancy.set_member_role"), set).await
}

async fn remove_member(
    State(tenancy): State<TenancyAdmin>,
    caller: LiveCaller,
    Extension(origin): Extension<Origin>,
    Segments(id, user): Segments<Uuid, Uuid>,
) -> Result<NoContent, Problem> {
    let id = TenantId(id);
    let remove = async move |tx: &Transaction<'_>| {
        lock_tenant(tx, &caller, id, Permission::MembersManage).await?;
        let member = member::remove(tx, &caller, id, user).await?;
        audit(tx, id, "member_removed", ("user", user), json!({ "role": member.role })).await
    };
    tenancy.control.run_tx(&origin.operation("tenancy.remove_member"), remove).await?;
    Ok(NoContent)
}

async fn audit(
    tx: &Transaction<'_>,
    tenant: TenantId,
    action: &str,
    (target_kind, target_id): (&str, Uuid),
    details: Value,
) -> Result<(), Problem> {
    let details: Map<String, Value> = details.as_object().cloned().unwrap_or_default();
    let target_id = &target_id.to_string();
    let entry = Entry { source: "tenancy", action, target_kind, target_id, tenant: Some(tenant), details };
    rowhouse_audit::write(tx, entry).await.map_err(|error: DbError| error.into()).map(|_| ())
}

fn no_tenant() -> Problem {
    Problem::not_found("there is no such tenant")
}
