//! The response body, as one expression over the rows that `rowhouse_row` stands for.

use rowhouse_db::catalog::{HandlerSource, MediaHandler, QualifiedName, Returns};

use super::builder::Sql;
use crate::plan::{BodyHandler, CallPlan, Format};

/// A body of rows: an array, or the first row alone.
pub(super) fn rows(sql: &mut Sql, format: &Format<'_>) {
    body(sql, format, "rowhouse_row", false);
}

/// A function's result: a bare value or row unless it returns a set.
pub(super) fn result(sql: &mut Sql, plan: &CallPlan<'_>) {
    let single = !plan.function.returns_set;
    match plan.function.returns {
        Returns::Void => {
            sql.push("''");
        }
        Returns::Scalar => body(sql, &plan.format, "rowhouse_row.rowhouse_scalar", single),
        Returns::Row(_) => body(sql, &plan.format, "rowhouse_row", single),
    }
}

fn body(sql: &mut Sql, format: &Format<'_>, item: &str, single: bool) {
    match format.handler {
        BodyHandler::Json => json(sql, item, single, false),
        BodyHandler::Object { strip } => json(sql, item, true, strip),
        BodyHandler::Stripped => json(sql, item, single, true),
        BodyHandler::Csv => csv(sql),
        BodyHandler::Features(function) => features(sql, function),
        BodyHandler::Lines => {
            sql.push("coalesce(string_agg(to_json(").push(item).push(")::text || e'\\n', ''), '')");
        }
        BodyHandler::Custom(handler) => made(sql, handler, item),
    }
}

fn json(sql: &mut Sql, item: &str, first: bool, strip: bool) {
    sql.push(if strip { "coalesce(json_strip_nulls(json_agg(" } else { "coalesce(json_agg(" });
    sql.push(item).push(if first { ")->0" } else { ")" });
    sql.push(if strip { ")" } else { "" });
    sql.push(if first { ", 'null')::text" } else { ", '[]')::text" });
}

/// A line of names, then a line for each row: its text form without the brackets.
fn csv(sql: &mut Sql) {
    sql.push(
        "coalesce((select string_agg(rowhouse_key, ',') from json_object_keys(row_to_json(\
         (array_agg(rowhouse_row))[1])) rowhouse_key), '') || e'\\n' || coalesce(string_agg(substring(\
         rowhouse_row::text, 2, length(rowhouse_row::text) - 2), e'\\n'), '')",
    );
}

/// Features of whole rows; which column is the geometry, PostGIS finds out.
fn features(sql: &mut Sql, function: &QualifiedName) {
    sql.push("json_build_object('type', 'FeatureCollection', 'features', coalesce(json_agg(");
    sql.qualified(function).push("(rowhouse_row)::json), '[]'))::text");
}

/// The project's own handler; a function that makes the media type itself has done so already.
fn made(sql: &mut Sql, handler: &MediaHandler, item: &str) {
    match &handler.source {
        HandlerSource::Itself => {
            sql.push("(array_agg(").push(item).push("))[1]");
        }
        HandlerSource::AnyRows => {
            sql.qualified(&handler.function).push("(").push(item).push(")");
        }
        HandlerSource::Table(table) => {
            sql.qualified(&handler.function).push("(").push(item).push("::").qualified(table).push(")");
        }
    }
}
