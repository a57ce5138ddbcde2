//! The answer of `/admin/v1/me`, which the database writes: only described here.

use schemars::JsonSchema;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::permission::{OperatorRole, Permission};
use crate::store::product::ProductRole;
use crate::store::tenant_product::ProductEnvironment;

/// The caller.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only described")]
pub(super) struct Me {
    /// Null for the service key.
    user: Option<MyUser>,
    /// Beside the tree of organizations.
    operator_role: Option<OperatorRole>,
    /// Open ones, the 200 of the oldest memberships at most, by name.
    organizations: Vec<MyOrganization>,
    /// Open ones, the 200 of the oldest memberships at most, by name.
    tenants: Vec<MyTenant>,
    /// What the caller is entitled to at this moment, once for each tenant; 200 at most, by name.
    products: Vec<MyProduct>,
    /// Sessions that have not ended, the 200 newest at most, the last used first.
    sessions: Vec<MySession>,
    /// Permissions to change something that the caller has in one of these places, or everywhere as an operator.
    admin_actions: Vec<Permission>,
    /// What others did of late that concerns the caller, the latest first: of the last 7 days, 200 of each kind at most.
    notifications: Vec<MyNotification>,
    /// The operator who acts as this user with this token; null while nobody does.
    impersonation: Option<MyImpersonation>,
    /// As `tenancy.support_links` says.
    support_links: Vec<SupportLink>,
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
    /// Active members.
    member_count: i64,
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
    /// Products that it has enabled.
    product_count: i64,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "only described")]
struct MyProduct {
    tenant_id: Uuid,
    /// The product's slug.
    product: String,
    name: String,
    description: String,
    icon_url: Option<String>,
    launcher_url: Option<String>,
    /// The caller's.
    role: ProductRole,
    /// For which the tenant has enabled it.
    environments: Vec<ProductEnvironment>,
    /// End of the entitlement.
    #[schemars(extend("format" = "date-time"))]
    expires_at: Option<String>,
    /// Last sign-in to its application, or last refresh; null, too, for what all members have.
    #[schemars(extend("format" = "date-time"))]
    last_used_at: Option<String>,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "only described")]
struct MySession {
    id: Uuid,
    #[schemars(extend("format" = "date-time"))]
    created_at: String,
    #[schemars(extend("format" = "date-time"))]
    last_used_at: String,
    /// `aal1` or `aal2`.
    aal: Option<String>,
    tenant_id: Option<Uuid>,
    /// The application whose session it is.
    oauth_client_id: Option<Uuid>,
    user_agent: Option<String>,
    ip: Option<String>,
    /// Whether the request came from it.
    is_current: bool,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "only described")]
struct MyNotification {
    /// An action of the audit log, such as `member_added` or `entitlement_granted`; `invitation` for one that can be accepted.
    kind: String,
    #[schemars(extend("format" = "date-time"))]
    occurred_at: String,
    organization_id: Option<Uuid>,
    tenant_id: Option<Uuid>,
    /// By kind.
    details: Map<String, Value>,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "only described")]
struct MyImpersonation {
    impersonation_id: Option<Uuid>,
    /// The operator's user id.
    operator_id: Uuid,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "only described")]
struct SupportLink {
    title: String,
    url: String,
}
