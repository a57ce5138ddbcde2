//! What a level is ordered by: its columns, aggregates of groups, and columns of its to-one embeds.

use super::column::Columns;
use super::node::{EmbedNode, OrderBy, Ordering, Source};
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
    if let Some(table) = table {
        let relation = column::relation(&table.name.name, embed.depth);
        Columns::Of(table).require(&relation, &term.field.name)?;
    }
    let field = ResolvedField::new(&term.field, table);
    Ok(Ordering::Embed { place, field, output: output(embed, &field) })
}

/// The name under which the embed's rows show the column as it is; none where they do not, or not only it.
fn output<'a>(embed: &EmbedNode<'a>, field: &ResolvedField<'a>) -> Option<&'a str> {
    let node = &embed.node;
    if node.select.is_empty() && node.embeds.is_empty() {
        return (!embed.is_hidden && field.shown_by().is_none()).then_some(field.name);
    }
    let is_star = |name: &str| name == "*";
    let shows = |name: &'a str| {
        let plain = node.select.iter().filter(|selected| selected.output() == name).count();
        let stars = node.select.iter().filter(|selected| is_star(selected.field.name)).count();
        let embeds = node.embeds.iter().filter(|embed| embed.spread.is_some() || embed.name == name).count();
        plain + stars + embeds == 1
    };
    let found = node.select.iter().find(|selected| {
        let plain = selected.aggregate.is_none() && selected.cast.is_none() && !selected.whole_row;
        plain
            && selected.field.path.is_empty()
            && selected.field.shown_by().is_none()
            && (selected.field.name == field.name || is_star(selected.field.name))
    })?;
    let name = if is_star(found.field.name) { field.name } else { found.output() };
    (shows(name) && field.column.is_none_or(|column| column.representation.to_json.is_none())).then_some(name)
}
