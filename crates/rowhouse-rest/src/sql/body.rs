//! The response body, as one expression over the rows that `rowhouse_row` stands for.

use super::builder::Sql;
use crate::plan::CallPlan;
use crate::request::Media;
use rowhouse_db::catalog::Returns;

/// A body of rows: an array, or the first row alone.
pub(super) fn rows(sql: &mut Sql, media: &Media) {
    aggregate(sql, media, "rowhouse_row", false);
}

/// A function's result: a bare value or row unless it returns a set.
pub(super) fn result(sql: &mut Sql, plan: &CallPlan<'_>) {
    let single = !plan.function.returns_set;
    match plan.function.returns {
        Returns::Void => {
            sql.push("''");
        }
        Returns::Scalar => aggregate(sql, &plan.media, "rowhouse_row.rowhouse_scalar", single),
        Returns::Row(_) => aggregate(sql, &plan.media, "rowhouse_row", single),
    }
}

fn aggregate(sql: &mut Sql, media: &Media, item: &str, single: bool) {
    let (first, strip) = match media {
        Media::Object { strip } => (true, *strip),
        Media::StrippedArray => (single, true),
        _ => (single, false),
    };
    sql.push(if strip { "coalesce(json_strip_nulls(json_agg(" } else { "coalesce(json_agg(" });
    sql.push(item).push(if first { ")->0" } else { ")" });
    sql.push(if strip { ")" } else { "" });
    sql.push(if first { ", 'null')::text" } else { ", '[]')::text" });
}
