//! A scan that reads many rows, with the conditions that an index could have used.

use super::super::clause::{self, Clause};
use super::super::fact::{Facts, RelationFacts};
use super::super::tree::Node;
use super::NOTICEABLE;

/// A scan to report.
#[derive(Debug)]
pub(super) struct ScanOf<'a> {
    pub(super) facts: &'a RelationFacts,
    /// Some role under which the relation is read is subject to its policies.
    pub(super) is_guarded: bool,
    /// Rows that are read.
    pub(super) rows: f64,
    /// Comparisons in its filter and its index conditions.
    pub(super) filters: Vec<Clause>,
    /// Comparisons with other relations that a join above makes.
    pub(super) joins: Vec<Clause>,
    /// Columns that are sorted by above, for a limited number of rows.
    pub(super) order: Vec<String>,
}

impl<'a> ScanOf<'a> {
    /// `None` for other nodes, small tables, and index scans that discard few rows.
    pub(super) fn read(node: &Node, above: &[&Node], facts: &'a Facts) -> Option<Self> {
        let (schema, name) = node.relation()?;
        let alias = node.alias.as_deref().unwrap_or(name);
        let mut same = facts.iter().filter(|facts| facts.schema == schema && facts.name == name);
        let is_guarded = same.clone().any(RelationFacts::is_guarded);
        let facts = same.next()?;
        let rows = rows_read(node, facts)?;
        let filters: Vec<Clause> = node
            .conditions(&["Filter", "Index Cond", "Recheck Cond"])
            .flat_map(|text| clause::clauses(text, alias))
            .collect();
        let joins = above
            .iter()
            .flat_map(|node| node.conditions(&["Hash Cond", "Merge Cond", "Join Filter"]))
            .flat_map(|text| clause::clauses(text, alias))
            .collect();
        Some(Self { facts, is_guarded, rows, filters, joins, order: order(above, alias) })
    }
}

fn rows_read(node: &Node, facts: &RelationFacts) -> Option<f64> {
    let removed = node.actual.map_or(0.0, |actual| actual.removed * actual.loops);
    match node.kind.as_str() {
        "Seq Scan" => {
            let seen = node.actual.map_or(node.rows, |actual| actual.rows * actual.loops + removed);
            Some(facts.rows.max(seen)).filter(|rows| *rows >= NOTICEABLE)
        }
        "Index Scan" | "Bitmap Heap Scan" | "Index Only Scan" => {
            Some(removed).filter(|rows| *rows >= NOTICEABLE)
        }
        _ => None,
    }
}

/// The keys of the nearest sort above, if it only serves a limit.
fn order(above: &[&Node], alias: &str) -> Vec<String> {
    let Some(place) = above.iter().rposition(|node| node.kind == "Sort") else { return Vec::new() };
    let is_limited = place.checked_sub(1).is_some_and(|parent| above[parent].kind == "Limit");
    if !is_limited {
        return Vec::new();
    }
    above[place].sort_keys.iter().map_while(|key| clause::sort_column(key, alias)).collect()
}
