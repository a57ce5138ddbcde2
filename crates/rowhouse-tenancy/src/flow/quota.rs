//! The plan of a tenant and quotas of its own: for operators and the service key.

use rowhouse_kernel::{Caller, TenantId};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use tokio_postgres::Client;

use super::plan::{check_quotas, require_plans};
use super::record::{Change, record};
use super::tenant;
use crate::error::TenancyError;
use crate::permission::Permission;
use crate::store::member::Group;
use crate::store::quota::{self as store, Quota, Usage};
use crate::store::{plan, tenant as tenants};

/// What a tenant may use, and has used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Quotas {
    /// What it has booked.
    pub(crate) plan: Option<String>,
    /// End of the trial.
    #[schemars(extend("format" = "date-time"))]
    pub(crate) trial_ends_at: Option<String>,
    /// By metric; users always.
    pub(crate) quotas: Vec<Usage>,
}

/// What is said about a tenant's quotas.
#[derive(Debug, Clone)]
pub(crate) struct QuotaChange<'a> {
    /// Its plan; `None` leaves it, `Some(None)` takes it.
    pub(crate) plan: Option<Option<&'a str>>,
    /// Whether the trial of the plan begins now.
    pub(crate) starts_trial: bool,
    /// Quotas of its own, in place of its plan's; `None` leaves them.
    pub(crate) quotas: Option<&'a [Quota]>,
}

/// The quotas of a tenant, for a caller with the permission.
pub(crate) async fn get(client: &Client, caller: &Caller, id: TenantId) -> Result<Quotas, TenancyError> {
    let tenant = tenant::get(client, caller, id, Permission::TenantView).await?;
    let quotas = store::list_usage(client, id).await?;
    Ok(Quotas { plan: tenant.plan, trial_ends_at: tenant.trial_ends_at, quotas })
}

/// Changes them.
pub(crate) async fn change(
    tx: &Client,
    caller: &Caller,
    id: TenantId,
    change: &QuotaChange<'_>,
) -> Result<Quotas, TenancyError> {
    require_plans(tx, caller).await?;
    let before = tenants::lock(tx, id).await?.ok_or(TenancyError::Missing("tenant"))?;
    if let Some(quotas) = change.quotas {
        check_quotas(quotas)?;
        store::replace_own(tx, id, quotas).await?;
    }
    if change.plan.is_some() || change.starts_trial {
        let plan = change.plan.unwrap_or(before.plan.as_deref());
        let trial_days = trial_days(tx, plan, change.starts_trial).await?;
        store::set_plan(tx, id, plan, trial_days).await?;
    }
    let details = json!({
        "plan": { "before": before.plan, "after": change.plan.unwrap_or(before.plan.as_deref()) },
        "trial": change.starts_trial, "quotas": change.quotas,
    });
    let text = id.0.to_string();
    record(tx, Change::of_group("tenant_quotas_changed", Group::from(&before), &text, details)).await?;
    get(tx, caller, id).await
}

/// The length of the trial that begins.
async fn trial_days(
    tx: &Client,
    plan: Option<&str>,
    starts_trial: bool,
) -> Result<Option<i32>, TenancyError> {
    let found = match plan {
        Some(name) => Some(plan::find(tx, name).await?.ok_or(TenancyError::NoSuchPlan)?),
        None => None,
    };
    match (starts_trial, found.and_then(|plan| plan.trial_days)) {
        (false, _) => Ok(None),
        (true, Some(days)) => Ok(Some(days)),
        (true, None) => Err(TenancyError::Invalid("start_trial: the plan has no trial".to_owned())),
    }
}
