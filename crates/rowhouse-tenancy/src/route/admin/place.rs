//! Organizations and tenants, as what routes of both kinds differ in.

use rowhouse_kernel::{OrganizationId, TenantId};
use uuid::Uuid;

use crate::permission::{Permission, Scope};

/// What the first parameter of a path names.
pub(super) trait Place: 'static {
    /// The permission to change it.
    const UPDATE: Permission;

    fn scope(id: Uuid) -> Scope;
}

/// Below `/organizations`.
pub(super) struct Organizations;

impl Place for Organizations {
    const UPDATE: Permission = Permission::OrganizationUpdate;

    fn scope(id: Uuid) -> Scope {
        Scope::Organization(OrganizationId(id))
    }
}

/// Below `/tenants`.
pub(super) struct Tenants;

impl Place for Tenants {
    const UPDATE: Permission = Permission::TenantUpdate;

    fn scope(id: Uuid) -> Scope {
        Scope::Tenant(TenantId(id))
    }
}
