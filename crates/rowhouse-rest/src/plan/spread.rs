//! Spread embeds: columns that are lifted into the parent, and aggregates that are lifted with them.
//!
//! An aggregate inside a to-one spread would see one row, so it is applied where the spread ends: in the nearest
//! ancestor that is an object of its own.

use super::node::Lifted;
use super::{PlanError, ReadNode};
use crate::request::SelectItem;

/// Lifts the columns of a spread node into its parent.
pub(super) fn lift<'a>(node: &mut ReadNode<'a>, to_one: bool) -> Result<Vec<Lifted<'a>>, PlanError> {
    let mut lifted = Vec::new();
    for selected in &mut node.select {
        let name = selected.alias.unwrap_or(selected.field.name);
        let aggregate = selected.aggregate.take();
        selected.whole_row = aggregate.is_some() && selected.field.name == "*";
        lifted.push(Lifted { name, aggregate });
    }
    for embed in &mut node.embeds {
        match &mut embed.spread {
            Some(inner) => lifted.extend(
                inner.iter_mut().map(|inner| Lifted { name: inner.name, aggregate: inner.aggregate.take() }),
            ),
            None if embed.is_hidden => {}
            None => lifted.push(Lifted { name: embed.name, aggregate: None }),
        }
    }
    if !to_one && lifted.iter().any(|lifted| lifted.aggregate.is_some()) {
        return Err(PlanError::NotImplemented(
            "Aggregates are not implemented for one-to-many or many-to-many spreads.",
        ));
    }
    Ok(lifted)
}

/// An aggregate itself, or a spread that may lift one.
pub(super) fn is_aggregate(item: &SelectItem) -> bool {
    match item {
        SelectItem::Column(column) => column.aggregate.is_some(),
        SelectItem::Embed(embed) => embed.spread && embed.items.iter().any(is_aggregate),
    }
}

/// An aggregate at any depth.
pub(super) fn has_aggregates(items: &[SelectItem]) -> bool {
    items.iter().any(|item| match item {
        SelectItem::Column(column) => column.aggregate.is_some(),
        SelectItem::Embed(embed) => has_aggregates(&embed.items),
    })
}
