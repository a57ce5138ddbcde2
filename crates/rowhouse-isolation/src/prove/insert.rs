//! Inserts as SQL text. Leaves which values to `row`.

use super::literal::literal;
use super::world::Row;

/// An insert of these values.
pub(crate) fn insert(relation: &str, row: &Row) -> String {
    written(relation, row, "")
}

/// The same, with numbers that PostgreSQL would give itself.
pub(crate) fn insert_with_identity(relation: &str, row: &Row) -> String {
    written(relation, row, "overriding system value ")
}

fn written(relation: &str, row: &Row, overriding: &str) -> String {
    let columns: Vec<&str> = row.keys().map(String::as_str).collect();
    let values: Vec<String> = row.values().map(|value| literal(value.as_deref())).collect();
    if columns.is_empty() {
        return format!("insert into {relation} default values");
    }
    format!("insert into {relation} ({}) {overriding}values ({})", columns.join(", "), values.join(", "))
}
