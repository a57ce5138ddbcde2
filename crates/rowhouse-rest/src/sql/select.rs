//! Select lists: columns, aggregates, embeds and lifted columns; and the grouping that aggregates require.

use super::builder::Sql;
use super::filter::{all, no_embed};
use super::order::key;
use super::reference::{EmbedAlias, field, qualifier};
use crate::plan::{Aggregated, Distinct, EmbedNode, Qualifier, ReadNode, Selected};

/// The columns of a level, then its embeds. `inside` is the depth of the embeds.
pub(super) fn list(sql: &mut Sql, this: &ReadNode<'_>, inside: usize) {
    if this.select.is_empty() && this.embeds.is_empty() {
        qualifier(sql, &this.qualifier);
        sql.push(".*");
        return;
    }
    sql.list(&this.select, ", ", |sql, selected| column(sql, &this.qualifier, selected));
    let mut separator = if this.select.is_empty() { "" } else { ", " };
    for (place, embed) in this.embeds.iter().enumerate() {
        let alias = EmbedAlias { depth: inside, place };
        let Some(lifted) = &embed.spread else {
            if !embed.is_hidden {
                sql.push(separator);
                shown(sql, this, embed, &alias);
                separator = ", ";
            }
            continue;
        };
        for lifted in lifted {
            sql.push(separator);
            aggregated(sql, lifted.aggregate, |sql| {
                alias.write(sql);
                sql.push(".").ident(lifted.name);
            });
            sql.push(" as ").ident(lifted.name);
            separator = ", ";
        }
    }
}

/// `select `, with `distinct`.
pub(super) fn head(sql: &mut Sql, this: &ReadNode<'_>, inside: usize) {
    match &this.distinct {
        None => sql.push("select "),
        Some(Distinct::Rows) => sql.push("select distinct "),
        Some(Distinct::On(keys)) => {
            sql.push("select distinct on (");
            sql.list(keys, ", ", |sql, by| key(sql, &this.qualifier, by, inside)).push(") ")
        }
    };
}

/// `group by` and `having`; with `of_rows` only groups that have rows.
pub(super) fn group(sql: &mut Sql, this: &ReadNode<'_>, of_rows: bool) {
    group_by(sql, this);
    if !this.having.is_empty() || of_rows {
        sql.push(" having ");
    }
    all(sql, &this.qualifier, &this.having, &no_embed);
    if of_rows {
        sql.push(if this.having.is_empty() { "count(*) > 0" } else { " and count(*) > 0" });
    }
}

/// ` group by …` all expressions that are not aggregates, by position, if there is an aggregate.
fn group_by(sql: &mut Sql, this: &ReadNode<'_>) {
    if !this.comparable {
        return;
    }
    let selected = this.select.iter().map(|selected| {
        // A column shown by its representation is grouped by its raw value.
        let converted = selected.field.shown_by().is_some() && selected.cast.is_none();
        (selected.aggregate.is_some(), converted.then_some(&selected.field))
    });
    let embedded = this.embeds.iter().flat_map(|embed| match &embed.spread {
        Some(lifted) => lifted.iter().map(|lifted| (lifted.aggregate.is_some(), None)).collect(),
        None if embed.is_hidden => Vec::new(),
        None => vec![(false, None)],
    });
    let items: Vec<_> = selected.chain(embedded).collect();
    let has_aggregate = items.iter().any(|(is_aggregate, _)| *is_aggregate);
    let plain: Vec<_> = items.iter().enumerate().filter(|(_, (is_aggregate, _))| !is_aggregate).collect();
    if plain.is_empty() || !(has_aggregate || this.is_grouped()) {
        return;
    }
    sql.push(" group by ").list(plain, ", ", |sql, (at, (_, converted))| match converted {
        Some(column) => field(sql, &this.qualifier, column),
        None => {
            sql.number(at + 1);
        }
    });
}

/// The columns of a to-many embed's subquery over its rows: one array of objects, or for a spread one array for each
/// column, after a number that is null without rows.
pub(super) fn collected(sql: &mut Sql, embed: &EmbedNode<'_>, alias: &EmbedAlias) {
    sql.push("select ");
    let Some(lifted) = &embed.spread else {
        sql.push("json_agg(");
        alias.write(sql);
        sql.push(".*)").push(comparable(&embed.node)).push(" as ");
        alias.write(sql);
        return;
    };
    sql.push("nullif(count(*), 0) as ");
    alias.write(sql);
    for lifted in lifted {
        sql.push(", coalesce(json_agg(");
        alias.write(sql);
        sql.push(".").ident(lifted.name).push("), '[]')").push(comparable(&embed.node));
        sql.push(" as ").ident(lifted.name);
    }
}

fn comparable(node: &ReadNode<'_>) -> &'static str {
    if node.comparable { "::jsonb" } else { "" }
}

fn column(sql: &mut Sql, table: &Qualifier<'_>, selected: &Selected<'_>) {
    aggregated(sql, selected.aggregate, |sql| {
        sql.push(if selected.cast.is_some() { "cast(" } else { "" });
        match (selected.whole_row, selected.aggregate) {
            // Counted by a parent level.
            (true, _) => {
                sql.push("1");
            }
            (false, Some(_)) if selected.field.name == "*" => {
                sql.push("*");
            }
            (false, None) if selected.field.shown_by().is_some() => {
                sql.push(if selected.as_text { "(" } else { "" });
                sql.push(selected.field.shown_by().unwrap_or_default()).push("(");
                field(sql, table, &selected.field);
                sql.push(")").push(if selected.as_text { "#>>'{}')" } else { "" });
            }
            _ => field(sql, table, &selected.field),
        }
        if let Some(cast) = selected.cast {
            sql.push(" as ").push(cast).push(")");
        }
    });
    if let Some(alias) = selected.alias {
        sql.push(" as ").ident(alias);
    }
}

fn aggregated(sql: &mut Sql, aggregate: Option<Aggregated<'_>>, value: impl FnOnce(&mut Sql)) {
    let Some(aggregate) = aggregate else { return value(sql) };
    sql.push(if aggregate.cast.is_some() { "cast(" } else { "" });
    sql.push(aggregate.function.name()).push("(");
    value(sql);
    sql.push(")");
    if let Some(cast) = aggregate.cast {
        sql.push(" as ").push(cast).push(")");
    }
}

/// An embed as an object or an array.
fn shown(sql: &mut Sql, this: &ReadNode<'_>, embed: &EmbedNode<'_>, alias: &EmbedAlias) {
    if embed.relation.is_to_one() {
        sql.push("row_to_json(");
        alias.write(sql);
        sql.push(".*)").push(comparable(this));
    } else {
        sql.push("coalesce(");
        alias.column(sql);
        sql.push(", '[]')");
    }
    sql.push(" as ").ident(embed.name);
}
