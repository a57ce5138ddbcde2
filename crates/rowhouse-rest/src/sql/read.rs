//! Reads: one level, its embeds, its count.

use rowhouse_db::catalog::RelationKind;
use rowhouse_db::flight::Query;

use super::builder::Sql;
use super::filter::{EmbedAlias, filter_rows, from, order, qualifier};
use super::{GUC, body, select};
use crate::plan::{EmbedNode, Joined, Qualifier, ReadNode, ReadPlan, Total};
use crate::request::RowRange;

pub(super) fn main(plan: &ReadPlan<'_>) -> Query {
    let mut sql = Sql::new();
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

/// What is known before the lines: the page's own count is not.
pub(super) fn head(plan: &ReadPlan<'_>) -> Query {
    let mut sql = Sql::new();
    sql.push("select ");
    total(&mut sql, plan.total.counted(), &plan.node);
    sql.push(", '0', ").push(GUC).push(", ''");
    sql.finish()
}

pub(super) fn lines(plan: &ReadPlan<'_>) -> Query {
    let mut sql = Sql::new();
    sql.push("select to_json(rowhouse_row)::text from (");
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
    match total {
        Total::Unknown => {
            sql.push("null::text");
        }
        Total::Page => {
            sql.push("count(*)::text");
        }
        Total::Counted { cap } => {
            sql.push("(select count(*) from (");
            counted(sql, root);
            if let Some(cap) = cap {
                sql.push(" limit ").param(cap.to_string());
            }
            sql.push(") rowhouse_count)::text");
        }
    }
}

/// The rows that a total counts.
fn counted(sql: &mut Sql, root: &ReadNode<'_>) {
    if root.distinct.is_some() || root.is_grouped() {
        rows(sql, root, 1);
    } else {
        matching(sql, root, None);
    }
}

/// A level with everything embedded in it.
pub(super) fn node(sql: &mut Sql, this: &ReadNode<'_>, depth: usize) {
    let inside = depth + 1;
    rows(sql, this, inside);
    order(sql, &this.qualifier, &this.order, inside);
    range(sql, this.range);
}

/// A level's rows, of all pages and in no order.
fn rows(sql: &mut Sql, this: &ReadNode<'_>, inside: usize) {
    select::head(sql, this, inside);
    select::list(sql, this, inside);
    from(sql, this.source, &this.qualifier);
    for (place, embed) in this.embeds.iter().enumerate() {
        join(sql, &this.qualifier, embed, &EmbedAlias { depth: inside, place });
    }
    filter_rows(sql, &this.qualifier, &this.conditions, &|sql, place| {
        EmbedAlias { depth: inside, place }.write(sql);
        sql.push(" is distinct from null");
    });
    select::group(sql, this);
}

/// An embed as a lateral subquery: its row, or an array of its rows.
fn join(sql: &mut Sql, parent: &Qualifier<'_>, embed: &EmbedNode<'_>, alias: &EmbedAlias) {
    let inner = embed.joined == Joined::Inner;
    sql.push(if inner { " inner join lateral (" } else { " left join lateral (" });
    let to_one = embed.relation.is_to_one();
    if !to_one {
        select::collected(sql, embed, alias);
        sql.push(" from (");
    }
    embedded(sql, parent, embed);
    order(sql, &embed.node.qualifier, &embed.node.order, embed.depth + 1);
    range(sql, embed.node.range);
    sql.push(") as ");
    alias.write(sql);
    if !to_one {
        sql.push(") as ");
        alias.write(sql);
    }
    sql.push(" on ");
    if inner && !to_one {
        alias.write(sql);
        sql.push(".");
        alias.write(sql);
        sql.push(" is not null");
    } else {
        sql.push("true");
    }
}

/// The embed's own rows, bound to the parent's row.
fn embedded(sql: &mut Sql, parent: &Qualifier<'_>, embed: &EmbedNode<'_>) {
    let this = &embed.node;
    let inside = embed.depth + 1;
    select::head(sql, this, inside);
    if embed.is_hidden && this.select.is_empty() && this.embeds.iter().all(|deeper| deeper.spread.is_none()) {
        sql.push("1 as rowhouse_one");
    } else {
        select::list(sql, this, inside);
    }
    from_embed(sql, parent, embed);
    for (place, deeper) in this.embeds.iter().enumerate() {
        join(sql, &this.qualifier, deeper, &EmbedAlias { depth: inside, place });
    }
    sql.push(" where ");
    bound(sql, parent, embed);
    if !this.conditions.is_empty() {
        sql.push(" and ");
        super::filter::all(sql, &this.qualifier, &this.conditions, &|sql, place| {
            EmbedAlias { depth: inside, place }.write(sql);
            sql.push(" is distinct from null");
        });
    }
    select::group(sql, this);
}

/// Where an embed's rows come from: its table, with a junction beside it, or a function of the parent's row.
fn from_embed(sql: &mut Sql, parent: &Qualifier<'_>, embed: &EmbedNode<'_>) {
    let this = &embed.node;
    match &embed.relation.kind {
        // The cast chooses among overloads, and makes a row of a table from one of the statement's first part.
        RelationKind::Computed { function, source, .. } => {
            sql.push(" from ").qualified(function).push("(");
            row(sql, parent);
            sql.push("::").qualified(source).push(") as ");
            qualifier(sql, &this.qualifier);
        }
        RelationKind::ManyToMany(junction) => {
            from(sql, this.source, &this.qualifier);
            sql.push(" cross join ").qualified(&junction.table).push(" as rowhouse_junction");
        }
        _ => from(sql, this.source, &this.qualifier),
    }
}

/// A whole row. A table without alias is known by its bare name.
pub(super) fn row(sql: &mut Sql, of: &Qualifier<'_>) {
    match of {
        Qualifier::Table { name, .. } => {
            sql.ident(name);
        }
        other => qualifier(sql, other),
    }
}

/// Join columns, directly or through the junction.
fn bound(sql: &mut Sql, parent: &Qualifier<'_>, embed: &EmbedNode<'_>) {
    if embed.relation.columns.is_empty() {
        sql.push("true");
        return;
    }
    let this = &embed.node.qualifier;
    let through = match &embed.relation.kind {
        RelationKind::ManyToMany(junction) => Some(junction),
        _ => None,
    };
    sql.list(&embed.relation.columns, " and ", |sql, (here, there)| {
        if through.is_some() {
            sql.push("rowhouse_junction");
        } else {
            qualifier(sql, this);
        }
        sql.push(".").ident(there).push(" = ");
        qualifier(sql, parent);
        sql.push(".").ident(here);
    });
    for (there, middle) in through.iter().flat_map(|junction| &junction.columns) {
        sql.push(" and ");
        qualifier(sql, this);
        sql.push(".").ident(there).push(" = rowhouse_junction.").ident(middle);
    }
}

/// `select 1` for each row that matches: what counts count. Joins that only show are left out.
fn matching(sql: &mut Sql, this: &ReadNode<'_>, embed: Option<(&Qualifier<'_>, &EmbedNode<'_>)>) {
    sql.push("select 1");
    let mut word = " where ";
    if embed.is_none() {
        from(sql, this.source, &this.qualifier);
    }
    if let Some((parent, embed)) = embed {
        from_embed(sql, parent, embed);
        sql.push(word);
        bound(sql, parent, embed);
        word = " and ";
    }
    let exists = |sql: &mut Sql, place: usize| {
        let child = &this.embeds[place];
        sql.push("exists (");
        if child.node.having.is_empty() {
            matching(sql, &child.node, Some((&this.qualifier, child)));
        } else {
            embedded(sql, &this.qualifier, child);
        }
        sql.push(")");
    };
    if !this.conditions.is_empty() {
        sql.push(word);
        super::filter::all(sql, &this.qualifier, &this.conditions, &exists);
        word = " and ";
    }
    for (place, _) in this.embeds.iter().enumerate().filter(|(_, embed)| embed.joined == Joined::Inner) {
        sql.push(word);
        exists(sql, place);
        word = " and ";
    }
}

fn range(sql: &mut Sql, range: RowRange) {
    if let Some(limit) = range.limit() {
        sql.push(" limit ").param(limit.to_string());
    }
    if range.lower > 0 {
        sql.push(" offset ").param(range.lower.to_string());
    }
}
