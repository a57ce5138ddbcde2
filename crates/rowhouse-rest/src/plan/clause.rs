//! `distinct`, `having` and order by aggregate: their effect on a level, and where they are invalid.
//!
//! PostgreSQL requires equal expressions, and two placeholders are never equal. A JSON path is therefore referred to
//! by its position in the select list wherever an expression has to be repeated.

use rowhouse_db::catalog::Table;

use super::node::{Distinct, OrderBy, Ordering, ReadNode};
use super::place::{Builder, Place, here};
use super::{Condition, Measure, PlanError, ResolvedField};
use crate::request::{ApiRequest, Field, OrderTerm, SelectItem};

/// Whether rows are compared with each other at some level.
pub(super) fn compares(request: &ApiRequest) -> bool {
    !request.distinct.is_empty()
        || !request.having.is_empty()
        || request.order.iter().any(|(_, terms)| is_by_aggregate(terms))
}

/// Whether whole rows are compared, including embeds.
pub(super) fn compares_whole(request: &ApiRequest) -> bool {
    let rows = request.distinct.iter().any(|(_, fields)| fields.is_empty());
    rows || !request.having.is_empty() || request.order.iter().any(|(_, terms)| is_by_aggregate(terms))
}

/// Whether rows of the level at `path` are compared.
pub(super) fn compares_at(request: &ApiRequest, path: &[String]) -> bool {
    here(&request.distinct, path).next().is_some()
        || here(&request.having, path).next().is_some()
        || here(&request.order, path).any(|(_, terms)| is_by_aggregate(terms))
}

fn is_by_aggregate(terms: &[OrderTerm]) -> bool {
    terms.iter().any(|term| term.applied.is_some())
}

/// Refuses both clauses for written rows.
pub(super) fn only_below(request: &ApiRequest) -> Result<(), PlanError> {
    let distinct = request.distinct.iter().any(|(path, _)| path.is_empty());
    let having = request.having.iter().any(|(path, _)| path.is_empty());
    if distinct || having { Err(refused("distinct and having are for reads")) } else { Ok(()) }
}

fn refused(message: impl Into<String>) -> PlanError {
    PlanError::Clause(message.into())
}

/// Adds the clauses of a level whose columns, embeds and order are known.
pub(super) fn add<'a>(
    builder: Builder<'a>,
    place: &Place<'a, '_>,
    node: &mut ReadNode<'a>,
) -> Result<(), PlanError> {
    let having = here(&builder.request.having, place.path);
    node.having = having.map(|(_, tree)| Condition::tree(tree, place.table, Condition::measured)).collect();
    if node.is_grouped() {
        check_groups(builder, place, node)?;
    }
    match here(&builder.request.distinct, place.path).next() {
        Some((_, fields)) if fields.is_empty() => distinct_rows(place, node),
        Some((_, fields)) => distinct_on(place, node, fields),
        None => {
            repeat_paths(node);
            Ok(())
        }
    }
}

/// Groups are formed by the selected columns, so they have to be named.
fn check_groups(builder: Builder<'_>, place: &Place<'_, '_>, node: &ReadNode<'_>) -> Result<(), PlanError> {
    if !builder.allow_aggregates {
        return Err(PlanError::Aggregates);
    }
    if place.spread {
        return Err(refused("having and order by aggregate cannot stand in a spread embed"));
    }
    let nothing_named = place.items.is_empty() && place.path.is_empty();
    let star = place
        .items
        .iter()
        .any(|item| matches!(item, SelectItem::Column(c) if c.field.name == "*" && c.aggregate.is_none()));
    if (star || nothing_named) && !node.shows_aggregate() {
        return Err(refused(
            "having and order by aggregate need a select that names the columns to group by",
        ));
    }
    Ok(())
}

/// `distinct=()`: whole rows are compared, so they can be ordered by selected columns only.
fn distinct_rows(place: &Place<'_, '_>, node: &mut ReadNode<'_>) -> Result<(), PlanError> {
    for selected in node.select.iter().filter(|s| s.aggregate.is_none() && s.cast.is_none()) {
        comparable(&selected.field)?;
    }
    let all = shows_all(node);
    if let Some(Table { columns, .. }) = place.table.filter(|_| all) {
        columns.iter().try_for_each(|column| comparable(&ResolvedField::column(column)))?;
    }
    let mut order = std::mem::take(&mut node.order);
    for term in &mut order {
        term.by = match shown(node, &term.by) {
            Some(by) => by,
            None => match term.by {
                Ordering::Column(field) if all && field.path.is_empty() => term.by,
                _ => return Err(refused("distinct rows can only be ordered by columns that are selected")),
            },
        };
    }
    node.order = order;
    node.distinct = Some(Distinct::Rows);
    Ok(())
}

/// `distinct=(a,b)`: of equal rows the first in order is kept, so the order has to begin with these columns. First
/// those named in `order`, then the others, then the rest of `order`.
fn distinct_on<'a>(
    place: &Place<'a, '_>,
    node: &mut ReadNode<'a>,
    fields: &'a [Field],
) -> Result<(), PlanError> {
    let grouped = node.is_grouped() || node.shows_aggregate();
    let mut keys = Vec::with_capacity(fields.len());
    for field in fields {
        let field = ResolvedField::new(field, place.table);
        comparable(&field)?;
        keys.push(match shown(node, &Ordering::Column(field)) {
            Some(at) if grouped || !field.path.is_empty() => at,
            None if grouped => return Err(refused("distinct columns of groups have to be selected")),
            None if !field.path.is_empty() => {
                return Err(refused("JSON paths in distinct have to be selected"));
            }
            _ => Ordering::Column(field),
        });
    }
    repeat_paths(node);
    let is_key = |by: &Ordering<'_>| keys.iter().any(|key| is_same(key, by));
    let (mut order, rest): (Vec<_>, Vec<_>) =
        std::mem::take(&mut node.order).into_iter().partition(|term| is_key(&term.by));
    for key in &keys {
        if !order.iter().any(|term: &OrderBy<'_>| is_same(key, &term.by)) {
            order.push(OrderBy { by: *key, direction: None, nulls: None });
        }
    }
    order.extend(rest);
    node.order = order;
    node.distinct = Some(Distinct::On(keys));
    Ok(())
}

fn is_same(left: &Ordering<'_>, right: &Ordering<'_>) -> bool {
    match (left, right) {
        (Ordering::Column(left), Ordering::Column(right)) => left.is_same(right),
        (Ordering::Shown(left), Ordering::Shown(right)) => left == right,
        _ => false,
    }
}

/// Refers to selected JSON paths in orders by position.
pub(super) fn repeat_paths(node: &mut ReadNode<'_>) {
    let grouped = node.is_grouped() || node.distinct.is_some() || node.shows_aggregate();
    let mut order = std::mem::take(&mut node.order);
    for term in &mut order {
        if let Ordering::Column(field) = term.by
            && (grouped || !field.path.is_empty())
        {
            term.by = shown(node, &term.by).unwrap_or(term.by);
        }
    }
    node.order = order;
}

/// The position of an order's expression in the select list.
fn shown<'a>(node: &ReadNode<'_>, by: &Ordering<'a>) -> Option<Ordering<'a>> {
    let place = match by {
        // Shown by its representation, it is another value.
        Ordering::Column(field) => node.select.iter().position(|selected| {
            let plain = selected.aggregate.is_none() && selected.cast.is_none();
            plain && selected.field.is_same(field) && selected.field.shown_by().is_none()
        })?,
        Ordering::Aggregate(measure) => node.select.iter().position(|selected| {
            let same = |Measure { function, field, cast }: &Measure<'_>| {
                let alike = selected.aggregate.is_some_and(|a| a.function == *function && a.cast.is_none());
                alike && selected.field.is_same(field) && selected.cast == *cast
            };
            same(measure)
        })?,
        Ordering::Embed { place, field, output } => {
            let lifted = node.embeds.get(*place)?.spread.as_ref()?;
            let same = |name: &str| Some(name) == *output && field.path.is_empty();
            return lifted.iter().any(|l| same(l.name) && l.aggregate.is_none()).then_some(*by);
        }
        Ordering::Shown(_) => return Some(*by),
    };
    // After a star, positions are not known.
    let counted = node.select.iter().take(place).all(|s| s.field.name != "*" || s.aggregate.is_some());
    counted.then_some(Ordering::Shown(place + 1))
}

fn shows_all(node: &ReadNode<'_>) -> bool {
    let star = node.select.iter().any(|selected| selected.field.name == "*" && selected.aggregate.is_none());
    star || (node.select.is_empty() && node.embeds.is_empty())
}

/// Refuses types without equality or order.
fn comparable(field: &ResolvedField<'_>) -> Result<(), PlanError> {
    let Some(column) = field.column else { return Ok(()) };
    let incomparable = match field.path.last() {
        Some(step) => !step.as_text && column.base_type == "json",
        None => matches!(
            column.base_type.as_str(),
            "json" | "xml" | "point" | "line" | "lseg" | "box" | "path" | "polygon" | "circle"
        ),
    };
    if !incomparable {
        return Ok(());
    }
    Err(refused(format!("Column '{}' is of type {} and cannot be compared", column.name, column.base_type)))
}
