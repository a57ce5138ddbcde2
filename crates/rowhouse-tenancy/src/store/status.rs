//! The life cycle of organizations and tenants. Times follow the status by a trigger.

use std::time::Duration;

use rowhouse_db::DbError;
use rowhouse_kernel::{OrganizationId, TenantId};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};

use super::Bound;
use super::organization::{Organization, organization_columns};
use super::tenant::{Tenant, tenant_columns};

/// A step in the life of an organization or a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// From an open one.
    Suspend,
    /// From a suspended or cancelled one: to its trial, if that has not ended, else to active.
    Reactivate,
    /// From an open one.
    Cancel,
    /// From any other status.
    Delete,
    /// Back to the status before the deletion, if that is no longer ago.
    Restore(Duration),
}

impl Step {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Suspend => "suspend",
            Self::Reactivate => "reactivate",
            Self::Cancel => "cancel",
            Self::Delete => "delete",
            Self::Restore(_) => "restore",
        }
    }

    /// What the audit log calls it.
    pub(crate) const fn past(self) -> &'static str {
        match self {
            Self::Suspend => "suspended",
            Self::Reactivate => "reactivated",
            Self::Cancel => "cancelled",
            Self::Delete => "deleted",
            Self::Restore(_) => "restored",
        }
    }

    const fn window(self) -> Option<Duration> {
        match self {
            Self::Restore(window) => Some(window),
            _ => None,
        }
    }
}

macro_rules! step {
    ($table:literal, $alias:literal, $columns:ident) => {
        $columns!(
            concat!(
                "update ",
                $table,
                " ",
                $alias,
                " set suspension_reason = coalesce($3, suspension_reason),
                   status = case $2
                     when 'suspend' then 'suspended'
                     when 'cancel' then 'cancelled'
                     when 'delete' then 'deleted'
                     when 'restore' then deleted_from
                     else case when trial_ends_at > clock_timestamp() then 'trial' else 'active' end
                   end
                 where ",
                $alias,
                ".id = $1 and case $2
                     when 'delete' then status not in ('deleted', 'erased')
                     when 'restore' then status = 'deleted'
                       and deleted_at > clock_timestamp() - make_interval(secs => $4)
                     when 'reactivate' then status in ('suspended', 'cancelled')
                     else is_open
                   end
                 returning"
            ),
            ""
        )
    };
}

/// Takes the step with an organization, the reason being that of a suspension; `None` if it is not possible from its
/// status.
pub(crate) async fn step_organization(
    client: &Client,
    id: OrganizationId,
    step: Step,
    reason: Option<&str>,
) -> Result<Option<Organization>, DbError> {
    let sql = step!("tenancy.organizations", "o", organization_columns);
    let row = run(client, sql, &(&id.0, Type::UUID), step, reason).await?;
    Ok(row.as_ref().map(Organization::from_row).transpose()?)
}

/// Takes the step with a tenant likewise.
pub(crate) async fn step_tenant(
    client: &Client,
    id: TenantId,
    step: Step,
    reason: Option<&str>,
) -> Result<Option<Tenant>, DbError> {
    let sql = step!("tenancy.tenants", "t", tenant_columns);
    let row = run(client, sql, &(&id.0, Type::UUID), step, reason).await?;
    Ok(row.as_ref().map(Tenant::from_row).transpose()?)
}

async fn run(
    client: &Client,
    sql: &str,
    id: &Bound<'_>,
    step: Step,
    reason: Option<&str>,
) -> Result<Option<Row>, DbError> {
    let name = step.name();
    let window = step.window().map(|window| window.as_secs_f64());
    let parameters: [Bound<'_>; 4] =
        [id.clone(), (&name, Type::TEXT), (&reason, Type::TEXT), (&window, Type::FLOAT8)];
    Ok(client.query_typed_opt(sql, &parameters).await?)
}
