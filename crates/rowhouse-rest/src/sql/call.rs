//! Calls: the function in front, then its result.

use rowhouse_db::catalog::{Argument, Returns};
use rowhouse_db::flight::Query;

use super::builder::Sql;
use super::{GUC, body, read, write};
use crate::plan::{Arguments, CallPlan, Total};
use crate::request::Shape;

pub(super) fn main(mut sql: Sql, plan: &CallPlan<'_>) -> Query {
    sql.push("with rowhouse_source as (");
    source(&mut sql, plan);
    sql.push(") select ");
    read::total(&mut sql, plan.total, &plan.node);
    sql.push(if plan.function.returns_set { ", count(*)::text, " } else { ", '1', " });
    sql.push(GUC).push(", null::text, null::text, ");
    write::guard(&mut sql, plan.bounds, "count(*)");
    sql.push(", ");
    if plan.headers_only {
        sql.push("''");
    } else {
        body::result(&mut sql, plan);
    }
    sql.push(" from (");
    read::node(&mut sql, &plan.node, 0);
    sql.push(") rowhouse_row");
    sql.finish()
}

/// The columns known before the lines; a count calls the function separately.
pub(super) fn head(plan: &CallPlan<'_>) -> Query {
    let mut sql = Sql::new();
    let total = plan.total.counted();
    if total != Total::Unknown {
        sql.push("with rowhouse_source as (");
        source(&mut sql, plan);
        sql.push(") ");
    }
    sql.push("select ");
    read::total(&mut sql, total, &plan.node);
    sql.push(", '0', ").push(GUC).push(", ''");
    sql.finish()
}

pub(super) fn lines(mut sql: Sql, plan: &CallPlan<'_>) -> Query {
    let is_row = matches!(plan.function.returns, Returns::Row(_));
    sql.push("with rowhouse_source as (");
    source(&mut sql, plan);
    sql.push(") select ");
    body::line(&mut sql, if is_row { body::ROW } else { body::SCALAR });
    sql.push(" from (");
    read::node(&mut sql, &plan.node, 0);
    sql.push(") rowhouse_row");
    sql.finish()
}

fn source(sql: &mut Sql, plan: &CallPlan<'_>) {
    let is_row = matches!(plan.function.returns, Returns::Row(_));
    sql.push("select ");
    if is_row {
        sql.list(&plan.columns, ", ", |sql, column| {
            sql.push("rowhouse_call.");
            if *column == "*" {
                sql.push("*")
            } else {
                sql.ident(column)
            };
        });
    } else {
        call(sql, plan);
        sql.push(" as rowhouse_scalar");
    }
    if let Arguments::Json { arguments, text, shape, is_text } = &plan.arguments {
        sql.push(" from ");
        body_row(sql, arguments, text.clone(), (*shape, *is_text));
        sql.push(if is_row { ", lateral " } else { "" });
    } else {
        sql.push(if is_row { " from " } else { "" });
    }
    if is_row {
        call(sql, plan);
        sql.push(" as rowhouse_call");
    }
}

/// `schema.function(name := value, …)`.
fn call(sql: &mut Sql, plan: &CallPlan<'_>) {
    sql.qualified(&plan.function.name).push("(");
    match &plan.arguments {
        Arguments::None => {}
        Arguments::Single(argument, value) => {
            sql.bind(Some(value.clone())).push("::").push(argument.cast_type());
        }
        Arguments::Direct(values) => {
            sql.list(values, ", ", |sql, (argument, value)| {
                name(sql, argument);
                sql.bind(Some(value.clone())).push("::").push(argument.cast_type());
            });
        }
        Arguments::Json { arguments, is_text, .. } => {
            sql.list(arguments, ", ", |sql, argument| {
                name(sql, argument);
                sql.push("rowhouse_body.").ident(&argument.name);
                if *is_text && is_document(argument) {
                    sql.push("::").push(argument.cast_type());
                }
            });
        }
    }
    sql.push(")");
}

fn name(sql: &mut Sql, argument: &Argument) {
    sql.push(if argument.variadic { "variadic " } else { "" }).ident(&argument.name).push(" := ");
}

/// The body as one row `rowhouse_body`; of an array the first object.
fn body_row(sql: &mut Sql, arguments: &[&Argument], text: bytes::Bytes, (shape, is_text): (Shape, bool)) {
    let array = shape == Shape::Array;
    sql.push(if array { "(select * from json_to_recordset(" } else { "json_to_record(" });
    sql.bind(Some(text)).push(if array { "::json) as _(" } else { "::json) as rowhouse_body(" });
    sql.list(arguments, ", ", |sql, argument| {
        let is_read_later = is_text && is_document(argument);
        sql.ident(&argument.name).push(" ").push(if is_read_later { "text" } else { argument.cast_type() });
    });
    sql.push(if array { ") limit 1) as rowhouse_body" } else { ")" });
}

fn is_document(argument: &Argument) -> bool {
    matches!(argument.type_name.as_str(), "json" | "jsonb")
}
