//! Views that look past row-level security. Leaves functions to `routine`.

use super::place::{Kind, beside};
use crate::prove::Relation;

fn view(relation: &Relation, create: &str, columns: &str, verbs: &str) -> Option<String> {
    let view = beside(relation, "prove_mutant_view");
    Some(format!(
        "create {create} {view} as select {columns} from {}; grant {verbs} on {view} to authenticated",
        relation.name
    ))
}

pub(super) const KINDS: &[Kind] = &[
    Kind { name: "definer_view", sql: |t, _| view(t, "view", "*", "select") },
    Kind { name: "definer_view_written", sql: |t, _| view(t, "view", "*", "select, insert, update, delete") },
    Kind { name: "definer_view_of_sums", sql: |t, _| view(t, "view", "count(*) as total", "select") },
    Kind {
        name: "definer_view_barrier",
        sql: |t, _| {
            let view = beside(t, "prove_mutant_view");
            Some(format!(
                "create view {view} with (security_barrier = true) as select * from {}; grant select on {view} to anon, authenticated",
                t.name
            ))
        },
    },
    Kind { name: "materialized_view", sql: |t, _| view(t, "materialized view", "*", "select") },
];
