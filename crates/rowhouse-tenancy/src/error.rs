//! Why a change of the tree of organizations is refused. Leaves the answers over HTTP to `route`.

use rowhouse_db::{DbError, TransactionError};

use crate::permission::{Permission, PermissionError};

/// Why something is not done.
#[derive(Debug, thiserror::Error)]
pub enum TenancyError {
    /// The caller lacks the permission, or is not a member there, or there is no such thing.
    #[error("this needs the permission {}", .0.as_str())]
    Denied(Permission),
    /// No role in an organization or tenant would help.
    #[error("this is for operators")]
    OperatorsOnly,
    /// There is no such thing; only for callers who may see everything.
    #[error("there is no such {0}")]
    Missing(&'static str),
    /// The user is no member of this organization or tenant.
    #[error("the user is no member here")]
    NotAMember,
    /// The user is a member already.
    #[error("the user is a member already")]
    IsAMember,
    /// The user is no member of the tenant's organization.
    #[error("the user is no member of the organization; invite them")]
    NotInOrganization,
    /// A value is out of its range.
    #[error("{0}")]
    Invalid(String),
    /// Another organization, or tenant of the organization, has the slug.
    #[error("the slug is taken")]
    SlugTaken,
    /// The organization has no role of this name.
    #[error("the organization has no such role")]
    NoSuchRole,
    /// The organization has a role of this name already.
    #[error("the organization has a role of this name")]
    RoleTaken,
    /// Members have the role.
    #[error("members have this role; give them another one first")]
    RoleInUse,
    /// A built-in role.
    #[error("built-in roles stay as they are")]
    BuiltInRole,
    /// Only an owner gives and takes the role owner.
    #[error("only an owner makes, changes or removes owners")]
    OwnersOnly,
    /// There would be no active owner.
    #[error("this is the last active owner")]
    LastOwner,
    /// The role has a permission that the caller lacks.
    #[error("the role has the permission {0}, which you lack")]
    BeyondOwn(String),
    /// What is asked for does not follow from the status.
    #[error("that is not possible while it is {0}")]
    WrongStatus(String),
    /// Rows of what is in use are not erased.
    #[error(
        "only a deleted tenant is erased, and this one is {status}; delete it first: rowhouse tenants delete {tenant}"
    )]
    NotDeleted {
        /// The tenant.
        tenant: rowhouse_kernel::TenantId,
        /// Its status.
        status: String,
    },
    /// A deleted thing can no longer be restored.
    #[error("it was deleted too long ago to be restored")]
    TooLate,
    /// The user owns as many organizations as one user may.
    #[error("you own {0} organizations, as many as one user may")]
    TooMany(u32),
    /// The organization has as many tenants as one may.
    #[error(
        "the organization has {0} tenants, as many as one may; deleted ones count while they can be restored"
    )]
    TooManyTenants(u32),
    /// No organization that the caller can join by the domain of the address.
    #[error("the organization cannot be joined with the address of your account")]
    NotJoinable,
    /// Tenants have the product enabled.
    #[error("tenants use the product; retire it, or disable it for them first")]
    ProductInUse,
    /// A retired product.
    #[error("the product is retired")]
    ProductRetired,
    /// The tenant has not enabled the product.
    #[error("the product is not enabled for the tenant")]
    NotEnabled,
    /// Another product has the application.
    #[error("another product has this application")]
    ApplicationTaken,
    /// Tenants have the plan.
    #[error("tenants have this plan; give them another one first")]
    PlanInUse,
    /// No such plan.
    #[error("there is no such plan")]
    NoSuchPlan,
    /// Something that works always did not.
    #[error("{0}")]
    Broken(String),
    /// An operator acts as the user.
    #[error("only the user decides that, not an operator who acts as the user")]
    Impersonated,
    /// The database's part.
    #[error(transparent)]
    Db(DbError),
}

impl From<PermissionError> for TenancyError {
    fn from(error: PermissionError) -> Self {
        match error {
            PermissionError::Denied(permission) => Self::Denied(permission),
            PermissionError::OperatorsOnly => Self::OperatorsOnly,
            PermissionError::Db(error) => Self::Db(error),
        }
    }
}

/// The schema's own rules, by their names.
impl From<DbError> for TenancyError {
    fn from(error: DbError) -> Self {
        let DbError::Refused(refused) = &error else { return Self::Db(error) };
        match (refused.code.as_str(), refused.constraint.as_deref().unwrap_or_default()) {
            (
                "23505",
                "organizations_slug_key" | "tenants_organization_id_slug_key" | "products_slug_key",
            ) => Self::SlugTaken,
            ("23505", "roles_organization_id_name_key") => Self::RoleTaken,
            ("23505", "memberships_pkey" | "organization_members_pkey") => Self::IsAMember,
            ("23505", "products_oauth_client_id_key") => Self::ApplicationTaken,
            ("23503", "tenant_products_product_id_fkey") => Self::ProductInUse,
            ("23503", "entitlements_tenant_id_product_id_fkey") => Self::NotEnabled,
            ("23503", "entitlements_tenant_id_user_id_fkey") => Self::NotAMember,
            ("23503", "roles_organization_id_name_key") => Self::NoSuchRole,
            ("23503", "roles_name_in_use") => Self::RoleInUse,
            ("23503", "memberships_user_id_fkey" | "organization_members_user_id_fkey") => {
                Self::Missing("user")
            }
            ("23503", "tenants_plan_fkey") => Self::PlanInUse,
            ("23514", "tenants_branding_check") => {
                Self::Invalid("branding: an object of 8 KiB at most".to_owned())
            }
            _ => Self::Db(error),
        }
    }
}

impl From<tokio_postgres::Error> for TenancyError {
    fn from(error: tokio_postgres::Error) -> Self {
        DbError::from(error).into()
    }
}

impl TransactionError for TenancyError {
    fn database(&self) -> Option<&DbError> {
        match self {
            Self::Db(error) => Some(error),
            _ => None,
        }
    }
}
