//! Permissions of members, and the check for one. Which role has which permission is in `tenancy.role_permissions`; a
//! test keeps the names of this enum equal to those rows.

use rowhouse_db::DbError;
use rowhouse_kernel::{Caller, TenantId};
use tokio_postgres::Client;
use tokio_postgres::types::{ToSql, Type};

macro_rules! permissions {
    ($($(#[$doc:meta])+ $name:ident = $text:literal),+ $(,)?) => {
        /// A permission within a tenant or its organization.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Permission {
            $($(#[$doc])+ $name),+
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
        }
    };
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

/// Why a permission is refused.
#[derive(Debug, thiserror::Error)]
pub enum PermissionError {
    /// The caller lacks the permission, or is not a member of the tenant: one answer for both.
    #[error("this needs the permission {}", .0.as_str())]
    Denied(Permission),
    /// The database's part.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// Succeeds if the caller has `permission` in `tenant` now, whatever the token says. A service key has every
/// permission; `rowhouse_http::LiveCaller` checks that a user's session, role and tenant are still valid.
///
/// # Errors
/// [`PermissionError`].
pub async fn require(
    tx: &Client,
    caller: &Caller,
    tenant: TenantId,
    permission: Permission,
) -> Result<(), PermissionError> {
    let user = match caller.user {
        Some(user) => user.0,
        None if caller.is_service() => return Ok(()),
        None => return Err(PermissionError::Denied(permission)),
    };
    let sql = "select tenancy.member_may($1, $2, $3)";
    let name = permission.as_str();
    let parameters: [(&(dyn ToSql + Sync), Type); 3] =
        [(&tenant.0, Type::UUID), (&user, Type::UUID), (&name, Type::TEXT)];
    let row = tx.query_typed_one(sql, &parameters).await.map_err(DbError::from)?;
    let may: bool = row.try_get(0).map_err(DbError::from)?;
    if may { Ok(()) } else { Err(PermissionError::Denied(permission)) }
}
