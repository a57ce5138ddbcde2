//! From a [`Plan`] to SQL text and parameters. A pure function.
//!
//! Names are quoted and schema-qualified, values are parameters, so the text depends on the shape of a request
//! only and one prepared statement serves all requests of that shape. Only type names in casts are written unquoted;
//! the parser limits them to letters, digits, `_`, `$` and spaces.
//!
//! Every main query gives one row of text columns: total count, page count, `response.headers`, `response.status`;
//! then, except for reads, the key of the one row written (JSON array), the number of new rows of an upsert, and a guard
//! (always empty; it raises instead); last the body, so that a long one can be streamed.

mod body;
mod builder;
mod call;
mod csv;
mod embed;
mod filter;
mod order;
mod read;
mod reference;
mod select;
mod value;
mod write;

use bytes::Bytes;
use rowhouse_db::flight::Query;

use builder::Sql;

use crate::plan::{Effect, Plan, WritePlan};
use crate::request::ExplainMedia;

/// Columns of the answer; the body is the last.
pub(crate) mod column {
    pub(crate) const TOTAL: usize = 0;
    pub(crate) const PAGE: usize = 1;
    pub(crate) const HEADERS: usize = 2;
    pub(crate) const STATUS: usize = 3;
    pub(crate) const KEY: usize = 4;
    pub(crate) const NEW_ROWS: usize = 5;
}

/// The settings through which a function or trigger changes the answer.
const GUC: &str = "nullif(current_setting('response.headers', true), ''), \
                   nullif(current_setting('response.status', true), '')";

/// The most parameters that one statement can have: the protocol counts them in 16 bits.
pub(crate) const MAX_PARAMS: usize = 65_535;

/// The statement before the main query: settings, then the function `name`, given as `function` or `schema.function`.
/// `None` if there is nothing to do.
pub(crate) fn before<'s>(
    settings: impl IntoIterator<Item = (&'s str, &'s str)>,
    name: Option<&str>,
) -> Option<Query> {
    let mut sql = Sql::new();
    sql.push("select ");
    let mut separator = "";
    for (name, value) in settings {
        sql.push(separator).push("set_config(").param(name).push(", ").param(value).push(", true)");
        separator = ", ";
    }
    if let Some(name) = name {
        sql.push(separator);
        match name.split_once('.') {
            Some((schema, name)) => sql.ident(schema).push(".").ident(name),
            None => sql.ident(name),
        };
        sql.push("()");
        separator = ", ";
    }
    (!separator.is_empty()).then(|| sql.finish())
}

/// The main query; `None` if the snapshot alone answers.
pub(crate) fn main(plan: &Plan<'_>) -> Option<Query> {
    let query = answering(Sql::new(), plan)?;
    Some(match plan.format().and_then(|format| format.explain) {
        Some(explain) => explained(query, explain),
        None => query,
    })
}

/// A write's main query with other rows in its body.
pub(crate) fn write_batch(plan: &WritePlan<'_>, rows: Bytes) -> Query {
    write::main(Sql::with_body(rows), plan)
}

/// Two queries for an answer in lines: a row like a main query's without body, then the lines.
pub(crate) fn lines(plan: &Plan<'_>) -> Option<(Query, Query)> {
    match plan {
        Plan::Read(plan) => Some((read::head(plan), read::lines(Sql::new(), plan))),
        Plan::Call(plan) => Some((call::head(plan), call::lines(Sql::new(), plan))),
        Plan::Write(_) | Plan::Describe(_) | Plan::Root { .. } => None,
    }
}

/// The query of an answer.
fn answering(sql: Sql, plan: &Plan<'_>) -> Option<Query> {
    Some(match plan {
        Plan::Read(plan) => read::main(sql, plan),
        Plan::Write(plan) => write::main(sql, plan),
        Plan::Call(plan) => call::main(sql, plan),
        Plan::Describe(_) | Plan::Root { .. } => return None,
    })
}

/// The query of an answer's body, even if its plan is requested.
pub(crate) fn bare(plan: &Plan<'_>) -> Option<Query> {
    making(Sql::new, plan)
}

fn making(sql: fn() -> Sql, plan: &Plan<'_>) -> Option<Query> {
    match plan {
        Plan::Read(read) if plan.streams() => Some(read::lines(sql(), read)),
        Plan::Call(call) if plan.streams() => Some(call::lines(sql(), call)),
        _ => answering(sql(), plan),
    }
}

/// The query for the cost of the main query: one column, `EXPLAIN` as JSON. Without `values` the query is planned
/// generically. `None` if nothing is run, and for inserts, since the planner does not know the number of rows in a
/// body.
pub(crate) fn cost(plan: &Plan<'_>, values: bool) -> Option<Query> {
    if matches!(plan, Plan::Write(write) if matches!(write.effect, Effect::Insert { .. })) {
        return None;
    }
    let only_planned = |explain: &ExplainMedia| !explain.options.contains(&"analyze");
    if plan.format().and_then(|format| format.explain).is_some_and(only_planned) {
        return None;
    }
    if values {
        let query = bare(plan)?;
        return Some(Query {
            sql: format!("explain (format json) {}", query.sql).into(),
            params: query.params,
        });
    }
    let query = making(Sql::with_numbers, plan)?;
    let mut sql = Sql::new();
    sql.push("select rowhouse.generic_plan(").param(query.sql.as_bytes()).push(", ");
    sql.param(query.params.len().to_string()).push(")");
    Some(sql.finish())
}

/// The query's plan instead of its answer.
fn explained(query: Query, explain: &ExplainMedia) -> Query {
    let format = if explain.json { "format json" } else { "format text" };
    let options: Vec<&str> = std::iter::once(format).chain(explain.options.iter().copied()).collect();
    Query { sql: format!("explain ({}) {}", options.join(", "), query.sql).into(), params: query.params }
}

/// The query whose plan estimates the total of a read: one column, `EXPLAIN` as JSON.
pub(crate) fn estimate(plan: &Plan<'_>) -> Option<Query> {
    match plan {
        Plan::Read(plan) => Some(read::estimate(plan)),
        Plan::Write(_) | Plan::Call(_) | Plan::Describe(_) | Plan::Root { .. } => None,
    }
}

#[cfg(test)]
mod tests;
