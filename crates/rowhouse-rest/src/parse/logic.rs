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

/// The parser of a tree's leaves.
type Leaf<F> = fn(&mut Cursor<'_>) -> Result<F, Mistake>;

/// A whole tree with its operator. Consumes the budget `nodes`.
pub(super) fn parse<F>(
    cursor: &mut Cursor<'_>,
    leaf: Leaf<F>,
    nodes: &mut usize,
) -> Result<Logic<F>, Mistake> {
    let tree = Tree { leaf, nodes }.node(cursor, 0)?;
    cursor.expect_end()?;
    Ok(tree)
}

struct Tree<'n, F> {
    leaf: Leaf<F>,
    nodes: &'n mut usize,
}

impl<F> Tree<'_, F> {
    fn node(&mut self, cursor: &mut Cursor<'_>, depth: usize) -> Result<Logic<F>, Mistake> {
        let Some(left) = self.nodes.checked_sub(1) else {
            return Err(cursor.mistake("at most 16384 conditions"));
        };
        *self.nodes = left;
        if depth > MAX_DEPTH {
            return Err(cursor.mistake("at most 64 levels of nesting"));
        }
        let Some((negated, connective)) = group_head(cursor) else {
            return (self.leaf)(cursor).map(Logic::Filter);
        };
        let mut items = vec![self.node(cursor, depth + 1)?];
        while cursor.eat_lexeme(",") {
            items.push(self.node(cursor, depth + 1)?);
        }
        cursor.expect_lexeme(")", "\",\" or \")\"")?;
        Ok(Logic::Group { negated, connective, items })
    }
}

/// `not.and(` up to and including the bracket; `None` otherwise.
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

/// `column.eq.value`.
pub(super) fn filter(cursor: &mut Cursor<'_>) -> Result<Filter, Mistake> {
    let start = *cursor;
    let field = field(cursor).map_err(|_| {
        start.mistake("field name (* or [a..z0..9_$]), negation operator (not) or logic operator (and, or)")
    })?;
    cursor.expect(".", "delimiter (.)")?;
    let (negated, operation) = required(cursor, Place::Tree)?;
    Ok(Filter { field, negated, operation })
}
