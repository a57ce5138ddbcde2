//! Plans: who may change them, and within which bounds.

use std::collections::BTreeSet;

use rowhouse_audit::Entry;
use rowhouse_kernel::Caller;
use serde_json::json;
use tokio_postgres::Client;

use super::input::check_name;
use crate::error::TenancyError;
use crate::permission::{Permission, Scope, require};
use crate::store::plan::{self as store, Plan, PlanContent};
use crate::store::quota::{Period, Quota};

/// Most plans.
const MOST_PLANS: i64 = 100;
/// Most quotas of a plan or a tenant.
const MOST_QUOTAS: usize = 50;
/// Longest name of a metric.
const MAX_METRIC: usize = 63;
/// Counted from memberships, so without a period.
const USERS: &str = "users";
/// Longest name of a plan.
const MAX_PLAN: usize = 32;

/// Requires a caller who may change plans: a super_admin, or the service key.
pub(crate) async fn require_plans(client: &Client, caller: &Caller) -> Result<(), TenancyError> {
    Ok(require(client, caller, Scope::Installation, Permission::OrganizationBilling).await?)
}

/// Makes or replaces a plan.
pub(crate) async fn put(
    tx: &Client,
    caller: &Caller,
    name: &str,
    content: &PlanContent<'_>,
) -> Result<Plan, TenancyError> {
    require_plans(tx, caller).await?;
    check(name, content)?;
    let before = store::find(tx, name).await?;
    if before.is_none() && store::count(tx).await? >= MOST_PLANS {
        return Err(invalid(&format!("there are at most {MOST_PLANS} plans")));
    }
    store::put(tx, name, content).await?;
    let after = store::find(tx, name).await?.ok_or(TenancyError::Missing("plan"))?;
    let shown =
        |plan: &Plan| json!({ "title": plan.title, "trial_days": plan.trial_days, "quotas": plan.quotas });
    let details = json!({ "before": before.as_ref().map(shown), "after": shown(&after) });
    note(tx, "plan_changed", name, details).await?;
    Ok(after)
}

/// Removes a plan that no tenant has.
pub(crate) async fn remove(tx: &Client, caller: &Caller, name: &str) -> Result<(), TenancyError> {
    require_plans(tx, caller).await?;
    if !store::remove(tx, name).await? {
        return Err(TenancyError::Missing("plan"));
    }
    note(tx, "plan_removed", name, json!({})).await
}

fn check(name: &str, content: &PlanContent<'_>) -> Result<(), TenancyError> {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    if !name.starts_with(|c: char| c.is_ascii_lowercase())
        || !name.chars().all(is_plain)
        || name.len() > MAX_PLAN
    {
        return Err(invalid("plan: 1 to 32 of a-z, 0-9, hyphens and underscores, beginning with a letter"));
    }
    check_name(content.title).map_err(|_| invalid("title: 1 to 200 characters"))?;
    if content.trial_days.is_some_and(|days| !(1..=365).contains(&days)) {
        return Err(invalid("trial_days: 1 to 365"));
    }
    check_quotas(content.quotas)
}

/// Bounds of quotas; each metric once.
pub(super) fn check_quotas(quotas: &[Quota]) -> Result<(), TenancyError> {
    let metrics: BTreeSet<&str> = quotas.iter().map(|quota| quota.metric.as_str()).collect();
    if quotas.len() > MOST_QUOTAS || metrics.len() < quotas.len() {
        return Err(invalid(&format!("quotas: at most {MOST_QUOTAS}, and each metric once")));
    }
    quotas.iter().try_for_each(check_quota)
}

fn check_quota(quota: &Quota) -> Result<(), TenancyError> {
    let metric = &quota.metric;
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if !metric.starts_with(|c: char| c.is_ascii_lowercase())
        || !metric.chars().all(is_plain)
        || metric.len() > MAX_METRIC
    {
        return Err(invalid("metric: 1 to 63 of a-z, 0-9 and underscores, beginning with a letter"));
    }
    if metric == USERS && quota.period != Period::None {
        return Err(invalid("period: users have the period none"));
    }
    let limits = [quota.soft_limit, quota.hard_limit];
    let is_ordered = quota.soft_limit.zip(quota.hard_limit).is_none_or(|(soft, hard)| soft <= hard);
    if limits.into_iter().flatten().any(|limit| limit < 0) || !is_ordered {
        return Err(invalid(&format!(
            "{metric}: limits are not below 0, and the soft one not above the hard one"
        )));
    }
    Ok(())
}

/// Plans belong to no organization.
async fn note(tx: &Client, action: &str, name: &str, details: serde_json::Value) -> Result<(), TenancyError> {
    let details = details.as_object().cloned().unwrap_or_default();
    let entry =
        Entry { source: "tenancy", action, target_kind: "plan", target_id: name, tenant: None, details };
    rowhouse_audit::write(tx, entry).await?;
    rowhouse_event::emit(tx, &format!("tenancy.{action}"), None, &json!({ "plan": name })).await?;
    Ok(())
}

fn invalid(why: &str) -> TenancyError {
    TenancyError::Invalid(why.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quota(metric: &str, limits: (Option<i64>, Option<i64>), period: Period) -> Quota {
        Quota { metric: metric.to_owned(), soft_limit: limits.0, hard_limit: limits.1, period }
    }

    #[test]
    fn quotas_out_of_bounds_are_refused() {
        let fits = [
            quota("users", (None, Some(5)), Period::None),
            quota("api_calls", (Some(8), Some(10)), Period::Month),
            quota("storage", (Some(8), None), Period::None),
        ];
        assert!(check_quotas(&fits).is_ok());
        for refused in [
            quota("", (None, None), Period::Day),
            quota("1st", (None, None), Period::Day),
            quota("Users", (None, None), Period::None),
            quota("users", (None, Some(5)), Period::Month),
            quota("storage", (Some(11), Some(10)), Period::None),
            quota("storage", (None, Some(-1)), Period::None),
            quota(&"x".repeat(64), (None, None), Period::Day),
        ] {
            assert!(check_quotas(std::slice::from_ref(&refused)).is_err(), "{refused:?}");
        }
        let twice = [quota("a", (None, None), Period::Day), quota("a", (None, None), Period::Month)];
        assert!(check_quotas(&twice).is_err());
    }
}
