//! Permissions, and the check for one: `tenancy.may` decides. Which role has which permission is in
//! `tenancy.role_permissions`; a test keeps the names of this enum equal to `tenancy.permissions`.

use rowhouse_db::DbError;
use rowhouse_kernel::{Caller, OrganizationId, TenantId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_postgres::Client;
use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;

macro_rules! permissions {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal),+ $(,)?) => {
        /// A permission within a tenant or its organization.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        pub enum Permission {
            $($(#[doc = $doc])+ #[serde(rename = $text)] $name),+
        }

        impl Permission {
            /// Every permission.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// As stored, and as `auth.has_permission` takes it.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text),+
                }
            }

            /// For people.
            #[must_use]
            pub fn description(self) -> &'static str {
                match self {
                    $(Self::$name => concat!($($doc),+).trim_ascii_start()),+
                }
            }
        }
    };
}

impl std::str::FromStr for Permission {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|permission| permission.as_str() == text).copied();
        found.ok_or_else(|| {
            let all: Vec<_> = Self::ALL.iter().map(|permission| permission.as_str()).collect();
            format!("expected one of {}", all.join(", "))
        })
    }
}

permissions! {
    /// Sees the organization.
    OrganizationView = "organization:view",
    /// Changes the organization.
    OrganizationUpdate = "organization:update",
    /// Sees and changes what the organization pays.
    OrganizationBilling = "organization:billing",
    /// Deletes the organization.
    OrganizationDelete = "organization:delete",
    /// Sees the members.
    MembersView = "members:view",
    /// Invites members.
    MembersInvite = "members:invite",
    /// Changes and removes members.
    MembersManage = "members:manage",
    /// Sees the tenant.
    TenantView = "tenant:view",
    /// Creates tenants in the organization.
    TenantCreate = "tenant:create",
    /// Changes the tenant.
    TenantUpdate = "tenant:update",
    /// Says who belongs to the tenant.
    TenantMembers = "tenant:members",
    /// Says which products the tenant uses.
    TenantApps = "tenant:apps",
    /// Sees identities.
    IdentityRead = "identity:read",
    /// Changes identity providers.
    IdentityProviders = "identity:providers",
    /// Reads the audit log.
    IdentityAudit = "identity:audit",
    /// Sees who may do what.
    PermissionsView = "permissions:view",
    /// Changes who may do what.
    PermissionsModify = "permissions:modify",
}

impl Permission {
    /// Whether it gives rights to others, which would outlive an operator's acting as the user.
    const fn outlasts(self) -> bool {
        matches!(
            self,
            Self::MembersInvite
                | Self::MembersManage
                | Self::TenantMembers
                | Self::TenantApps
                | Self::IdentityProviders
                | Self::PermissionsModify
        )
    }
}

/// Where a permission is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// In an organization, by the role there.
    Organization(OrganizationId),
    /// In a tenant, by the role there or in its organization.
    Tenant(TenantId),
    /// In all of them: operators and the service key only.
    Installation,
}

impl Scope {
    /// The arguments of `tenancy.may` and `tenancy.roles_of`.
    pub(crate) fn ids(self) -> (Option<Uuid>, Option<Uuid>) {
        match self {
            Self::Organization(organization) => (Some(organization.0), None),
            Self::Tenant(tenant) => (None, Some(tenant.0)),
            Self::Installation => (None, None),
        }
    }
}

/// Why a permission is refused.
#[derive(Debug, thiserror::Error)]
pub enum PermissionError {
    /// The caller lacks the permission, or is not a member there, or there is no such thing: one answer for all.
    #[error("this needs the permission {}", .0.as_str())]
    Denied(Permission),
    /// Asked for in the whole installation: no role in an organization or tenant would help.
    #[error("this is for operators")]
    OperatorsOnly,
    /// The database's part.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// Succeeds if the caller has `permission` in `scope` now, whatever the token says. Users have none in a closed tenant or
/// organization; operators have theirs everywhere, a service key every one, and an API key its scopes in its organization. An
/// operator who acts as a user has the user's, but for those that give rights to others; in a session for one tenant, there alone,
/// and nothing in its organization.
/// `rowhouse_http::LiveCaller` checks that a user's session, role and tenant are still valid.
///
/// # Errors
/// [`PermissionError`].
pub async fn require(
    tx: &Client,
    caller: &Caller,
    scope: Scope,
    permission: Permission,
) -> Result<(), PermissionError> {
    let is_acting = caller.impersonation().is_some();
    if caller.is_service() && !is_acting {
        return Ok(());
    }
    let denied = || match scope {
        Scope::Installation => PermissionError::OperatorsOnly,
        Scope::Organization(_) | Scope::Tenant(_) => PermissionError::Denied(permission),
    };
    if permission.outlasts() && is_acting {
        return Err(denied());
    }
    let (sql, id) = match (caller.user, caller.api_key) {
        (Some(user), _) => (USER_MAY, user.0),
        (None, Some(key)) => (KEY_MAY, key.0),
        (None, None) => return Err(denied()),
    };
    let ((organization, tenant), name) = (scope.ids(), permission.as_str());
    let session = caller.session.map(|session| session.0);
    let parameters: [(&(dyn ToSql + Sync), Type); 5] = [
        (&id, Type::UUID),
        (&organization, Type::UUID),
        (&tenant, Type::UUID),
        (&name, Type::TEXT),
        (&session, Type::UUID),
    ];
    is_true(tx, sql, &parameters, denied()).await
}

const USER_MAY: &str = "select (tenancy.may($1, $2, $3, $4) or tenancy.operator_may($1, $4))
  and tenancy.session_reaches($5, $3)";
const KEY_MAY: &str = "select tenancy.key_may($1, $2, $3, $4) and tenancy.session_reaches($5, $3)";

/// Succeeds unless the caller's session is for one tenant: for what every user may do beside the tenants. `permission` is what a
/// refusal names.
///
/// # Errors
/// [`PermissionError`].
pub(crate) async fn require_free(
    tx: &Client,
    caller: &Caller,
    permission: Permission,
) -> Result<(), PermissionError> {
    let session = caller.session.map(|session| session.0);
    let sql = "select tenancy.session_reaches($1, null)";
    is_true(tx, sql, &[(&session, Type::UUID)], PermissionError::Denied(permission)).await
}

async fn is_true(
    tx: &Client,
    sql: &str,
    parameters: &[(&(dyn ToSql + Sync), Type)],
    otherwise: PermissionError,
) -> Result<(), PermissionError> {
    let row = tx.query_typed_one(sql, parameters).await.map_err(DbError::from)?;
    let may: bool = row.try_get(0).map_err(DbError::from)?;
    if may { Ok(()) } else { Err(otherwise) }
}

/// A role beside the tree of organizations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OperatorRole {
    /// Everything.
    SuperAdmin,
    /// Sees everything, finds and suspends users.
    Support,
    /// Sees everything, and the audit log.
    Auditor,
}

impl OperatorRole {
    /// As stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SuperAdmin => "super_admin",
            Self::Support => "support",
            Self::Auditor => "auditor",
        }
    }
}

/// The caller's role as an operator at this moment.
///
/// # Errors
/// The database's.
pub async fn find_operator_role(client: &Client, caller: &Caller) -> Result<Option<OperatorRole>, DbError> {
    let Some(user) = caller.user else { return Ok(None) };
    let sql = "select tenancy.operator_role($1)";
    let name: Option<String> = client.query_typed_one(sql, &[(&user.0, Type::UUID)]).await?.try_get(0)?;
    let roles = [OperatorRole::SuperAdmin, OperatorRole::Support, OperatorRole::Auditor];
    Ok(roles.into_iter().find(|role| name.as_deref() == Some(role.as_str())))
}
