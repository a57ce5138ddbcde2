//! Embeds: lateral joins of the rows that belong to each row of their parent.

use rowhouse_db::catalog::RelationKind;

use super::builder::Sql;
use super::filter::all;
use super::order::{order, within};
use super::reference::{EmbedAlias, KEY, OrderAlias, field, from, qualifier};
use super::select;
use crate::plan::{EmbedNode, Joined, Ordering, Qualifier, ReadNode, ResolvedField};

/// Joins the embeds of `this`, then columns of embeds that it is ordered by and that are not selected.
pub(super) fn joins(sql: &mut Sql, this: &ReadNode<'_>, inside: usize) {
    for (place, embed) in this.embeds.iter().enumerate() {
        join(sql, &this.qualifier, embed, &EmbedAlias { depth: inside, place });
    }
    for (place, term) in this.order.iter().enumerate() {
        if let Ordering::Embed { place: embed, field, output: None } = &term.by
            && let Some(embed) = this.embeds.get(*embed)
        {
            sql.push(" left join lateral (");
            key(sql, &this.qualifier, embed, field);
            sql.push(") as ");
            OrderAlias { depth: inside, place }.write(sql);
            sql.push(" on true");
        }
    }
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
    ranged(sql, parent, embed);
    sql.push(") as ");
    alias.write(sql);
    if !to_one {
        sql.push(") as ");
        alias.write(sql);
    }
    sql.push(" on ");
    if inner && !to_one {
        alias.column(sql);
        sql.push(" is not null");
    } else {
        sql.push("true");
    }
}

/// Whether the embed with this place has a row, where it is joined.
pub(super) fn is_there(sql: &mut Sql, this: &ReadNode<'_>, place: usize, inside: usize) {
    let Some(embed) = this.embeds.get(place) else { return };
    let alias = EmbedAlias { depth: inside, place };
    if embed.node.is_one_group() && embed.joined != Joined::Inner {
        // The group exists without rows, too.
        return exists(sql, this, place);
    }
    if embed.relation.is_to_one() {
        sql.push("(");
        alias.write(sql);
        sql.push(".*)");
    } else {
        alias.column(sql);
    }
    sql.push(" is distinct from null");
}

/// The embed's rows within its range.
pub(super) fn ranged(sql: &mut Sql, parent: &Qualifier<'_>, embed: &EmbedNode<'_>) {
    embedded(sql, parent, embed);
    order(sql, &embed.node.qualifier, &embed.node.order, embed.depth + 1);
    within(sql, embed.node.range);
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
    joins(sql, this, inside);
    sql.push(" where ");
    bound(sql, parent, embed);
    if !this.conditions.is_empty() {
        sql.push(" and ");
        all(sql, &this.qualifier, &this.conditions, &|sql, place| is_there(sql, this, place, inside));
    }
    select::group(sql, this, embed.joined == Joined::Inner && this.is_one_group());
}

/// One column of the embed's row, whatever the embed shows.
fn key(sql: &mut Sql, parent: &Qualifier<'_>, embed: &EmbedNode<'_>, column: &ResolvedField<'_>) {
    let this = &embed.node;
    sql.push("select ");
    field(sql, &this.qualifier, column);
    sql.push(" as ").push(KEY);
    matching(sql, this, Some((parent, embed)));
    within(sql, this.range);
}

/// Where an embed's rows come from: its table, with a junction beside it, or a function of the parent's row.
pub(super) fn from_embed(sql: &mut Sql, parent: &Qualifier<'_>, embed: &EmbedNode<'_>) {
    let this = &embed.node;
    match &embed.relation.kind {
        // The cast selects the overload, and converts rows of the statement's first part to the table's row type. The
        // star prevents a column with the table's name from being taken for the row.
        RelationKind::Computed { function, source, .. } => {
            sql.push(" from ").qualified(function).push("((");
            qualifier(sql, parent);
            sql.push(".*)::").qualified(source).push(") as ");
            qualifier(sql, &this.qualifier);
        }
        RelationKind::ManyToMany(junction) => {
            from(sql, this.source, &this.qualifier);
            sql.push(" cross join ").qualified(&junction.table).push(" as rowhouse_junction");
        }
        _ => from(sql, this.source, &this.qualifier),
    }
}

/// Join columns, directly or through the junction.
pub(super) fn bound(sql: &mut Sql, parent: &Qualifier<'_>, embed: &EmbedNode<'_>) {
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

/// Whether the embed with this place has a row, where it is not joined.
pub(super) fn exists(sql: &mut Sql, this: &ReadNode<'_>, place: usize) {
    let Some(child) = this.embeds.get(place) else { return };
    let (node, range) = (&child.node, child.node.range);
    let cuts = range.lower > 0 || range.limit() == Some(0);
    let parent = &this.qualifier;
    if node.is_one_group() && !node.is_grouped() {
        sql.push(if cuts { "(false and exists (select 1" } else { "(exists (select 1" });
        matching(sql, node, Some((parent, child)));
        sql.push("))");
        return;
    }
    sql.push("exists (");
    if node.is_grouped() || (cuts && (node.distinct.is_some() || node.shows_aggregate())) {
        ranged(sql, parent, child);
    } else {
        sql.push("select 1");
        matching(sql, node, Some((parent, child)));
        if cuts {
            within(sql, range);
        }
    }
    sql.push(")");
}

/// ` from …` with all conditions: those of the level, the join to its parent, and the existence of rows of inner embeds.
pub(super) fn matching(sql: &mut Sql, this: &ReadNode<'_>, of: Option<(&Qualifier<'_>, &EmbedNode<'_>)>) {
    let mut word = " where ";
    match of {
        None => from(sql, this.source, &this.qualifier),
        Some((parent, embed)) => {
            from_embed(sql, parent, embed);
            sql.push(word);
            bound(sql, parent, embed);
            word = " and ";
        }
    }
    if !this.conditions.is_empty() {
        sql.push(word);
        all(sql, &this.qualifier, &this.conditions, &|sql, place| exists(sql, this, place));
        word = " and ";
    }
    for (place, _) in this.embeds.iter().enumerate().filter(|(_, embed)| embed.joined == Joined::Inner) {
        sql.push(word);
        exists(sql, this, place);
        word = " and ";
    }
}
