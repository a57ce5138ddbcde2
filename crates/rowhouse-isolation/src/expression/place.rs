//! Every node of an expression with where it stands: how many queries deep, and whether in a subquery of its own.

use std::collections::BTreeSet;

use crate::tree::{Node, Record};

/// A node in its place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) record: &'a Record,
    /// Queries around it; a column of the policy's table says so in `varlevelsup`.
    pub(super) depth: i64,
    /// Whether it is in a subquery, which PostgreSQL evaluates once if it names no column of the row.
    pub(super) in_subquery: bool,
}

/// All of an expression's, itself included.
pub(super) fn places(expression: &Node) -> Vec<Place<'_>> {
    let mut found = Vec::new();
    walk(expression, 0, false, &mut found);
    found
}

fn walk<'a>(node: &'a Node, depth: i64, in_subquery: bool, found: &mut Vec<Place<'a>>) {
    match node {
        Node::Word(_) => {}
        Node::List(items) => items.iter().for_each(|item| walk(item, depth, in_subquery, found)),
        Node::Record(record) => {
            let depth = if record.name == "QUERY" { depth + 1 } else { depth };
            found.push(Place { record, depth, in_subquery });
            for (field, values) in record.fields() {
                let inside = in_subquery || (record.name == "SUBLINK" && field == "subselect");
                values.iter().for_each(|value| walk(value, depth, inside, found));
            }
        }
    }
}

/// Numbers of the row's columns that are named; 0 is the whole row.
pub(super) fn own_columns(expression: &Node) -> BTreeSet<i64> {
    let is_own = |place: &Place<'_>| {
        place.record.name == "VAR" && place.record.number("varlevelsup") == Some(place.depth)
    };
    let own = places(expression).into_iter().filter(is_own);
    own.filter_map(|place| place.record.number("varattno")).collect()
}
