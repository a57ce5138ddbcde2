//! Organizations and tenants, as what routes of both kinds differ in.

use rowhouse_http::api::{ETag, Tagged};
use rowhouse_kernel::{Caller, OrganizationId, TenantId};
use schemars::JsonSchema;
use serde::Serialize;
use tokio_postgres::Client;
use uuid::Uuid;

use crate::error::TenancyError;
use crate::flow::{organization, tenant};
use crate::permission::{Permission, Scope};
use crate::store::organization::Organization;
use crate::store::status::Step;
use crate::store::tenant::Tenant;

/// What the first parameter of a path names.
pub(super) trait Place: 'static {
    /// As it is shown.
    type Shown: Serialize + JsonSchema + Send + 'static;
    /// The permission to change it.
    const UPDATE: Permission;
    /// The name of the transaction that takes a step in its life.
    const STEP: &'static str;

    fn scope(id: Uuid) -> Scope;

    /// Where a step needs which permission.
    fn asked_for(
        client: &Client,
        id: Uuid,
        step: Step,
    ) -> impl Future<Output = Result<(Scope, Permission), TenancyError>> + Send;

    /// Takes a step.
    fn step(
        tx: &Client,
        caller: &Caller,
        id: Uuid,
        step: Step,
        reason: Option<&str>,
    ) -> impl Future<Output = Result<Tagged<Self::Shown>, TenancyError>> + Send;
}

/// Below `/organizations`.
pub(super) struct Organizations;

impl Place for Organizations {
    type Shown = Organization;
    const UPDATE: Permission = Permission::OrganizationUpdate;
    const STEP: &'static str = "tenancy.step_organization";

    fn scope(id: Uuid) -> Scope {
        Scope::Organization(OrganizationId(id))
    }

    async fn asked_for(_: &Client, id: Uuid, step: Step) -> Result<(Scope, Permission), TenancyError> {
        Ok(organization::asked_for(OrganizationId(id), step))
    }

    async fn step(
        tx: &Client,
        caller: &Caller,
        id: Uuid,
        step: Step,
        reason: Option<&str>,
    ) -> Result<Tagged<Organization>, TenancyError> {
        Ok(tagged_organization(organization::step(tx, caller, OrganizationId(id), step, reason).await?))
    }
}

/// With its version.
pub(super) fn tagged_organization(organization: Organization) -> Tagged<Organization> {
    let version = ETag::new(&organization.version);
    Tagged(organization, version)
}

/// Below `/tenants`.
pub(super) struct Tenants;

impl Place for Tenants {
    type Shown = Tenant;
    const UPDATE: Permission = Permission::TenantUpdate;
    const STEP: &'static str = "tenancy.step_tenant";

    fn scope(id: Uuid) -> Scope {
        Scope::Tenant(TenantId(id))
    }

    async fn asked_for(client: &Client, id: Uuid, step: Step) -> Result<(Scope, Permission), TenancyError> {
        tenant::asked_for(client, TenantId(id), step).await
    }

    async fn step(
        tx: &Client,
        caller: &Caller,
        id: Uuid,
        step: Step,
        reason: Option<&str>,
    ) -> Result<Tagged<Tenant>, TenancyError> {
        Ok(tagged_tenant(tenant::step(tx, caller, TenantId(id), step, reason).await?))
    }
}

/// With its version.
pub(super) fn tagged_tenant(tenant: Tenant) -> Tagged<Tenant> {
    let version = ETag::new(&tenant.version);
    Tagged(tenant, version)
}
