//! `and=(…)`, `or=(…)` and their keys.

use super::MAX_DEPTH;
use super::cursor::{Cursor, Mistake};
use super::filter::{Place, required};
use super::name::{field, name};
use crate::request::{Connective, Filter, Logic};

/// A key such as `or`, `not.and` or `relation.not.or`: (way through embeds, operator as it opens a tree).
pub(super) fn key(cursor: &mut Cursor<'_>) -> Result<(Vec<String>, String), Mistake> {
    let mut way = vec![name(cursor)?];
    while cursor.eat(".") {
        way.push(name(cursor)?);
    }
    cursor.expect_end()?;
    let operator = way.pop().unwrap_or_default();
    let negated = way.iter().any(|part| part == "not");
    way.retain(|part| part != "not");
    Ok((way, if negated { format!("not.{operator}") } else { operator }))
}

/// A whole tree, operator in front. It takes what it needs of `nodes`.
pub(super) fn parse(cursor: &mut Cursor<'_>, nodes: &mut usize) -> Result<Logic, Mistake> {
    let tree = node(cursor, 0, nodes)?;
    cursor.expect_end()?;
    Ok(tree)
}

fn node(cursor: &mut Cursor<'_>, depth: usize, nodes: &mut usize) -> Result<Logic, Mistake> {
    let Some(left) = nodes.checked_sub(1) else { return Err(cursor.mistake("at most 16384 conditions")) };
    *nodes = left;
    if depth > MAX_DEPTH {
        return Err(cursor.mistake("at most 64 levels of nesting"));
    }
    match group_head(cursor) {
        Some((negated, connective)) => group(cursor, (negated, connective), depth, nodes),
        None => leaf(cursor).map(Logic::Filter),
    }
}

/// `not.and(` up to and including the bracket; nothing if it is not that.
fn group_head(cursor: &mut Cursor<'_>) -> Option<(bool, Connective)> {
    let mut ahead = *cursor;
    ahead.skip_blanks();
    let negated = ahead.eat("not.");
    let connective = if ahead.eat("and") {
        Connective::And
    } else if ahead.eat("or") {
        Connective::Or
    } else {
        return None;
    };
    if !ahead.eat_lexeme("(") {
        return None;
    }
    *cursor = ahead;
    Some((negated, connective))
}

fn group(
    cursor: &mut Cursor<'_>,
    (negated, connective): (bool, Connective),
    depth: usize,
    nodes: &mut usize,
) -> Result<Logic, Mistake> {
    let mut items = vec![node(cursor, depth + 1, nodes)?];
    while cursor.eat_lexeme(",") {
        items.push(node(cursor, depth + 1, nodes)?);
    }
    cursor.expect_lexeme(")", "\",\" or \")\"")?;
    Ok(Logic::Group { negated, connective, items })
}

fn leaf(cursor: &mut Cursor<'_>) -> Result<Filter, Mistake> {
    let start = *cursor;
    let field = field(cursor).map_err(|_| {
        start.mistake("field name (* or [a..z0..9_$]), negation operator (not) or logic operator (and, or)")
    })?;
    cursor.expect(".", "delimiter (.)")?;
    let (negated, operation) = required(cursor, Place::Tree)?;
    Ok(Filter { field, negated, operation })
}
