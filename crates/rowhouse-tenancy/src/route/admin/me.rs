//! `/admin/v1/me`: what a launcher shows of its user; `/admin/v1/permissions`: what can be permitted.

use axum::Json;
use axum::extract::{Extension, State};
use rowhouse_http::LiveCaller;
use rowhouse_http::api::routing::get_with;
use rowhouse_http::api::{Problem, Raw, Routes, operation};
use rowhouse_kernel::Origin;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};
use tokio_postgres::Client;
use uuid::Uuid;

use super::TenancyAdmin;
use crate::permission::{OperatorRole, Permission};
use crate::store::me as store;

/// The path `/admin/v1/me`.
pub(crate) fn me() -> Routes<TenancyAdmin> {
    let shown = operation("getMe", "The caller, and where he is a member", &[]);
    Routes::default().at("/", get_with(show, shown))
}

/// The path `/admin/v1/permissions`.
pub(crate) fn permissions() -> Routes<TenancyAdmin> {
    Routes::default()
        .at("/", get_with(list, operation("listPermissions", "What roles can be permitted", &[])))
}

/// The caller.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only described")]
struct Me {
    /// Null for the service key.
    user: Option<MyUser>,
    /// Beside the tree of organizations.
    operator_role: Option<OperatorRole>,
    /// Open ones, the 200 of the oldest memberships at most, by name.
    organizations: Vec<MyOrganization>,
    /// Open ones, the 200 of the oldest memberships at most, by name.
    tenants: Vec<MyTenant>,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "only described")]
struct MyUser {
    id: Uuid,
    email: Option<String>,
    /// From the profile.
    full_name: Option<String>,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "only described")]
struct MyOrganization {
    id: Uuid,
    name: String,
    slug: String,
    /// `trial` or `active`.
    status: String,
    /// Made by its owner's sign-up.
    is_personal: bool,
    /// The caller's.
    role: String,
    /// Of the role.
    permissions: Vec<Permission>,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "only described")]
struct MyTenant {
    id: Uuid,
    organization_id: Uuid,
    name: String,
    slug: String,
    /// `trial` or `active`.
    status: String,
    branding: Map<String, Value>,
    /// The caller's.
    role: String,
    /// Active members.
    member_count: i64,
}

async fn show(
    State(tenancy): State<TenancyAdmin>,
    caller: LiveCaller,
    Extension(origin): Extension<Origin>,
) -> Result<Json<Raw<Me>>, Problem> {
    let find = async move |client: &Client| store::find(client, caller.user.map(|user| user.0)).await;
    let found = tenancy.control.statement(&origin.operation("tenancy.find_me"), find).await?;
    Ok(Json(Raw::new(found)))
}

/// What can be permitted.
#[derive(Serialize, JsonSchema)]
struct Permissions {
    items: Vec<Permitted>,
}

/// A permission.
#[derive(Serialize, JsonSchema)]
struct Permitted {
    name: Permission,
    description: &'static str,
}

async fn list(_: LiveCaller) -> Result<Json<Permissions>, Problem> {
    let describe = |name: &Permission| Permitted { name: *name, description: name.description() };
    Ok(Json(Permissions { items: Permission::ALL.iter().map(describe).collect() }))
}
