//! Parses `distinct=(…)` and the leaves of `having=(…)`.

use super::MAX_ITEMS;
use super::cursor::{Cursor, Mistake};
use super::filter::{Place, required};
use super::name::field;
use super::select::measure;
use crate::request::{Field, GroupFilter, Operation};

/// Whether a value is one of these clauses rather than a filter on a column called `distinct` or `having`.
pub(super) fn opens(value: &str) -> bool {
    value.trim_start_matches([' ', '\t']).starts_with('(')
}

/// `(a,b->>c)`, or `()`.
pub(super) fn distinct(cursor: &mut Cursor<'_>) -> Result<Vec<Field>, Mistake> {
    cursor.expect_lexeme("(", "\"(\"")?;
    let mut fields = Vec::new();
    while !cursor.starts_with(")") || !fields.is_empty() {
        if fields.len() >= MAX_ITEMS {
            return Err(cursor.mistake("at most 1600 items"));
        }
        fields.push(field(cursor)?);
        if !cursor.eat(",") {
            break;
        }
    }
    cursor.expect_lexeme(")", "\",\" or \")\"")?;
    cursor.expect_end()?;
    Ok(fields)
}

/// `count().gt.2` or `column::cast.sum().not.eq.0`.
pub(super) fn group_filter(cursor: &mut Cursor<'_>) -> Result<GroupFilter, Mistake> {
    cursor.skip_blanks();
    let start = *cursor;
    let (field, applied) = measure(cursor)?;
    let Some(applied) = applied else {
        return Err(start.mistake("aggregate (count(), column.sum(), ...) or logic operator (and, or)"));
    };
    cursor.expect(".", "delimiter (.)")?;
    let start = *cursor;
    let (negated, operation) = required(cursor, Place::Tree)?;
    if matches!(operation, Operation::Search { .. }) {
        return Err(start.mistake("operator other than text search"));
    }
    Ok(GroupFilter { field, applied, negated, operation })
}

#[cfg(test)]
mod tests;
