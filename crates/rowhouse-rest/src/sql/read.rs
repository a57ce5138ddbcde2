//! Reads: one level, and the statements around it.

use rowhouse_db::flight::Query;

use super::builder::Sql;
use super::filter::filter_rows;
use super::order::{order, within};
use super::reference::from;
use super::{GUC, body, embed, select};
use crate::plan::{MAX_COUNTED_ESTIMATE, ReadNode, ReadPlan, Total};

pub(super) fn main(mut sql: Sql, plan: &ReadPlan<'_>) -> Query {
    sql.push("select ");
    total(&mut sql, plan.total, &plan.node);
    sql.push(", count(*)::text, ").push(GUC).push(", ");
    if plan.headers_only {
        sql.push("''");
    } else {
        body::rows(&mut sql, &plan.format);
    }
    sql.push(" from (");
    node(&mut sql, &plan.node, 0);
    sql.push(") rowhouse_row");
    sql.finish()
}

/// The columns known before the lines, without the page's count.
pub(super) fn head(plan: &ReadPlan<'_>) -> Query {
    let mut sql = Sql::new();
    sql.push("select ");
    total(&mut sql, plan.total.counted(), &plan.node);
    sql.push(", '0', ").push(GUC).push(", ''");
    sql.finish()
}

pub(super) fn lines(mut sql: Sql, plan: &ReadPlan<'_>) -> Query {
    sql.push("select ");
    body::line(&mut sql, body::ROW);
    sql.push(" from (");
    node(&mut sql, &plan.node, 0);
    sql.push(") rowhouse_row");
    sql.finish()
}

pub(super) fn estimate(plan: &ReadPlan<'_>) -> Query {
    let mut sql = Sql::new();
    sql.push("explain (format json) ");
    counted(&mut sql, &plan.node);
    sql.finish()
}

/// The total as text, or null.
pub(super) fn total(sql: &mut Sql, total: Total, root: &ReadNode<'_>) {
    // One more than the cap, to detect further rows.
    let cap = match total {
        Total::Unknown | Total::Planned { .. } => {
            sql.push("null::text");
            return;
        }
        Total::Page | Total::Estimated { is_whole: true, .. } => {
            sql.push("count(*)::text");
            return;
        }
        Total::Counted { cap } => cap,
        Total::CountedEstimate => Some(MAX_COUNTED_ESTIMATE.saturating_add(1)),
        Total::Estimated { max_rows, .. } => max_rows.map(|rows| rows.saturating_add(1)),
    };
    sql.push("(select count(*) from (");
    counted(sql, root);
    if let Some(cap) = cap {
        sql.push(" limit ").rows(cap);
    }
    sql.push(") rowhouse_count)::text");
}

/// A level with everything embedded in it.
pub(super) fn node(sql: &mut Sql, this: &ReadNode<'_>, depth: usize) {
    let inside = depth + 1;
    rows(sql, this, inside);
    order(sql, &this.qualifier, &this.order, inside);
    within(sql, this.range);
}

/// A level's rows, of all pages and in no order.
pub(super) fn rows(sql: &mut Sql, this: &ReadNode<'_>, inside: usize) {
    select::head(sql, this, inside);
    select::list(sql, this, inside);
    from(sql, this.source, &this.qualifier);
    embed::joins(sql, this, inside);
    filter_rows(sql, &this.qualifier, &this.conditions, &|sql, place| {
        embed::is_there(sql, this, place, inside);
    });
    select::group(sql, this, false);
}

/// The rows that a total counts: groups, where rows are grouped.
fn counted(sql: &mut Sql, root: &ReadNode<'_>) {
    if root.distinct.is_some() || root.is_grouped() || root.shows_aggregate() {
        rows(sql, root, 1);
    } else {
        sql.push("select 1");
        embed::matching(sql, root, None);
    }
}
