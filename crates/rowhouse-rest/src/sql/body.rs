//! The response body, as one expression over the rows that `rowhouse_row` stands for.

use rowhouse_db::catalog::{HandlerSource, MediaHandler, QualifiedName, Returns};

use super::builder::Sql;
use super::csv;
use crate::plan::{BodyHandler, CallPlan, Format};

/// A whole row. With the star it cannot be mistaken for a column of that name.
pub(super) const ROW: &str = "rowhouse_row.*";
/// A function's bare result.
pub(super) const SCALAR: &str = "rowhouse_row.rowhouse_scalar";

/// A body of rows: an array, or the first row alone.
pub(super) fn rows(sql: &mut Sql, format: &Format<'_>) {
    body(sql, format, ROW, false);
}

/// A function's result: a bare value or row unless it returns a set.
pub(super) fn result(sql: &mut Sql, plan: &CallPlan<'_>) {
    let single = !plan.function.returns_set;
    match plan.function.returns {
        Returns::Void => {
            sql.push("''");
        }
        Returns::Scalar => body(sql, &plan.format, SCALAR, single),
        Returns::Row(_) => body(sql, &plan.format, ROW, single),
    }
}

fn body(sql: &mut Sql, format: &Format<'_>, item: &str, single: bool) {
    match format.handler {
        BodyHandler::Json => json(sql, item, single, false),
        BodyHandler::Object { strip } => json(sql, item, true, strip),
        BodyHandler::Stripped => json(sql, item, single, true),
        BodyHandler::Csv => csv::rows(sql, format.columns.as_deref()),
        BodyHandler::Features(function) => features(sql, function),
        BodyHandler::Lines => {
            sql.push("coalesce(string_agg(");
            line(sql, item);
            sql.push(" || e'\\n', ''), '')");
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

/// One row as JSON on one line. Embeds and stored `json` documents may contain line ends, which in JSON occur between
/// tokens only.
pub(super) fn line(sql: &mut Sql, item: &str) {
    sql.push("translate(to_json(").push(item).push(")::text, e'\\n\\r', '  ')");
}

/// Features of whole rows; PostGIS finds the geometry column.
fn features(sql: &mut Sql, function: &QualifiedName) {
    sql.push("json_build_object('type', 'FeatureCollection', 'features', coalesce(json_agg(");
    sql.qualified(function).push("(rowhouse_row.*)::json), '[]'))::text");
}

/// The project's own handler; a function that returns the media type itself needs no further step. Bytes are encoded
/// independently of `bytea_output`.
fn made(sql: &mut Sql, handler: &MediaHandler, item: &str) {
    sql.push(if handler.is_bytes { "'\\x' || encode((" } else { "" });
    match &handler.source {
        HandlerSource::Itself => {
            sql.push("(array_agg(").push(item).push("))[1]");
        }
        HandlerSource::AnyRows => {
            sql.qualified(&handler.function).push("(").push(item).push(")");
        }
        HandlerSource::Table(table) => {
            sql.qualified(&handler.function).push("((").push(item).push(")::").qualified(table).push(")");
        }
    }
    sql.push(if handler.is_bytes { ")::bytea, 'hex')" } else { "" });
}
