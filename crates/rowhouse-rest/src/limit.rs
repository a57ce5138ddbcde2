//! Limits of role and tenant on time, rows and cost: those that apply to a request, and when one is exceeded.
//!
//! They are read from the schema snapshot and from memory, never from the session, so that no caller's SQL can lift
//! them. Time is enforced by PostgreSQL, written rows by the statement's guard. Leaves responses to [`crate::error`].

mod setting;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use rowhouse_db::catalog::Snapshot;
use rowhouse_kernel::Caller;
use rowhouse_tenancy::limit::{Limits, TenantLimits};

use crate::plan::{Plan, ReadNode, RowBounds};
use crate::request::{Action, ApiRequest};
use crate::settings::RestSettings;

const TIMEOUT: &str = "statement_timeout";
const MAX_ROWS: &str = "rowhouse.max_rows";
const MAX_COST: &str = "rowhouse.max_cost";

/// Sources of limits besides the settings of roles.
#[derive(Debug, Clone)]
pub struct LimitSources {
    /// `statement_timeout` of the data plane's logins.
    pub default_timeout: Duration,
    /// Limits of tenants.
    pub tenants: Arc<TenantLimits>,
    /// Where `rest.plan_enabled` is on, plans are shown to everybody: for development. Otherwise only to roles that
    /// bypass row-level security, since statistics are of all tenants' rows.
    pub plans_for_all: bool,
}

/// A limit and its holder.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Limit<T> {
    pub(crate) most: T,
    /// The role; `None`: the tenant.
    pub(crate) role: Option<Arc<str>>,
}

/// The limit that was exceeded.
#[derive(Debug, PartialEq)]
pub(crate) enum Exceeded {
    Time(Limit<Duration>),
    /// More rows were requested explicitly.
    Asked {
        rows: i64,
        bound: Limit<i64>,
    },
    /// More rows were written; they have been rolled back.
    Written {
        rows: i64,
        bound: Limit<i64>,
    },
    Cost {
        /// The cost; `None` if the caller must not learn it.
        cost: Option<f64>,
        bound: Limit<f64>,
    },
}

/// Why a request is refused.
#[derive(Debug, PartialEq)]
pub(crate) enum LimitError {
    /// The tenants' limits are not known yet.
    NotLoaded,
    /// A limit is set to an invalid value.
    Unreadable {
        name: &'static str,
        value: String,
    },
    Exceeded(Exceeded),
}

/// The limits of one request; immutable once it is admitted.
#[derive(Debug, Clone)]
pub(crate) struct RequestLimits {
    role: Arc<str>,
    /// `statement_timeout` of the data plane's logins.
    default_timeout: Duration,
    role_timeout: Option<Duration>,
    tenant_timeout: Option<Duration>,
    rows: Option<Limit<i64>>,
    cost: Option<Limit<f64>>,
    /// Whether the caller may read all rows that the planner's statistics cover.
    sees_statistics: bool,
    sees_plans: bool,
}

/// `statement_timeout` of one transaction.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Timeout {
    /// Milliseconds to set in PostgreSQL, if they differ from the session's.
    milliseconds: Option<String>,
    /// The same, if exceeding it is reported as a limit.
    of_caller: Option<Limit<Duration>>,
}

impl LimitSources {
    /// The limits of `caller`, independent of the request.
    ///
    /// # Errors
    /// The tenants' limits are not loaded yet, or a setting of the role is invalid: an unknown limit is refused, not
    /// ignored.
    pub(crate) fn of(&self, caller: &Caller, snapshot: &Snapshot) -> Result<RequestLimits, LimitError> {
        let settings = snapshot.role_settings(&caller.role);
        let tenant = match caller.tenant.filter(|_| !caller.is_service()) {
            Some(tenant) => self.tenants.of(tenant).ok_or(LimitError::NotLoaded)?,
            None => Limits::default(),
        };
        let role_rows = own(settings, MAX_ROWS, setting::rows)?;
        let role_cost = own(settings, MAX_COST, setting::cost)?;
        let sees_statistics = snapshot.bypasses_row_security(&caller.role);
        Ok(RequestLimits {
            role: Arc::clone(&caller.role),
            default_timeout: self.default_timeout,
            role_timeout: own(settings, TIMEOUT, setting::duration)?,
            tenant_timeout: tenant.statement_timeout,
            rows: stricter(&caller.role, role_rows, tenant.max_rows),
            cost: stricter(&caller.role, role_cost, tenant.max_cost),
            sees_statistics,
            sees_plans: sees_statistics || self.plans_for_all,
        })
    }
}

impl RequestLimits {
    /// The settings with `max_rows` capped, and without plans where they would reveal other tenants' rows; a read
    /// without a limit gets as many rows as are allowed.
    pub(crate) fn settings<'s>(&self, settings: &'s RestSettings) -> Cow<'s, RestSettings> {
        let rows = self.rows.as_ref().and_then(|limit| u64::try_from(limit.most).ok());
        let plan_enabled = settings.plan_enabled && self.sees_plans;
        if rows.is_none() && plan_enabled == settings.plan_enabled {
            return Cow::Borrowed(settings);
        }
        let max_rows = match (rows, settings.max_rows) {
            (Some(rows), Some(most)) => Some(most.min(rows)),
            (rows, most) => rows.or(most),
        };
        Cow::Owned(RestSettings { max_rows, plan_enabled, ..settings.clone() })
    }

    /// Refuses a request for more rows than allowed: an explicit limit must not be reduced silently.
    ///
    /// # Errors
    /// [`Exceeded::Asked`].
    pub(crate) fn check(&self, request: &ApiRequest) -> Result<(), LimitError> {
        let Some(bound) = &self.rows else { return Ok(()) };
        let reads = matches!(request.action, Action::Read { .. } | Action::Call { .. });
        let root = request.range.limit().filter(|_| reads);
        let embeds = request.embed_ranges.iter().filter_map(|(_, range)| range.limit());
        match root.into_iter().chain(embeds).find(|rows| *rows > bound.most) {
            Some(rows) => Err(LimitError::Exceeded(Exceeded::Asked { rows, bound: bound.clone() })),
            None => Ok(()),
        }
    }

    /// The plan within the limits: writes are bounded, and totals are counted where the planner's estimate would
    /// reveal other tenants' rows.
    pub(crate) fn apply<'a>(&self, mut plan: Plan<'a>) -> Plan<'a> {
        if let (Some(limit), Plan::Write(write)) = (&self.rows, &mut plan) {
            let own = write.bounds.unwrap_or(RowBounds { low: None, high: None, of_limits: false });
            let of_limits = own.high.is_none_or(|high| high > limit.most);
            let high = own.high.map_or(limit.most, |high| high.min(limit.most));
            write.bounds = Some(RowBounds { low: own.low, high: Some(high), of_limits });
            if let Some(node) = &mut write.read {
                cap_embeds(node, limit.most);
            }
        }
        if !self.sees_statistics
            && let Some(total) = plan.total_mut()
        {
            *total = total.without_statistics();
        }
        plan
    }

    /// A function's own timeout overrides the role's, and that the server's, as in PostgreSQL; the tenant's can only
    /// lower it. For a streamed answer `stream` replaces the server's.
    ///
    /// # Errors
    /// The function's timeout cannot be read.
    pub(crate) fn timeout(
        &self,
        function: Option<&str>,
        stream: Option<Duration>,
    ) -> Result<Timeout, LimitError> {
        let function = match function {
            Some(text) => Some(setting::duration(text).ok_or_else(|| unreadable(TIMEOUT, text))?),
            None => None,
        };
        let own = function.or(self.role_timeout);
        if own.is_none() && self.tenant_timeout.is_none() && stream.is_none() {
            return Ok(Timeout::default());
        }
        let base = own.or(stream).unwrap_or(self.default_timeout);
        let lowered = self.tenant_timeout.filter(|most| base.is_zero() || *most < base);
        let most = lowered.unwrap_or(base);
        let role_decides = function.is_none() && self.role_timeout.is_some();
        let role = (lowered.is_none() && role_decides).then(|| Arc::clone(&self.role));
        Ok(Timeout {
            milliseconds: Some(most.as_millis().to_string()),
            of_caller: (lowered.is_some() || role_decides).then_some(Limit { most, role }),
        })
    }

    /// The limit on cost.
    pub(crate) fn cost(&self) -> Option<&Limit<f64>> {
        self.cost.as_ref()
    }

    /// Whether the caller may read all rows that the planner's statistics cover.
    pub(crate) fn sees_statistics(&self) -> bool {
        self.sees_statistics
    }

    /// The exceeded limit when a statement was cancelled after `took`; `None` if `timeout` is not a limit or had not
    /// passed yet.
    pub(crate) fn timed_out(timeout: &Timeout, took: Duration) -> Option<Exceeded> {
        timeout.of_caller.clone().filter(|limit| took >= limit.most).map(Exceeded::Time)
    }

    /// The exceeded limit when a write had `rows`; `None` if the client has set the bound.
    pub(crate) fn written(&self, rows: i64, plan: &Plan<'_>) -> Option<Exceeded> {
        let bound = self.rows.clone().filter(|_| is_bounded_by_limits(plan))?;
        Some(Exceeded::Written { rows, bound })
    }
}

impl Timeout {
    /// `settings` with the effective timeout, and without settings that only this program reads.
    pub(crate) fn among<'s>(
        &'s self,
        settings: impl Iterator<Item = (&'s str, &'s str)>,
    ) -> impl Iterator<Item = (&'s str, &'s str)> {
        let settings = settings.filter(|(name, _)| ![TIMEOUT, MAX_ROWS, MAX_COST].contains(name));
        settings.chain(self.milliseconds.as_deref().map(|timeout| (TIMEOUT, timeout)))
    }
}

/// Whether the bound on written rows is a limit, not the client's.
fn is_bounded_by_limits(plan: &Plan<'_>) -> bool {
    matches!(plan, Plan::Write(write) if write.bounds.is_some_and(|bounds| bounds.of_limits))
}

/// A role's setting, parsed.
fn own<T>(
    settings: &[(String, String)],
    name: &'static str,
    read: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, LimitError> {
    match settings.iter().find(|(own, _)| own == name) {
        Some((_, text)) => read(text).map(Some).ok_or_else(|| unreadable(name, text)),
        None => Ok(None),
    }
}

fn unreadable(name: &'static str, value: &str) -> LimitError {
    LimitError::Unreadable { name, value: value.to_owned() }
}

fn stricter<T: PartialOrd>(name: &Arc<str>, role: Option<T>, tenant: Option<T>) -> Option<Limit<T>> {
    match (role, tenant) {
        (Some(role), Some(tenant)) if tenant < role => Some(Limit { most: tenant, role: None }),
        (Some(most), _) => Some(Limit { most, role: Some(Arc::clone(name)) }),
        (None, tenant) => tenant.map(|most| Limit { most, role: None }),
    }
}

/// Caps embeds at every depth.
fn cap_embeds(node: &mut ReadNode<'_>, most: i64) {
    for embed in &mut node.embeds {
        embed.node.range = embed.node.range.first(Some(most));
        cap_embeds(&mut embed.node, most);
    }
}

#[cfg(test)]
mod tests;
