//! Types, columns and rows as JSON Schema 2020-12.

use rowhouse_db::catalog::{Column, Relation, RelationKind, Snapshot, Table};
use serde_json::{Map, Value, json};

use super::Scope;

/// A row as it is read. Columns that are not null are always present, unless `select` leaves them out.
pub(super) fn row(scope: Scope<'_>, table: &Table) -> Value {
    let required: Vec<&str> =
        table.columns.iter().filter(|column| !column.nullable).map(|column| column.name.as_str()).collect();
    let mut schema = object(scope, table, |_| true);
    if let Some(Some(comment)) = scope.visible.tables.get(&table.name.name) {
        schema["description"] = json!(comment);
    }
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    if !table.primary_key.is_empty() {
        schema["x-primary-key"] = json!(table.primary_key);
    }
    let keys: Vec<Value> = keys(scope, table).map(key).collect();
    if !keys.is_empty() {
        schema["x-foreign-keys"] = keys.into();
    }
    schema
}

/// What may be written of a row.
pub(super) fn written(scope: Scope<'_>, table: &Table) -> Value {
    object(scope, table, |column| !column.is_generated)
}

/// As [`written`], with the required columns of a new row.
pub(super) fn inserted(table: &Table, key: &str) -> Value {
    let needed = |column: &&Column| !column.nullable && !column.is_generated && column.default.is_none();
    let required: Vec<&str> =
        table.columns.iter().filter(needed).map(|column| column.name.as_str()).collect();
    let mut schema = json!({ "allOf": [super::reference("schemas", &format!("{key}.write"))] });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

fn object(scope: Scope<'_>, table: &Table, which: impl Fn(&Column) -> bool) -> Value {
    let properties: Map<String, Value> = table
        .columns
        .iter()
        .filter(|column| which(column))
        .map(|column| (column.name.clone(), property(scope, table, column)))
        .collect();
    json!({ "type": "object", "properties": properties })
}

fn property(scope: Scope<'_>, table: &Table, column: &Column) -> Value {
    // A domain with a representation may be shown as any JSON.
    let mut schema = match column.representation.to_json {
        Some(_) => Map::new(),
        None => of_type(scope.snapshot, &column.base_type),
    };
    if let Some(length) = length(&column.type_name) {
        schema.insert("maxLength".to_owned(), json!(length));
    }
    let mut schema = if column.nullable { nullable(schema) } else { schema };
    schema.insert("x-postgres-type".to_owned(), json!(column.type_name));
    match column.default.as_deref().map(|default| (default, constant(&column.base_type, default))) {
        Some((_, Some(value))) => drop(schema.insert("default".to_owned(), value)),
        Some((text, None)) => drop(schema.insert("x-default".to_owned(), json!(text))),
        None => {}
    }
    if column.is_generated {
        schema.insert("readOnly".to_owned(), json!(true));
    }
    if let Some(comment) = scope.visible.column_comment(&table.name.name, &column.name) {
        schema.insert("description".to_owned(), json!(comment));
    }
    if table.primary_key.contains(&column.name) {
        schema.insert("x-primary-key".to_owned(), json!(true));
    }
    let refers = |relation: &&Relation| matches!(&*relation.columns, [(here, _)] if *here == column.name);
    if let Some(relation) = keys(scope, table).find(refers) {
        let there = relation.columns.first().map(|(_, there)| there);
        let target = json!({ "table": relation.target.name, "column": there });
        schema.insert("x-foreign-key".to_owned(), target);
    }
    schema.into()
}

/// Foreign keys to tables that the caller may use.
fn keys<'a>(scope: Scope<'a>, table: &'a Table) -> impl Iterator<Item = &'a Relation> {
    table.relations.iter().filter(move |relation| {
        let forth =
            matches!(relation.kind, RelationKind::ManyToOne | RelationKind::OneToOne { referred: false });
        let target = &relation.target;
        let shown = target.schema == scope.schema && scope.visible.tables.contains_key(&target.name);
        forth && shown && !relation.target_is_view
    })
}

fn key(relation: &Relation) -> Value {
    let (here, there): (Vec<&String>, Vec<&String>) =
        relation.columns.iter().map(|(here, there)| (here, there)).unzip();
    let target = json!({ "table": relation.target.name, "columns": there });
    json!({ "name": relation.constraint, "columns": here, "references": target })
}

/// The JSON Schema of a PostgreSQL type. Empty where values can be anything: JSON itself, and types of extensions and
/// composites, whose casts decide.
pub(super) fn of_type(snapshot: &Snapshot, name: &str) -> Map<String, Value> {
    let mut schema = Map::new();
    let mut set = |key: &str, value: Value| drop(schema.insert(key.to_owned(), value));
    if let Some(item) = name.strip_suffix("[]") {
        set("type", json!("array"));
        set("items", of_type(snapshot, item).into());
    } else if let Some(labels) = snapshot.enum_labels(name) {
        set("type", json!("string"));
        set("enum", json!(labels));
    } else if let Some((kind, format)) = kind(name) {
        set("type", json!(kind));
        if let Some(format) = format {
            set("format", json!(format));
        }
    }
    schema
}

/// Type and format; formats are those of OpenAPI and JSON Schema, where PostgreSQL's text form meets them.
fn kind(name: &str) -> Option<(&'static str, Option<&'static str>)> {
    Some(match name {
        "boolean" => ("boolean", None),
        "smallint" | "integer" => ("integer", Some("int32")),
        "bigint" => ("integer", Some("int64")),
        "numeric" => ("number", None),
        "real" => ("number", Some("float")),
        "double precision" => ("number", Some("double")),
        "uuid" => ("string", Some("uuid")),
        "date" => ("string", Some("date")),
        "timestamp with time zone" => ("string", Some("date-time")),
        "json" | "jsonb" | "record" => return None,
        _ if name.ends_with(".citext") => ("string", None),
        _ if name.contains('.') => return None,
        _ => ("string", None),
    })
}

/// The same, or null.
pub(super) fn nullable(mut schema: Map<String, Value>) -> Map<String, Value> {
    if let Some(kind) = schema.get_mut("type") {
        *kind = json!([kind, "null"]);
    }
    if let Some(Value::Array(labels)) = schema.get_mut("enum") {
        labels.push(Value::Null);
    }
    schema
}

/// The length in `character varying(20)`; that of an array's items is left out.
fn length(type_name: &str) -> Option<u32> {
    type_name.strip_prefix("character")?.split_once('(')?.1.strip_suffix(')')?.parse().ok()
}

/// A default that is a plain value: a number, a boolean, or a quoted text with its cast.
fn constant(base_type: &str, default: &str) -> Option<Value> {
    match kind(base_type) {
        Some(("boolean" | "integer" | "number", _)) => {
            serde_json::from_str(default).ok().filter(|value: &Value| value.is_boolean() || value.is_number())
        }
        Some(("string", _)) => Some(json!(literal(default)?)),
        // Labels of an enumerated type are written as texts.
        None if default.starts_with('\'') && !base_type.starts_with("json") => Some(json!(literal(default)?)),
        _ => None,
    }
}

/// `'it''s'::text` as the text itself.
fn literal(default: &str) -> Option<String> {
    let (text, cast) = default.strip_prefix('\'')?.rsplit_once('\'')?;
    let plain = text.replace("''", "");
    let is_one = !plain.contains('\'') && (cast.is_empty() || is_cast(cast));
    is_one.then(|| text.replace("''", "'"))
}

fn is_cast(text: &str) -> bool {
    text.strip_prefix("::")
        .is_some_and(|name| name.bytes().all(|b| b.is_ascii_alphanumeric() || b" _.\"(),".contains(&b)))
}
