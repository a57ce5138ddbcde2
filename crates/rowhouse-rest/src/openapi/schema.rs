//! Types: columns and arguments as JSON Schema.

use std::borrow::Cow;

use rowhouse_db::catalog::{Column, Function, Relation, RelationKind, Snapshot, Table};
use serde_json::{Map, Value, json};

use super::Visible;

/// A table's rows as an object.
pub(super) fn table(snapshot: &Snapshot, table: &Table, visible: &Visible) -> Value {
    let name = &table.name.name;
    let required: Vec<&str> =
        table.columns.iter().filter(|column| !column.nullable).map(|column| column.name.as_str()).collect();
    let properties: Map<String, Value> = table
        .columns
        .iter()
        .map(|column| {
            let comment = visible.columns.get(&(name.clone(), column.name.clone())).map(String::as_str);
            (column.name.clone(), property(snapshot, table, column, comment))
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
pub(super) fn arguments(function: &Function, comment: Option<&str>) -> Value {
    let all = || function.arguments.iter();
    let required: Vec<&str> =
        all().filter(|argument| argument.required).map(|argument| argument.name.as_str()).collect();
    let properties: Map<String, Value> =
        all().map(|a| (a.name.clone(), of_type(local(function, &a.type_name)).into())).collect();
    let mut schema = json!({ "type": "object", "properties": properties });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    if let Some(comment) = comment {
        schema["description"] = json!(comment);
    }
    schema
}

/// A type's name without the schema of the function that names it.
pub(super) fn local<'n>(function: &Function, name: &'n str) -> &'n str {
    let without = name.strip_prefix(function.name.schema.as_str()).and_then(|rest| rest.strip_prefix('.'));
    without.unwrap_or(name)
}

fn property(snapshot: &Snapshot, table: &Table, column: &Column, comment: Option<&str>) -> Value {
    let mut schema = of_type(&column.base_type);
    if let Some(labels) = snapshot.enum_labels(&column.base_type) {
        schema.insert("enum".to_owned(), json!(labels));
    }
    if let Some(length) = length(&column.type_name) {
        schema.insert("maxLength".to_owned(), json!(length));
    }
    let is_enum = schema.contains_key("enum");
    if let Some(default) = column.default.as_deref().and_then(|text| constant(column, text, is_enum)) {
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
        let item = kind(without_length(item)).map_or_else(|| json!({}), |kind| json!({ "type": kind }));
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

pub(super) fn format(name: &str) -> Cow<'_, str> {
    match name {
        "smallint" | "integer" => "int32".into(),
        "bigint" => "int64".into(),
        other => match other.strip_suffix("[]") {
            Some(item) => format!("{}[]", without_length(item)).into(),
            None => other.into(),
        },
    }
}

/// `character` of `character(1)`.
fn without_length(name: &str) -> &str {
    if name.ends_with(')') { name.split_once('(').map_or(name, |(name, _)| name) } else { name }
}

/// The length in `character varying(20)`; of an array it is not the array's.
fn length(type_name: &str) -> Option<u32> {
    if type_name.ends_with("[]") {
        return None;
    }
    let inside = type_name.strip_prefix("character")?.split_once('(')?.1.split_once(')')?.0;
    inside.parse().ok()
}

/// Formats whose defaults may be expressions, which do not conform to them.
const STRICT_FORMATS: [&str; 2] = ["date", "uuid"];

/// A default that is a constant; expressions are shown as text where the format allows any string.
fn constant(column: &Column, default: &str, is_enum: bool) -> Option<Value> {
    let name = column.base_type.as_str();
    if kind(name) != Some("string") {
        return serde_json::from_str(default).ok();
    }
    let text = default.strip_suffix(&format!("::{name}")).map(|text| text.trim_matches('\''));
    let is_strict = is_enum || STRICT_FORMATS.contains(&name);
    text.or((!is_strict).then_some(default)).map(Value::from)
}
