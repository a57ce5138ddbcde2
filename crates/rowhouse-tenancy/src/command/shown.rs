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

/// Width of the names of fields, unless one is longer.
const NARROWEST: usize = 18;

/// One line per field that has a value.
pub(super) fn fields<T: Serialize>(thing: &T) -> String {
    let fields = serde_json::to_value(thing).unwrap_or_default();
    let has_value = |value: &Value| !value.is_null() && value.as_array().is_none_or(|list| !list.is_empty());
    let fields: Vec<_> =
        fields.as_object().into_iter().flatten().filter(|(_, value)| has_value(value)).collect();
    let width = fields.iter().map(|(name, _)| name.len() + 2).fold(NARROWEST, usize::max);
    let lines =
        fields.iter().map(|(name, value)| format!("{:<width$}{}\n", name.replace('_', " "), text(value)));
    lines.collect()
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(list) if list.iter().all(Value::is_string) => {
            list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn long_name_stands_apart_from_its_value() {
        let product = json!({ "name": "app", "post_logout_redirect_uris": ["https://a", "https://b"], "redirect_uris": [], "note": null });
        let expected = "name                       app\npost logout redirect uris  https://a, https://b\n";
        assert_eq!(super::fields(&product), expected);
    }
}
