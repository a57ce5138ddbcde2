//! `order=`: columns or related columns, with direction and place of nulls.

use super::MAX_ITEMS;
use super::cursor::{Cursor, Mistake};
use super::name::{field, name};
use super::select::measure;
use crate::request::{Direction, Field, Nulls, OrderTerm};

/// The whole parameter.
pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Vec<OrderTerm>, Mistake> {
    let mut terms = Vec::new();
    loop {
        cursor.skip_blanks();
        if terms.len() >= MAX_ITEMS {
            return Err(cursor.mistake("at most 1600 items"));
        }
        terms.push(term(cursor)?);
        cursor.skip_blanks();
        if !cursor.eat(",") {
            break;
        }
    }
    cursor.expect_end()?;
    Ok(terms)
}

fn term(cursor: &mut Cursor<'_>) -> Result<OrderTerm, Mistake> {
    let (relation, (field, applied)) = match related(cursor) {
        Some((relation, field)) => (Some(relation), (field, None)),
        None => (None, measure(cursor)?),
    };
    let direction = match () {
        () if cursor.eat(".asc") => Some(Direction::Asc),
        () if cursor.eat(".desc") => Some(Direction::Desc),
        () => None,
    };
    let nulls = match () {
        () if cursor.eat(".nullsfirst") => Some(Nulls::First),
        () if cursor.eat(".nullslast") => Some(Nulls::Last),
        () => None,
    };
    cursor.skip_blanks();
    if cursor.is_done() || cursor.starts_with(",") {
        return Ok(OrderTerm { relation, field, applied, direction, nulls });
    }
    let dotted = cursor.eat(".");
    Err(cursor.mistake(match (dotted, direction, nulls) {
        (true, None, None) => "\"asc\", \"desc\", \"nullsfirst\" or \"nullslast\"",
        (true, Some(_), None) => "\"nullsfirst\" or \"nullslast\"",
        (false, _, None) => "delimiter (.), \",\" or end of input",
        (_, _, Some(_)) => "\",\" or end of input",
    }))
}

/// `relation(column)`; `None` otherwise.
fn related(cursor: &mut Cursor<'_>) -> Option<(String, Field)> {
    let mut ahead = *cursor;
    let relation = name(&mut ahead).ok()?;
    if !ahead.eat("(") {
        return None;
    }
    let field = field(&mut ahead).ok()?;
    if !ahead.eat(")") {
        return None;
    }
    *cursor = ahead;
    Some((relation, field))
}
