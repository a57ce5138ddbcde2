//! Types: columns and arguments as JSON Schema.

use rowhouse_db::catalog::{Argument, Column, Relation, RelationKind, Table};
use serde_json::{Map, Value, json};

use super::Visible;

/// A table's rows as an object.
pub(super) fn table(table: &Table, visible: &Visible) -> Value {
    let name = &table.name.name;
    let required: Vec<&str> =
        table.columns.iter().filter(|column| !column.nullable).map(|column| column.name.as_str()).collect();
    let properties: Map<String, Value> = table
        .columns
        .iter()
        .map(|column| {
            let comment = visible.columns.get(&(name.clone(), column.name.clone())).map(String::as_str);
            (column.name.clone(), property(table, column, comment))
        })
        .collect();
    let mut schema = json!({ "type": "object", "properties": properties });
    if let Some(Some(comment)) = visible.tables.get(name) {
        schema["description"] = json!(comment);
    }
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

/// A function's arguments as an object.
pub(super) fn arguments(arguments: &[Argument]) -> Value {
    let required: Vec<&str> = arguments
        .iter()
        .filter(|argument| argument.required)
        .map(|argument| argument.name.as_str())
        .collect();
    let properties: Map<String, Value> = arguments
        .iter()
        .map(|argument| (argument.name.clone(), of_type(&argument.type_name).into()))
        .collect();
    let mut schema = json!({ "type": "object", "properties": properties });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

fn property(table: &Table, column: &Column, comment: Option<&str>) -> Value {
    let mut schema = of_type(&column.base_type);
    if let Some(length) = length(&column.type_name) {
        schema.insert("maxLength".to_owned(), json!(length));
    }
    if let Some(default) = column.default.as_deref().and_then(|default| constant(column, default)) {
        schema.insert("default".to_owned(), default);
    }
    if let Some(description) = described(table, column, comment) {
        schema.insert("description".to_owned(), json!(description));
    }
    schema.into()
}

/// The comment, with notes on keys in the form that tools look for.
fn described(table: &Table, column: &Column, comment: Option<&str>) -> Option<String> {
    let mut notes = Vec::new();
    if table.primary_key.contains(&column.name) {
        notes.push("This is a Primary Key.<pk/>".to_owned());
    }
    let refers = |relation: &&Relation| {
        let forth =
            matches!(relation.kind, RelationKind::ManyToOne | RelationKind::OneToOne { referred: false });
        forth && matches!(relation.columns.as_slice(), [(here, _)] if *here == column.name)
    };
    let mut keys: Vec<&Relation> = table.relations.iter().filter(refers).collect();
    keys.sort_by_key(|relation| relation.target_is_view);
    if let Some((relation, (_, there))) = keys.first().and_then(|key| Some((key, key.columns.first()?))) {
        let target = &relation.target.name;
        notes.push(format!(
            "This is a Foreign Key to `{target}.{there}`.<fk table='{target}' column='{there}'/>"
        ));
    }
    if notes.is_empty() {
        return comment.map(str::to_owned);
    }
    let comment = comment.map(|comment| format!("{comment}\n\n")).unwrap_or_default();
    Some(format!("{comment}Note:\n{}", notes.join("\n")))
}

/// `type`, `format` and `items` of a type of PostgreSQL's.
pub(super) fn of_type(name: &str) -> Map<String, Value> {
    let mut schema = Map::new();
    if let Some(kind) = kind(name) {
        schema.insert("type".to_owned(), json!(kind));
    }
    schema.insert("format".to_owned(), json!(format(name)));
    if let Some(item) = name.strip_suffix("[]") {
        let item = kind(item).map_or_else(|| json!({}), |kind| json!({ "type": kind }));
        schema.insert("items".to_owned(), item);
    }
    schema
}

/// JSON may be anything, so it has no type.
fn kind(name: &str) -> Option<&'static str> {
    Some(match name {
        "boolean" => "boolean",
        "smallint" | "integer" | "bigint" => "integer",
        "numeric" | "real" | "double precision" => "number",
        "json" | "jsonb" => return None,
        _ if name.ends_with("[]") => "array",
        _ => "string",
    })
}

pub(super) fn format(name: &str) -> &str {
    match name {
        "smallint" | "integer" => "int32",
        "bigint" => "int64",
        other => other,
    }
}

/// The length in `character varying(20)`.
fn length(type_name: &str) -> Option<u32> {
    let inside = type_name.strip_prefix("character")?.split_once('(')?.1.split_once(')')?.0;
    inside.parse().ok()
}

/// A default that is a plain value; expressions are shown as their text where the column is text.
fn constant(column: &Column, default: &str) -> Option<Value> {
    if kind(&column.base_type) != Some("string") {
        return serde_json::from_str(default).ok();
    }
    let text = default.strip_suffix(&format!("::{}", column.base_type)).map(|text| text.trim_matches('\''));
    Some(json!(text.unwrap_or(default)))
}
