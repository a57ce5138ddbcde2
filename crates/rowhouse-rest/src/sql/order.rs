//! Order and range as SQL.

use super::builder::Sql;
use super::filter::measure;
use super::reference::{EmbedAlias, OrderAlias, field, path};
use crate::plan::{OrderBy, Ordering, Qualifier};
use crate::request::{Direction, Nulls, RowRange};

/// ` order by …`, if asked for. `depth` is that of the embeds which may be ordered by.
pub(super) fn order(sql: &mut Sql, table: &Qualifier<'_>, terms: &[OrderBy<'_>], depth: usize) {
    if terms.is_empty() {
        return;
    }
    sql.push(" order by ");
    sql.list(terms.iter().enumerate(), ", ", |sql, (place, term)| {
        match &term.by {
            Ordering::Embed { output: None, .. } => OrderAlias { depth, place }.key(sql),
            by => key(sql, table, by, depth),
        }
        sql.push(match term.direction {
            Some(Direction::Asc) => " asc",
            Some(Direction::Desc) => " desc",
            None => "",
        });
        sql.push(match term.nulls {
            Some(Nulls::First) => " nulls first",
            Some(Nulls::Last) => " nulls last",
            None => "",
        });
    });
}

/// An expression of `order by` or `distinct on`.
pub(super) fn key(sql: &mut Sql, table: &Qualifier<'_>, by: &Ordering<'_>, depth: usize) {
    match by {
        Ordering::Column(column) => field(sql, table, column),
        Ordering::Shown(place) => {
            sql.number(*place);
        }
        Ordering::Aggregate(of) => measure(sql, table, of),
        Ordering::Embed { place, field, output } => {
            let wraps = field.to_json && !field.path.is_empty();
            sql.push(if wraps { "to_jsonb(" } else { "" });
            EmbedAlias { depth, place: *place }.write(sql);
            sql.push(".").ident(output.unwrap_or(field.name)).push(if wraps { ")" } else { "" });
            path(sql, field);
        }
    }
}

/// ` limit … offset …`, as far as there are any.
pub(super) fn within(sql: &mut Sql, range: RowRange) {
    if let Some(limit) = range.limit() {
        sql.push(" limit ").rows(limit);
    }
    if range.lower > 0 {
        sql.push(" offset ").rows(range.lower);
    }
}
