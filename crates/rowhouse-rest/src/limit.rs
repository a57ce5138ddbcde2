//! Limits of role and tenant on time, rows and cost: which of them hold for a request, and when one is exceeded.
//!
//! They are read from the schema snapshot and from memory, never from the session, so that nothing a caller runs can
//! lift them. Time is kept by PostgreSQL, rows written by the statement's guard; how refusals look is in
//! [`crate::error`].

mod setting;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use rowhouse_db::DbError;
use rowhouse_db::catalog::Snapshot;
use rowhouse_db::flight::{End, RequestContext, Row};
use rowhouse_kernel::Caller;
use rowhouse_kernel::settings::RestSettings;
use rowhouse_tenancy::limit::{Limits, TenantLimits};

use crate::error::Error;
use crate::plan::{Plan, ReadNode, RowBounds};
use crate::request::{Action, ApiRequest};
use crate::run::Task;
use crate::sql;

const TIMEOUT: &str = "statement_timeout";
const MAX_ROWS: &str = "rowhouse.max_rows";
const MAX_COST: &str = "rowhouse.max_cost";

/// Where limits come from, besides the settings of roles.
#[derive(Debug, Clone)]
pub struct LimitSources {
    /// `statement_timeout` of the data plane's logins.
    pub default_timeout: Duration,
    /// Limits of tenants.
    pub tenants: Arc<TenantLimits>,
}

/// A limit and who has it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Limit<T> {
    pub(crate) most: T,
    /// None: the tenant.
    pub(crate) role: Option<Arc<str>>,
}

/// What went over a limit.
#[derive(Debug, PartialEq)]
pub(crate) enum Exceeded {
    Time(Limit<Duration>),
    /// More rows asked for by name.
    Asked {
        rows: i64,
        bound: Limit<i64>,
    },
    /// More rows written; they have been taken back.
    Written {
        rows: i64,
        bound: Limit<i64>,
    },
    Cost {
        cost: f64,
        bound: Limit<f64>,
    },
}

/// What holds for one request.
#[derive(Debug)]
pub(crate) struct RequestLimits<'a> {
    settings: &'a [(String, String)],
    role: &'a Arc<str>,
    default_timeout: Duration,
    tenant_timeout: Option<Duration>,
    rows: Option<Limit<i64>>,
    cost: Option<Limit<f64>>,
    /// Milliseconds as PostgreSQL is told, where it must be told.
    timeout: Option<String>,
    /// The timeout, where exceeding it is the caller's concern.
    time: Option<Limit<Duration>>,
    /// The bound on written rows is ours, and not one that the client has set.
    guards: bool,
}

impl LimitSources {
    /// What holds for `caller`, before anything is known about the request.
    ///
    /// # Errors
    /// The tenants' limits are not loaded yet, or a setting of the role is no limit: not to know one is no reason to
    /// go without.
    pub(crate) fn of<'a>(
        &self,
        caller: &'a Caller,
        snapshot: &'a Snapshot,
    ) -> Result<RequestLimits<'a>, Error> {
        let settings = snapshot.role_settings(&caller.role);
        let tenant = match caller.tenant.filter(|_| !caller.is_service()) {
            Some(tenant) => self.tenants.of(tenant).ok_or(Error::NoSnapshot)?,
            None => Limits::default(),
        };
        let role_rows = own(settings, MAX_ROWS, setting::rows)?;
        let role_cost = own(settings, MAX_COST, setting::cost)?;
        Ok(RequestLimits {
            settings,
            role: &caller.role,
            default_timeout: self.default_timeout,
            tenant_timeout: tenant.statement_timeout,
            rows: stricter(&caller.role, role_rows, tenant.max_rows),
            cost: stricter(&caller.role, role_cost, tenant.max_cost),
            timeout: None,
            time: None,
            guards: false,
        })
    }
}

impl RequestLimits<'_> {
    /// The settings with rows capped; a read that names no limit gets that many.
    pub(crate) fn settings<'s>(&self, settings: &'s RestSettings) -> Cow<'s, RestSettings> {
        let Some(rows) = self.rows.as_ref().and_then(|bound| u64::try_from(bound.most).ok()) else {
            return Cow::Borrowed(settings);
        };
        let max_rows = Some(settings.max_rows.map_or(rows, |most| most.min(rows)));
        Cow::Owned(RestSettings { max_rows, ..settings.clone() })
    }

    /// Refuses a limit above the limit: what was asked for by name must not be cut short silently.
    ///
    /// # Errors
    /// [`Exceeded::Asked`].
    pub(crate) fn check(&self, request: &ApiRequest) -> Result<(), Error> {
        let Some(bound) = &self.rows else { return Ok(()) };
        let reads = matches!(request.action, Action::Read { .. } | Action::Call { .. });
        let root = request.range.limit().filter(|_| reads);
        let embeds = request.embed_ranges.iter().filter_map(|(_, range)| range.limit());
        match root.into_iter().chain(embeds).find(|rows| *rows > bound.most) {
            Some(rows) => Err(Exceeded::Asked { rows, bound: bound.clone() }.into()),
            None => Ok(()),
        }
    }

    /// Makes a write keep within the limits.
    pub(crate) fn bind(&mut self, plan: &mut Plan<'_>) {
        if let (Some(bound), Plan::Write(write)) = (&self.rows, plan) {
            let own = write.bounds.unwrap_or(RowBounds { low: None, high: None });
            self.guards = own.high.is_none_or(|high| high > bound.most);
            let high = own.high.map_or(bound.most, |high| high.min(bound.most));
            write.bounds = Some(RowBounds { low: own.low, high: Some(high) });
            if let Some(node) = &mut write.read {
                cap_embeds(node, bound.most);
            }
        }
    }

    /// A function's own limit takes the place of the role's, and that the server's, as in PostgreSQL; the tenant's
    /// can only lower it. A streamed answer has `stream` in place of the server's.
    ///
    /// # Errors
    /// A timeout of role or function cannot be read.
    pub(crate) fn bind_time(
        &mut self,
        function: Option<&str>,
        stream: Option<Duration>,
    ) -> Result<(), Error> {
        let role = own(self.settings, TIMEOUT, setting::duration)?;
        let function = match function {
            Some(text) => Some(setting::duration(text).ok_or_else(|| unreadable(TIMEOUT, text))?),
            None => None,
        };
        let own = function.or(role);
        if own.is_none() && self.tenant_timeout.is_none() && stream.is_none() {
            return Ok(());
        }
        let base = own.or(stream).unwrap_or(self.default_timeout);
        let lowered = self.tenant_timeout.filter(|most| base.is_zero() || *most < base);
        let most = lowered.unwrap_or(base);
        let role_decides = function.is_none() && role.is_some();
        let role = (lowered.is_none() && role_decides).then(|| Arc::clone(self.role));
        self.time = (lowered.is_some() || role_decides).then_some(Limit { most, role });
        self.timeout = Some(most.as_millis().to_string());
        Ok(())
    }

    /// `settings` with the timeout that holds, and without what is only for us.
    pub(crate) fn session<'s>(
        &'s self,
        settings: impl Iterator<Item = (&'s str, &'s str)>,
    ) -> impl Iterator<Item = (&'s str, &'s str)> {
        let settings = settings.filter(|(name, _)| ![TIMEOUT, MAX_ROWS, MAX_COST].contains(name));
        settings.chain(self.timeout.as_deref().map(|timeout| (TIMEOUT, timeout)))
    }

    /// Where cost has a limit, has the query planned first, in a flight of its own that leaves nothing behind.
    ///
    /// # Errors
    /// [`Exceeded::Cost`], and what the database refuses about the query already now.
    pub(crate) async fn require_affordable(&self, task: Task<'_>, plan: &Plan<'_>) -> Result<(), Error> {
        let Some(bound) = &self.cost else { return Ok(()) };
        let Some(query) = sql::cost(plan) else { return Ok(()) };
        let context = RequestContext { end: End::Rollback, ..*task.context };
        let signed_in = task.is_signed_in();
        let rows = task.database.fly(&context, &query).await;
        let rows = rows.map_err(|error| self.explain(Error::Database(error, signed_in)))?;
        let unknown = || Error::Database(DbError::Protocol("a plan without a cost".to_owned()), signed_in);
        let cost = total_cost(&rows).ok_or_else(unknown)?;
        if cost > bound.most { Err(Exceeded::Cost { cost, bound: bound.clone() }.into()) } else { Ok(()) }
    }

    /// Tells a limit's refusal from others.
    pub(crate) fn explain(&self, error: Error) -> Error {
        if let Error::Import(inner, first, last) = error {
            return Error::Import(Box::new(self.explain(*inner)), first, last);
        }
        match (&error, &self.time, &self.rows) {
            (Error::Database(DbError::Refused(refusal), _), Some(bound), _)
                if refusal.code == "57014" && !refusal.message.contains("user request") =>
            {
                Exceeded::Time(bound.clone()).into()
            }
            (Error::MaxAffected(rows), _, Some(bound)) if self.guards => {
                Exceeded::Written { rows: *rows, bound: bound.clone() }.into()
            }
            _ => error,
        }
    }
}

/// A role's setting, read.
fn own<T>(
    settings: &[(String, String)],
    name: &'static str,
    read: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, Error> {
    match settings.iter().find(|(own, _)| own == name) {
        Some((_, text)) => read(text).map(Some).ok_or_else(|| unreadable(name, text)),
        None => Ok(None),
    }
}

fn unreadable(name: &'static str, value: &str) -> Error {
    Error::UnreadableLimit { name, value: value.to_owned() }
}

fn stricter<T: PartialOrd>(name: &Arc<str>, role: Option<T>, tenant: Option<T>) -> Option<Limit<T>> {
    match (role, tenant) {
        (Some(role), Some(tenant)) if tenant < role => Some(Limit { most: tenant, role: None }),
        (Some(most), _) => Some(Limit { most, role: Some(Arc::clone(name)) }),
        (None, tenant) => tenant.map(|most| Limit { most, role: None }),
    }
}

/// Caps what is embedded at every depth.
fn cap_embeds(node: &mut ReadNode<'_>, most: i64) {
    for embed in &mut node.embeds {
        embed.node.range = embed.node.range.first(Some(most));
        cap_embeds(&mut embed.node, most);
    }
}

/// `Total Cost` of the topmost node.
fn total_cost(rows: &[Row]) -> Option<f64> {
    let text = rows.first()?.first()?.as_ref()?;
    let plan: serde_json::Value = serde_json::from_slice(text).ok()?;
    plan.get(0)?.get("Plan")?.get("Total Cost")?.as_f64()
}

#[cfg(test)]
mod tests;
