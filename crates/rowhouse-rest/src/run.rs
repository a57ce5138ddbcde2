//! The one stage that talks to the database: main query, and the estimate where one was asked for.

use rowhouse_db::flight::{Query, RequestContext};
use rowhouse_db::{DataPlane, DbError};
use rowhouse_kernel::settings::RestSettings;

use crate::error::Error;
use crate::plan::{Plan, max_rows};
use crate::request::{ApiRequest, Count, Mutation};
use crate::respond::Answer;
use crate::sql;

/// Runs a plan's query and reads its answer.
///
/// # Errors
/// What the database refused, with violated row bounds told apart.
pub(crate) async fn run(
    database: &DataPlane,
    context: &RequestContext<'_>,
    request: &ApiRequest,
    plan: &Plan<'_>,
    query: &Query,
    settings: &RestSettings,
) -> Result<Answer, Error> {
    let fail = |error| refused(plan, error, *context.caller.role != *settings.anon_role);
    let rows = database.fly(context, query).await.map_err(fail)?;
    if plan.format().is_some_and(|format| format.explain.is_some()) {
        return Ok(Answer::of_lines(rows));
    }
    let missing = || Error::Database(DbError::Protocol("no row".to_owned()), true);
    let mut answer = Answer::from_row(rows.into_iter().next().ok_or_else(missing)?);
    answer.decode(plan);
    let count = request.prefer.count;
    let estimates = matches!(count, Some(Count::Planned | Count::Estimated));
    let Some(estimate) = sql::estimate(plan).filter(|_| estimates) else { return Ok(answer) };
    let explained = database.fly(context, &estimate).await.map_err(fail)?;
    Ok(answer.with_estimate(count, planned_rows(&explained), max_rows(settings)))
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
        Plan::Write(_) | Plan::Call(_) | Plan::Read(_) | Plan::Describe(_) | Plan::Root => {
            Error::MaxAffected(rows)
        }
    }
}
