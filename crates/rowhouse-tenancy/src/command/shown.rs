//! Organizations and tenants for people.

use comfy_table::{Table, presets};
use serde::Serialize;
use serde_json::Value;

/// One line per row; `none` without rows.
pub(super) fn table<T: Serialize>(columns: &[&str], rows: &[T], none: &str) -> String {
    if rows.is_empty() {
        return none.to_owned();
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(columns.iter().map(|column| column.replace('_', " ")));
    for row in rows {
        let row = serde_json::to_value(row).unwrap_or_default();
        table.add_row(columns.iter().map(|column| text(&row[column])));
    }
    table.to_string()
}

/// One line per field that has a value.
pub(super) fn fields<T: Serialize>(thing: &T) -> String {
    let fields = serde_json::to_value(thing).unwrap_or_default();
    let fields = fields.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
    let lines = fields.map(|(name, value)| format!("{:<18}{}\n", name.replace('_', " "), text(value)));
    lines.collect()
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
