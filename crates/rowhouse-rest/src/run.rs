//! The one stage that talks to the database: main query, and the planner's estimate if requested.

use std::time::Duration;

use bytes::Bytes;
use rowhouse_db::flight::{End, Query, RequestContext, Row, Value};
use rowhouse_db::{DataPlane, DbError};

use crate::error::{Error, is_refused_setting};
use crate::limit::{Exceeded, LimitError, RequestLimits};
use crate::openapi::Visible;
use crate::plan::{Plan, Total};
use crate::prepare::Prepared;
use crate::request::{ApiRequest, Mutation};
use crate::respond::{ResponseBody, ResultSet};
use crate::settings::{OpenapiMode, RestSettings};
use crate::{sql, stream};

/// A planned request to be executed.
#[derive(Clone, Copy)]
pub(crate) struct Task<'a> {
    pub(crate) database: &'a DataPlane,
    pub(crate) context: &'a RequestContext<'a>,
    pub(crate) request: &'a ApiRequest,
    pub(crate) settings: &'a RestSettings,
}

/// Runs a plan's query and reads its answer; a long body is left to be streamed.
///
/// # Errors
/// What the database refused; violated row bounds have an error of their own.
pub(crate) async fn run(task: Task<'_>, plan: &Plan<'_>) -> Result<ResultSet, Error> {
    let fail = |error| refused(plan, error, task.is_signed_in());
    let estimate = task.estimate(plan).await?;
    let mut answer = if plan.streams() {
        Box::pin(task.lines(plan)).await?
    } else {
        let query = main(plan)?;
        if plan.format().is_some_and(|format| format.explain.is_some()) {
            return task.database.fly(task.context, &query).await.map(ResultSet::of_lines).map_err(fail);
        }
        task.whole(plan, &query).await?
    };
    answer.decode(plan);
    let mut answer = answer.with_estimate(plan.total(), estimate);
    if plan.streams() {
        answer.count_page(plan.range());
    }
    Ok(answer)
}

/// The objects of the requested schema that the caller may use.
///
/// # Errors
/// Whatever the database answers.
pub(crate) async fn visible(task: Task<'_>) -> Result<Visible, Error> {
    let all = task.settings.openapi_mode == OpenapiMode::IgnorePrivileges;
    let rows = task.database.fly(task.context, &Visible::query(&task.request.schema, all)).await;
    Ok(Visible::from_rows(rows.map_err(|error| Error::Database(error, task.is_signed_in()))?))
}

impl Task<'_> {
    pub(crate) fn is_signed_in(&self) -> bool {
        *self.context.caller.role != *self.settings.anon_role
    }

    async fn whole(&self, plan: &Plan<'_>, query: &Query) -> Result<ResultSet, Error> {
        let fail = |error| refused(plan, error, self.is_signed_in());
        if !plan.may_be_long() {
            return first(self.database.fly(self.context, query).await.map_err(fail)?);
        }
        match self.database.fly_value(self.context, query).await.map_err(fail)? {
            Value::Whole(rows) => first(rows),
            Value::Long(leading, length, pieces) => {
                let body = stream::body(Bytes::new(), *pieces, self.settings.stall_timeout);
                Ok(ResultSet::of(leading, ResponseBody::Streamed(body, Some(length))))
            }
        }
    }

    async fn lines(&self, plan: &Plan<'_>) -> Result<ResultSet, Error> {
        let fail = |error| refused(plan, error, self.is_signed_in());
        let (head, lines) = sql::lines(plan).ok_or(Error::NoSnapshot)?;
        let (head, lines) = (within_limits(head)?, within_limits(lines)?);
        let lines = self.database.fly_lines(self.context, &head, &lines).await.map_err(fail)?;
        let body = match lines.rest {
            Some(pieces) => stream::body(lines.first, pieces, self.settings.stall_timeout),
            None => lines.first.into(),
        };
        let head = lines.head.into_iter().next().ok_or_else(no_row)?;
        Ok(ResultSet::of(head, ResponseBody::Streamed(body, None)))
    }

    /// The planner's number of rows, where the client wants it.
    async fn estimate(&self, plan: &Plan<'_>) -> Result<Option<i64>, Error> {
        let wanted = matches!(plan.total(), Total::Planned { .. } | Total::Estimated { .. });
        let Some(query) = sql::estimate(plan).filter(|_| wanted) else { return Ok(None) };
        let fail = |error| refused(plan, error, self.is_signed_in());
        let rows = self.database.fly(self.context, &within_limits(query)?).await.map_err(fail)?;
        Ok(topmost(&rows, "Plan Rows").and_then(|rows| rows.as_i64()))
    }
}

/// If cost is limited, plans the query first, in a flight of its own. For callers under row-level security it is
/// planned without its values, and refused only if they may read every row of its tables, since sizes and statistics
/// cover all tenants' rows.
///
/// # Errors
/// [`Exceeded::Cost`], and what the database refuses while planning.
pub(crate) async fn require_affordable(
    task: Task<'_>,
    limits: &RequestLimits,
    plan: &Plan<'_>,
) -> Result<(), Error> {
    let Some(bound) = limits.cost() else { return Ok(()) };
    let Some(query) = sql::cost(plan, limits.sees_statistics()) else { return Ok(()) };
    let context = RequestContext { end: End::Rollback, ..*task.context };
    let signed_in = task.is_signed_in();
    let rows = task.database.fly(&context, &query).await;
    let rows = rows.map_err(|error| refused(plan, error, signed_in))?;
    if rows.first().is_some_and(|row| matches!(row.first(), Some(None))) {
        return Ok(());
    }
    let unknown = || Error::Database(DbError::Protocol("a plan without a cost".into()), signed_in);
    let cost = topmost(&rows, "Total Cost").and_then(|cost| cost.as_f64()).ok_or_else(unknown)?;
    if cost <= bound.most {
        return Ok(());
    }
    let cost = limits.sees_statistics().then_some(cost);
    Err(LimitError::Exceeded(Exceeded::Cost { cost, bound: bound.clone() }).into())
}

/// Distinguishes limits from other cancellations, and a missing role from other settings. `took` is how long the
/// database has worked on the request.
pub(crate) fn explain(
    error: Error,
    limits: &RequestLimits,
    prepared: &Prepared<'_>,
    took: Duration,
) -> Error {
    let exceeded = match &error {
        // Other cancellations have the same SQLSTATE.
        Error::Database(DbError::Refused(refusal), _) if refusal.code == "57014" => {
            RequestLimits::timed_out(&prepared.timeout, took)
        }
        Error::MaxAffected(rows) => limits.written(*rows, &prepared.plan),
        _ => None,
    };
    match (error, exceeded) {
        (_, Some(exceeded)) => LimitError::Exceeded(exceeded).into(),
        (Error::Import(inner, first, last), None) => {
            Error::Import(Box::new(explain(*inner, limits, prepared, took)), first, last)
        }
        (Error::Database(DbError::Refused(refusal), signed_in), None)
            if is_refused_setting(&refusal) && prepared.may_lack_its_role() =>
        {
            Error::NoRole(Box::new(Error::Database(DbError::Refused(refusal), signed_in)))
        }
        (error, None) => error,
    }
}

fn main(plan: &Plan<'_>) -> Result<Query, Error> {
    sql::main(plan).ok_or(Error::NoSnapshot).and_then(within_limits)
}

fn within_limits(query: Query) -> Result<Query, Error> {
    if query.params.len() > sql::MAX_PARAMS { Err(Error::TooManyValues) } else { Ok(query) }
}

fn first(rows: Vec<Row>) -> Result<ResultSet, Error> {
    rows.into_iter().next().map(ResultSet::from_row).ok_or_else(no_row)
}

fn no_row() -> Error {
    Error::Database(DbError::Protocol("no row".into()), true)
}

/// A field of a plan's topmost node.
fn topmost(rows: &[Row], name: &str) -> Option<serde_json::Value> {
    let text = rows.first()?.first()?.as_ref()?;
    let plan: serde_json::Value = serde_json::from_slice(text).ok()?;
    plan.get(0)?.get("Plan")?.get(name).cloned()
}

/// A violated guard reports the number of rows in DETAIL.
fn refused(plan: &Plan<'_>, mut error: DbError, signed_in: bool) -> Error {
    let DbError::Refused(refusal) = &mut error else { return Error::Database(error, signed_in) };
    if refusal.code != "RHROW" {
        refusal.message = plan.with_table_names(&refusal.message);
        refusal.hint = refusal.hint.as_deref().map(|hint| plan.with_table_names(hint));
        return Error::Database(error, signed_in);
    }
    let rows = refusal.detail.as_deref().and_then(|detail| detail.trim().parse().ok()).unwrap_or(0);
    match plan {
        Plan::Write(write) if write.mutation == Mutation::Replace => Error::PutMismatch,
        Plan::Write(write) if write.format.is_singular() => Error::Singular(rows),
        Plan::Call(call) if call.format.is_singular() => Error::Singular(rows),
        Plan::Write(_) | Plan::Call(_) | Plan::Read(_) | Plan::Describe(_) | Plan::Root { .. } => {
            Error::MaxAffected(rows)
        }
    }
}
