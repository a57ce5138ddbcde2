//! Where the columns of views come from, read from their rules; views then have the keys of the tables beneath.
//!
//! PostgreSQL records for each column of a query the table column that it shows, through joins, subqueries and
//! common table expressions, though not through `union`. A view over a view leads to that view, so chains are followed here.

use std::collections::HashMap;

/// A column of a relation: (its oid, attribute number).
pub(super) type ColumnId = (u32, i16);

/// How deep in a rule's text the entries of its query's own target list stand: list, query, target list, entry.
const ENTRY_DEPTH: usize = 4;
/// Longest chain of views over views that is followed.
const LONGEST_CHAIN: usize = 64;

/// Origins of view columns, one step each.
#[derive(Debug, Default)]
pub(super) struct Origins(HashMap<ColumnId, ColumnId>);

impl Origins {
    /// Parses a view's rule (`pg_rewrite.ev_action` as text).
    pub(super) fn add(&mut self, view: u32, rule: &str) {
        for entry in entries(rule).into_iter().filter(|entry| entry.table != 0) {
            self.0.insert((view, entry.number), (entry.table, entry.column));
        }
    }

    /// For every view column the table column at the end of its chain, in order of view and column.
    pub(super) fn resolved(&self) -> Vec<(ColumnId, ColumnId)> {
        let mut found: Vec<_> = self.0.keys().map(|column| (*column, self.end(*column))).collect();
        found.sort_unstable();
        found
    }

    fn end(&self, mut column: ColumnId) -> ColumnId {
        for _ in 0..LONGEST_CHAIN {
            match self.0.get(&column) {
                Some(next) => column = *next,
                None => break,
            }
        }
        column
    }
}

/// One entry of a target list.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Entry {
    number: i16,
    table: u32,
    column: i16,
}

/// The outermost target list of a rule. In the text, brackets within names are escaped by a backslash.
fn entries(rule: &str) -> Vec<Entry> {
    let mut found = Vec::new();
    let mut entry = Entry::default();
    let mut depth = 0_usize;
    let mut words = Words { rest: rule };
    while let Some(word) = words.next() {
        match word {
            "{" | "(" => depth += 1,
            "}" | ")" => depth = depth.saturating_sub(1),
            ":resno" if depth == ENTRY_DEPTH => entry.number = words.number(),
            ":resorigtbl" if depth == ENTRY_DEPTH => entry.table = words.number(),
            ":resorigcol" if depth == ENTRY_DEPTH => {
                entry.column = words.number();
                found.push(std::mem::take(&mut entry));
            }
            _ => {}
        }
    }
    found
}

/// Tokens: brackets and words.
struct Words<'a> {
    rest: &'a str,
}

impl Words<'_> {
    fn number<T: std::str::FromStr + Default>(&mut self) -> T {
        self.next().and_then(|word| word.parse().ok()).unwrap_or_default()
    }
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let rest = self.rest.trim_start();
        let bytes = rest.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            match bytes[at] {
                b'\\' => at += 2,
                b'{' | b'}' | b'(' | b')' if at == 0 => {
                    at = 1;
                    break;
                }
                b'{' | b'}' | b'(' | b')' | b' ' | b'\n' => break,
                _ => at += 1,
            }
        }
        let (word, after) = rest.split_at_checked(at).unwrap_or((rest, ""));
        self.rest = after;
        (!word.is_empty()).then_some(word)
    }
}

#[cfg(test)]
mod tests;
