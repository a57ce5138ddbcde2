//! The description in OpenAPI 3.1: operations by privilege, and schemas of rows.

mod function;
mod schema;
mod table;

use std::fmt::Write as _;

use rowhouse_db::catalog::{Snapshot, Table};
use serde_json::{Map, Value, json};

use super::{Visible, split_comment};

/// The inputs of the document.
#[derive(Clone, Copy)]
struct Scope<'a> {
    snapshot: &'a Snapshot,
    schema: &'a str,
    visible: &'a Visible,
}

impl<'a> Scope<'a> {
    /// The tables that the caller may use, by name.
    fn tables(self) -> impl Iterator<Item = &'a Table> {
        self.visible.tables.keys().filter_map(move |name| self.snapshot.table(self.schema, name))
    }

    /// More than one schema is served, so requests have to name this one unless it is the first.
    fn is_one_of_several(self) -> bool {
        self.snapshot.schemas().len() > 1
    }

    /// The parameter that names the schema; reads and writes have one each.
    fn profile(self, name: &str) -> Option<Value> {
        self.is_one_of_several().then(|| reference("parameters", name))
    }
}

/// The whole document. `base` is the path below which the API is served.
pub(crate) fn document(snapshot: &Snapshot, schema: &str, visible: &Visible, base: &str) -> Value {
    let scope = Scope { snapshot, schema, visible };
    let (title, description) = split_comment(visible.schema.as_deref());
    let mut paths = Map::new();
    for table in scope.tables() {
        paths.insert(format!("/{}", escaped(&table.name.name)), table::path(scope, table));
    }
    for name in visible.functions.keys() {
        let overloads = snapshot.functions(schema, name);
        if !overloads.is_empty() {
            paths.insert(format!("/rpc/{}", escaped(name)), function::path(scope, name, overloads));
        }
    }
    let tags: Vec<Value> = tags(scope).into_iter().map(|name| json!({ "name": name })).collect();
    json!({
        "openapi": "3.1.0",
        "tags": tags,
        "info": {
            "title": title.unwrap_or("Data API"),
            "description": description.unwrap_or("Tables, views and functions of the schema, over HTTP"),
            "version": env!("CARGO_PKG_VERSION"),
        },
        "servers": [{ "url": base }],
        // Alternatives; the last is anonymous access.
        "security": [{ "bearer": [] }, { "apikey": [] }, {}],
        "paths": paths,
        "components": {
            "schemas": schemas(scope),
            "parameters": table::parameters(scope),
            "headers": headers(),
            "responses": failures(),
            "securitySchemes": {
                "bearer": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT" },
                "apikey": { "type": "apiKey", "in": "header", "name": "apikey" },
            },
        },
    })
}

/// One for each table, and one for each function.
fn tags(scope: Scope<'_>) -> Vec<String> {
    let functions = scope.visible.functions.keys();
    let served = functions.filter(|name| !scope.snapshot.functions(scope.schema, name).is_empty());
    scope.tables().map(|table| table.name.name.clone()).chain(served.map(|name| call_tag(name))).collect()
}

fn call_tag(function: &str) -> String {
    format!("(rpc) {function}")
}

fn headers() -> Value {
    json!({
        "contentRange": {
            "description": "First and last row of the page, and the total where it was asked for",
            "schema": { "type": "string", "examples": ["0-24/3573"] },
        },
        "location": {
            "description": "Where the one new row is, with `Prefer: return=headers-only`",
            "schema": { "type": "string" },
        },
        "allow": {
            "description": "The methods that there are",
            "schema": { "type": "string", "examples": ["OPTIONS,GET,HEAD"] },
        },
    })
}

fn failures() -> Value {
    let content = json!({ "application/json": { "schema": reference("schemas", ERROR) } });
    json!({
        "error": { "description": "The request failed", "content": content },
        "method": {
            "description": "The table, view or function does not take this method",
            "headers": { "Allow": reference("headers", "allow") },
            "content": content,
        },
    })
}

/// The schema of failures. No table can be called so, since [`key`] never leaves a single dot.
const ERROR: &str = "rest.error";

fn schemas(scope: Scope<'_>) -> Value {
    let mut all = Map::new();
    all.insert(
        ERROR.to_owned(),
        json!({
            "type": "object",
            "required": ["code", "message"],
            "properties": {
                "code": { "type": "string", "description": "PGRST… or an SQLSTATE" },
                "message": { "type": "string" },
                "details": { "description": "Text, or a list of candidates" },
                "hint": { "type": ["string", "null"] },
            },
        }),
    );
    for table in scope.tables() {
        let key = key(&table.name.name);
        let may = |right| scope.visible.may(&table.name.name, right);
        let (inserts, updates) = (may("insert") && table.insertable, may("update") && table.updatable);
        if inserts {
            all.insert(format!("{key}.insert"), schema::inserted(table, &key));
        }
        if inserts || updates {
            all.insert(format!("{key}.write"), schema::written(scope, table));
        }
        all.insert(key, schema::row(scope, table));
    }
    all.into()
}

/// A name as a component key: letters, digits, `-` and `_` stay, others are written as `.hex.`, so that keys are unique.
fn key(name: &str) -> String {
    let mut key = String::with_capacity(name.len());
    for character in name.chars() {
        if character.is_ascii_alphanumeric() || matches!(character, '-' | '_') {
            key.push(character);
        } else if write!(key, ".{:x}.", u32::from(character)).is_err() {
            break;
        }
    }
    key
}

/// A name as part of a path; brackets would make a template of it.
fn escaped(name: &str) -> String {
    crate::respond::encode(name)
}

fn reference(kind: &str, key: &str) -> Value {
    json!({ "$ref": format!("#/components/{kind}/{key}") })
}

/// Fields of every operation; `comment` is split into summary and description, `about` is used without one.
fn operation(
    (id, about): (String, &str),
    tag: &str,
    comment: Option<&str>,
    parameters: Vec<Value>,
) -> Map<String, Value> {
    let mut operation = Map::new();
    operation.insert("operationId".to_owned(), id.into());
    operation.insert("tags".to_owned(), json!([tag]));
    let (summary, description) = split_comment(comment);
    operation.insert("summary".to_owned(), summary.unwrap_or(about).into());
    operation.insert("description".to_owned(), description.unwrap_or(about).into());
    if !parameters.is_empty() {
        operation.insert("parameters".to_owned(), parameters.into());
    }
    operation
}

/// The responses of an operation, failures included.
fn responses(found: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    let mut all: Map<String, Value> =
        found.into_iter().map(|(status, response)| (status.to_owned(), response)).collect();
    all.insert("405".to_owned(), reference("responses", "method"));
    all.insert("default".to_owned(), reference("responses", "error"));
    all.into()
}

/// Rows in every built-in media type.
fn rows(about: &str, item: &Value) -> Value {
    json!({
        "description": about,
        "headers": { "Content-Range": reference("headers", "contentRange") },
        "content": {
            "application/json": { "schema": { "type": "array", "items": item } },
            "application/vnd.pgrst.object+json": { "schema": item },
            "text/csv": { "schema": { "type": "string" } },
        },
    })
}

#[cfg(test)]
mod tests;
