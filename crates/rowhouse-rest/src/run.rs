//! The one stage that talks to the database: main query, and the estimate where one was asked for.

use bytes::Bytes;
use rowhouse_db::flight::{Query, RequestContext, Row, Value};
use rowhouse_db::{DataPlane, DbError};
use rowhouse_kernel::settings::RestSettings;

use crate::error::Error;
use crate::plan::{Plan, max_rows};
use crate::request::{ApiRequest, Count, Mutation};
use crate::respond::{Answer, ResponseBody};
use crate::{sql, stream};

/// A planned request on its way to the database.
#[derive(Clone, Copy)]
pub(crate) struct Task<'a> {
    pub(crate) database: &'a DataPlane,
    pub(crate) context: &'a RequestContext<'a>,
    pub(crate) request: &'a ApiRequest,
    pub(crate) settings: &'a RestSettings,
}

/// Runs a plan's query and reads its answer; a long body is left to be handed on.
///
/// # Errors
/// What the database refused, with violated row bounds told apart.
pub(crate) async fn run(task: Task<'_>, plan: &Plan<'_>) -> Result<Answer, Error> {
    let fail = |error| refused(plan, error, task.is_signed_in());
    let estimate = task.estimate(plan).await?;
    let mut answer = if plan.streams() {
        task.lines(plan).await?
    } else {
        let query = main(plan)?;
        if plan.format().is_some_and(|format| format.explain.is_some()) {
            return task.database.fly(task.context, &query).await.map(Answer::of_lines).map_err(fail);
        }
        task.whole(plan, &query).await?
    };
    answer.decode(plan);
    let mut answer = answer.with_estimate(task.request.prefer.count, estimate, max_rows(task.settings));
    if plan.streams() {
        answer.count_page(plan.range());
    }
    Ok(answer)
}

impl Task<'_> {
    pub(crate) fn is_signed_in(&self) -> bool {
        *self.context.caller.role != *self.settings.anon_role
    }

    async fn whole(&self, plan: &Plan<'_>, query: &Query) -> Result<Answer, Error> {
        let fail = |error| refused(plan, error, self.is_signed_in());
        if !plan.may_be_long() {
            return first(self.database.fly(self.context, query).await.map_err(fail)?);
        }
        match self.database.fly_value(self.context, query).await.map_err(fail)? {
            Value::Whole(rows) => first(rows),
            Value::Long(leading, length, pieces) => {
                let body = stream::body(Bytes::new(), *pieces, self.settings.stall_timeout);
                Ok(Answer::of(leading, ResponseBody::Streamed(body, Some(length))))
            }
        }
    }

    async fn lines(&self, plan: &Plan<'_>) -> Result<Answer, Error> {
        let fail = |error| refused(plan, error, self.is_signed_in());
        let (head, lines) = sql::lines(plan).ok_or(Error::NoSnapshot)?;
        let (head, lines) = (within_limits(head)?, within_limits(lines)?);
        let lines = self.database.fly_lines(self.context, &head, &lines).await.map_err(fail)?;
        let body = match lines.rest {
            Some(pieces) => stream::body(lines.first, pieces, self.settings.stall_timeout),
            None => lines.first.into(),
        };
        let head = lines.head.into_iter().next().ok_or_else(no_row)?;
        Ok(Answer::of(head, ResponseBody::Streamed(body, None)))
    }

    /// The planner's number of rows, where the client wants it.
    async fn estimate(&self, plan: &Plan<'_>) -> Result<Option<i64>, Error> {
        let wanted = matches!(self.request.prefer.count, Some(Count::Planned | Count::Estimated));
        let Some(query) = sql::estimate(plan).filter(|_| wanted) else { return Ok(None) };
        let fail = |error| refused(plan, error, self.is_signed_in());
        let rows = self.database.fly(self.context, &within_limits(query)?).await.map_err(fail)?;
        Ok(planned_rows(&rows))
    }
}

fn main(plan: &Plan<'_>) -> Result<Query, Error> {
    sql::main(plan).ok_or(Error::NoSnapshot).and_then(within_limits)
}

fn within_limits(query: Query) -> Result<Query, Error> {
    if query.params.len() > sql::MAX_PARAMS { Err(Error::TooManyValues) } else { Ok(query) }
}

fn first(rows: Vec<Row>) -> Result<Answer, Error> {
    rows.into_iter().next().map(Answer::from_row).ok_or_else(no_row)
}

fn no_row() -> Error {
    Error::Database(DbError::Protocol("no row".to_owned()), true)
}

/// `Plan Rows` of the topmost node.
fn planned_rows(rows: &[rowhouse_db::flight::Row]) -> Option<i64> {
    let text = rows.first()?.first()?.as_ref()?;
    let plan: serde_json::Value = serde_json::from_slice(text).ok()?;
    plan.get(0)?.get("Plan")?.get("Plan Rows")?.as_i64()
}

/// A violated guard carries the number of rows in DETAIL.
fn refused(plan: &Plan<'_>, error: DbError, signed_in: bool) -> Error {
    let DbError::Refused(refusal) = &error else { return Error::Database(error, signed_in) };
    if refusal.code != "RHROW" {
        return Error::Database(error, signed_in);
    }
    let rows = refusal.detail.as_deref().and_then(|detail| detail.trim().parse().ok()).unwrap_or(0);
    match plan {
        Plan::Write(write) if write.mutation == Mutation::Replace => Error::PutMismatch,
        Plan::Write(write) if write.format.is_singular() => Error::Singular(rows),
        Plan::Call(call) if call.format.is_singular() => Error::Singular(rows),
        Plan::Write(_) | Plan::Call(_) | Plan::Read(_) | Plan::Describe(_) | Plan::Root(_) => {
            Error::MaxAffected(rows)
        }
    }
}
