//! Writes: the change as a CTE, then the rows that it returns.

use rowhouse_db::catalog::Column;
use rowhouse_db::flight::Query;

use super::builder::Sql;
use super::filter::{all, filter_rows, no_embed};
use super::reference::qualifier;
use super::value::{self, is_document};
use super::{GUC, body, read};
use crate::plan::{Condition, Conflict, Effect, Qualifier, Returning, RowBounds, RowSource, WritePlan};
use crate::request::{Resolution, Shape};

/// Counts inserted rows; decremented for each merged one. PostgreSQL evaluates it once per row because
/// it is volatile.
const COUNT_UP: &str = "set_config('rowhouse.inserted', \
    (coalesce(nullif(current_setting('rowhouse.inserted', true), '')::int, 0) + 1)::text, true) <> '0'";
const COUNT_DOWN: &str = "set_config('rowhouse.inserted', \
    (coalesce(nullif(current_setting('rowhouse.inserted', true), '')::int, 0) - 1)::text, true) <> '-1'";

pub(super) fn main(mut sql: Sql, plan: &WritePlan<'_>) -> Query {
    sql.push("with rowhouse_source as (");
    effect(&mut sql, plan);
    sql.push(") select count(*)::text, count(*)::text, ").push(GUC).push(", ");
    key(&mut sql, &plan.returning);
    let counts = matches!(plan.effect, Effect::Insert { counts_new: true, .. });
    let inserted = "nullif(current_setting('rowhouse.inserted', true), '')";
    sql.push(", ").push(if counts { inserted } else { "null::text" }).push(", ");
    // An inner embed may hide written rows; the cap counts those as well.
    let capped = plan.bounds.is_some_and(|bounds| bounds.low.is_none());
    guard(&mut sql, plan.bounds, if capped { "(select count(*) from rowhouse_source)" } else { "count(*)" });
    sql.push(", ");
    match &plan.read {
        Some(node) => {
            body::rows(&mut sql, &plan.format);
            sql.push(" from (");
            read::node(&mut sql, node, 0);
            sql.push(") rowhouse_row");
        }
        None => {
            sql.push("'' from rowhouse_source");
        }
    }
    sql.finish()
}

/// Raises, and so rolls back, when `rows` is out of bounds.
pub(super) fn guard(sql: &mut Sql, bounds: Option<RowBounds>, rows: &str) {
    let Some(RowBounds { low, high, .. }) = bounds else {
        sql.push("null::text");
        return;
    };
    let value = |number: Option<i64>| number.map(|number| number.to_string().into());
    sql.push("rowhouse.require_rows(").push(rows).push(", ").bind(value(low)).push("::bigint, ");
    sql.bind(value(high)).push("::bigint)::text");
}

fn key(sql: &mut Sql, returning: &Returning<'_>) {
    let Returning::Key(columns) = returning else {
        sql.push("null::text");
        return;
    };
    sql.push("case when count(*) = 1 then (select json_build_array(");
    sql.list(columns, ", ", |sql, column| {
        sql.ident(column).push("::text");
    });
    sql.push(") from rowhouse_source limit 1)::text end");
}

fn effect(sql: &mut Sql, plan: &WritePlan<'_>) {
    let target = Qualifier::of(&plan.table.name);
    match &plan.effect {
        Effect::Insert { rows, conflict, must_match, counts_new } => {
            sql.push("insert into ");
            table(sql, plan, &target);
            insert(sql, rows, must_match, *counts_new);
            on_conflict(sql, rows, conflict.as_ref(), *counts_new);
        }
        Effect::Update { rows, .. } if rows.columns.is_empty() => return nothing(sql, plan),
        Effect::Update { rows, conditions } => {
            sql.push("update ");
            table(sql, plan, &target);
            sql.push(" set ");
            sql.list(&rows.columns, ", ", |sql, column| {
                sql.ident(&column.name).push(" = ");
                value(sql, rows, column);
            });
            sql.push(" from ");
            body_rows(sql, rows);
            filter_rows(sql, &target, conditions, &no_embed);
        }
        Effect::Delete { conditions } => {
            sql.push("delete from ");
            table(sql, plan, &target);
            filter_rows(sql, &target, conditions, &no_embed);
        }
    }
    sql.push(" returning ");
    returned(sql, plan, &target);
}

fn table(sql: &mut Sql, plan: &WritePlan<'_>, name: &Qualifier<'_>) {
    sql.qualified(&plan.table.name);
    if !matches!(name, Qualifier::Table { .. }) {
        sql.push(" as ");
        qualifier(sql, name);
    }
}

/// An update without columns changes nothing, and still has the columns of the table.
fn nothing(sql: &mut Sql, plan: &WritePlan<'_>) {
    sql.push("select ");
    let target = Qualifier::of(&plan.table.name);
    returned(sql, plan, &target);
    sql.push(" from ");
    table(sql, plan, &target);
    sql.push(" where false");
}

fn returned(sql: &mut Sql, plan: &WritePlan<'_>, target: &Qualifier<'_>) {
    match &plan.returning {
        Returning::Nothing => {
            sql.push("1");
        }
        Returning::Key(columns) | Returning::Columns(columns) => {
            sql.list(columns, ", ", |sql, column| {
                qualifier(sql, target);
                sql.push(".");
                if *column == "*" {
                    sql.push("*")
                } else {
                    sql.ident(column)
                };
            });
        }
    }
}

fn insert(sql: &mut Sql, rows: &RowSource<'_>, must_match: &[Condition<'_>], counts_new: bool) {
    if !rows.columns.is_empty() {
        sql.push(" (").list(&rows.columns, ", ", |sql, column| {
            sql.ident(&column.name);
        });
        sql.push(")");
    }
    sql.push(" select ").list(&rows.columns, ", ", |sql, column| value(sql, rows, column));
    sql.push(" from ");
    body_rows(sql, rows);
    if counts_new {
        sql.push(" where ").push(COUNT_UP);
    }
    if !must_match.is_empty() {
        sql.push(if counts_new { " and " } else { " where " });
        all(sql, &Qualifier::Body, must_match, &no_embed);
    }
}

fn on_conflict(sql: &mut Sql, rows: &RowSource<'_>, conflict: Option<&Conflict<'_>>, counts_new: bool) {
    let Some(conflict) = conflict else { return };
    sql.push(" on conflict (").list(&conflict.columns, ", ", |sql, column| {
        sql.ident(column);
    });
    if conflict.resolution == Resolution::Ignore || rows.columns.is_empty() {
        sql.push(") do nothing");
        return;
    }
    sql.push(") do update set ").list(&rows.columns, ", ", |sql, column| {
        sql.ident(&column.name).push(" = excluded.").ident(&column.name);
    });
    if counts_new {
        sql.push(" where ").push(COUNT_DOWN);
    }
}

/// The body as a table `rowhouse_body` with the columns' own types.
fn body_rows(sql: &mut Sql, rows: &RowSource<'_>) {
    let is_array = rows.shape == Shape::Array;
    match (rows.columns.is_empty(), is_array) {
        // `{}` is one row of defaults, `[{}, {}]` two.
        (true, false) => {
            sql.push("(values (1)) rowhouse_body");
            return;
        }
        (true, true) => {
            sql.push("json_array_elements(").bind_body(&rows.text).push("::json) rowhouse_body");
            return;
        }
        (false, _) if rows.fill_defaults => elements(sql, rows),
        (false, true) => {
            sql.push("json_to_recordset(").bind_body(&rows.text).push("::json)");
        }
        (false, false) => {
            sql.push("json_to_record(").bind_body(&rows.text).push("::json)");
        }
    }
    sql.push(" as rowhouse_body(").list(&rows.columns, ", ", |sql, column| {
        sql.ident(&column.name).push(" ").push(match column.representation.from_json {
            Some(_) => "json",
            None if rows.is_text && is_document(column) => "text",
            None => &column.type_name,
        });
    });
    sql.push(")");
}

/// Each object with its columns; defaults are used for those that it lacks.
fn elements(sql: &mut Sql, rows: &RowSource<'_>) {
    if rows.shape == Shape::Array {
        sql.push("jsonb_array_elements(").bind_body(&rows.text).push("::jsonb) ");
    } else {
        sql.push("(select ").bind_body(&rows.text).push("::jsonb) ");
    }
    sql.push("as rowhouse_json(rowhouse_element), jsonb_to_record(rowhouse_json.rowhouse_element)");
}

/// A column's value: out of the body, or its default where the body lacks it.
fn value(sql: &mut Sql, rows: &RowSource<'_>, column: &Column) {
    let Some(default) = column.default.as_deref().filter(|_| rows.fill_defaults) else {
        return value::read(sql, column, rows.is_text);
    };
    sql.push("case when rowhouse_json.rowhouse_element ? ").param(&column.name).push("::text then ");
    value::read(sql, column, rows.is_text);
    sql.push(" else (").push(default).push(")::").push(&column.type_name).push(" end");
}
