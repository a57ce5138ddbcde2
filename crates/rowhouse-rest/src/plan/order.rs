//! What a level is ordered by: its columns, aggregates of groups, and columns of its to-one embeds.

use super::column::Columns;
use super::node::{EmbedNode, OrderBy, Ordering, Selected, Source};
use super::place::Place;
use super::{Measure, PlanError, ResolvedField, column};
use crate::request::OrderTerm;

/// Resolves one term of `order`.
pub(super) fn order<'a>(
    term: &'a OrderTerm,
    place: &Place<'a, '_>,
    embeds: &[EmbedNode<'a>],
) -> Result<OrderBy<'a>, PlanError> {
    let by = match (&term.relation, &term.applied) {
        (None, Some(applied)) => Ordering::Aggregate(Measure::new(&term.field, applied, place.table)),
        (None, None) => Ordering::Column(ResolvedField::new(&term.field, place.table)),
        (Some(relation), _) => {
            let Some(at) = embeds.iter().position(|embed| embed.name == relation) else {
                return Err(PlanError::NotEmbedded { target: relation.clone(), alias: None });
            };
            if !embeds[at].relation.is_to_one() {
                let origin = place.table.map(|table| table.name.name.clone()).unwrap_or_default();
                return Err(PlanError::RelatedOrder { origin, target: relation.clone() });
            }
            of_embed(term, at, &embeds[at])?
        }
    };
    Ok(OrderBy { by, direction: term.direction, nulls: term.nulls })
}

fn of_embed<'a>(term: &'a OrderTerm, place: usize, embed: &EmbedNode<'a>) -> Result<Ordering<'a>, PlanError> {
    let table = match embed.node.source {
        Source::Table(table) => Some(table),
        Source::Cte => None,
    };
    let field = ResolvedField::new(&term.field, table);
    if let Some(table) = table.filter(|table| !Columns::Of(table).has(field.name)) {
        // As in PostgREST, an alias in the embed is accepted, too.
        if embed.node.select.iter().any(|selected| selected.alias == Some(field.name))
            && shows(embed, field.name)
        {
            return Ok(Ordering::Embed { place, field, output: Some(field.name) });
        }
        Columns::Of(table).require(&column::relation(&table.name.name, embed.depth), field.name)?;
    }
    Ok(Ordering::Embed { place, field, output: output(embed, &field) })
}

/// The name of the unchanged column in the embed's rows; `None` if it is missing, converted or ambiguous.
fn output<'a>(embed: &EmbedNode<'a>, field: &ResolvedField<'a>) -> Option<&'a str> {
    let node = &embed.node;
    if node.select.is_empty() && node.embeds.is_empty() {
        return (!embed.is_hidden && field.shown_by().is_none()).then_some(field.name);
    }
    let is_star = |name: &str| name == "*";
    let found = node.select.iter().find(|selected| {
        let plain = selected.aggregate.is_none() && selected.cast.is_none() && !selected.whole_row;
        plain
            && selected.field.path.is_empty()
            && selected.field.shown_by().is_none()
            && (selected.field.name == field.name || is_star(selected.field.name))
    })?;
    let name = if is_star(found.field.name) { field.name } else { found.output() };
    (shows(embed, name) && field.column.is_none_or(|column| column.representation.to_json.is_none()))
        .then_some(name)
}

/// Whether the embed's rows have this name once.
fn shows(embed: &EmbedNode<'_>, name: &str) -> bool {
    let node = &embed.node;
    // A whole row that is counted further up is one value, not all columns.
    let is_star = |selected: &Selected<'_>| selected.field.name == "*" && !selected.whole_row;
    let selected = node.select.iter().filter(|selected| selected.output() == name || is_star(selected));
    let embedded = node.embeds.iter().map(|inner| match &inner.spread {
        Some(lifted) => lifted.iter().filter(|lifted| lifted.name == name).count(),
        None => usize::from(inner.name == name),
    });
    selected.count() + embedded.sum::<usize>() == 1
}
