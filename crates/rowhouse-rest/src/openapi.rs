//! Descriptions of the served schema, as far as the caller may use it: OpenAPI 2.0 at the root, and 3.1 in [`v31`].
//! Pure functions of the snapshot and of the privileges that the database has reported.

mod operation;
mod schema;
mod v31;

use std::collections::{BTreeMap, HashSet};

use bytes::Bytes;
use rowhouse_db::catalog::{Function, Snapshot, Table};
use rowhouse_db::flight::{Query, Row};
use serde_json::{Map, Value, json};

use crate::plan::OpenapiVersion;

/// Media types of bodies in both directions.
const MEDIA: [&str; 4] = [
    "application/json",
    "application/vnd.pgrst.object+json;nulls=stripped",
    "application/vnd.pgrst.object+json",
    "text/csv",
];

/// The objects that the caller may use, with comments.
#[derive(Debug, Default)]
pub(crate) struct Visible {
    schema: Option<String>,
    tables: BTreeMap<String, Option<String>>,
    /// (table, `select`, `insert`, `update` or `delete`).
    rights: HashSet<(String, String)>,
    columns: BTreeMap<(String, String), String>,
    functions: BTreeMap<String, Option<String>>,
}

impl Visible {
    /// The query for objects of `schema` that the caller may use; with `all`, for all objects.
    pub(crate) fn query(schema: &str, all: bool) -> Query {
        let all = if all { "true" } else { "false" };
        let text = |text: &str| Some(Bytes::copy_from_slice(text.as_bytes()));
        Query { sql: include_str!("../sql/visible.sql").into(), params: vec![text(schema), text(all)] }
    }

    pub(crate) fn from_rows(rows: Vec<Row>) -> Self {
        let mut visible = Self::default();
        for row in rows {
            let mut texts =
                row.into_iter().map(|value| value.and_then(|bytes| String::from_utf8(bytes.to_vec()).ok()));
            let mut next = || texts.next().flatten();
            let (kind, name, column, comment) = (next(), next(), next(), next());
            let Some(name) = name else { continue };
            match (kind.as_deref(), column, comment) {
                (Some("schema"), _, comment) => visible.schema = comment,
                (Some("table"), rights, comment) => {
                    let rights = rights.unwrap_or_default();
                    visible.rights.extend(rights.split(',').map(|right| (name.clone(), right.to_owned())));
                    visible.tables.insert(name, comment);
                }
                (Some("column"), Some(column), Some(comment)) => {
                    visible.columns.insert((name, column), comment);
                }
                (Some("function"), _, comment) => {
                    let known = visible.functions.entry(name).or_default();
                    *known = known.take().or(comment);
                }
                _ => {}
            }
        }
        visible
    }

    fn may(&self, table: &str, right: &str) -> bool {
        self.rights.contains(&(table.to_owned(), right.to_owned()))
    }

    fn column_comment(&self, table: &str, column: &str) -> Option<&str> {
        self.columns.get(&(table.to_owned(), column.to_owned())).map(String::as_str)
    }
}

/// The whole document. `base` is the path below which the API is served; `is_secured` says in 2.0 that a token may be
/// asked for, as 3.1 always does.
pub(crate) fn document(
    version: OpenapiVersion,
    snapshot: &Snapshot,
    schema: &str,
    visible: &Visible,
    (base, is_secured): (&str, bool),
) -> Value {
    match version {
        OpenapiVersion::Two if is_secured => secured(v2(snapshot, schema, visible, base)),
        OpenapiVersion::Two => v2(snapshot, schema, visible, base),
        OpenapiVersion::ThreeOne => v31::document(snapshot, schema, visible, base),
    }
}

fn v2(snapshot: &Snapshot, schema: &str, visible: &Visible, base: &str) -> Value {
    let (title, description) = split_comment(visible.schema.as_deref());
    let tables: Vec<&Table> = visible.tables.keys().filter_map(|name| snapshot.table(schema, name)).collect();
    let functions: Vec<&Function> =
        visible.functions.keys().filter_map(|name| snapshot.functions(schema, name).first()).collect();
    let mut paths = Map::new();
    paths.insert("/".to_owned(), operation::root());
    for table in &tables {
        let comment = visible.tables.get(&table.name.name).and_then(Option::as_deref);
        paths.insert(format!("/{}", table.name.name), operation::table(table, comment));
    }
    for function in &functions {
        let comment = visible.functions.get(&function.name.name).and_then(Option::as_deref);
        paths.insert(format!("/rpc/{}", function.name.name), operation::function(function, comment));
    }
    let definitions: Map<String, Value> = tables
        .iter()
        .map(|table| (table.name.name.clone(), schema::table(snapshot, table, visible)))
        .collect();
    json!({
        "swagger": "2.0",
        "info": {
            "title": title.unwrap_or("Data API"),
            "description": description.unwrap_or("Tables, views and functions of the schema, over HTTP"),
            "version": env!("CARGO_PKG_VERSION"),
        },
        "tags": tags(&tables, &functions),
        // The API is PostgREST's, and so is the reference of its grammar.
        "externalDocs": {
            "description": "PostgREST Documentation",
            "url": "https://postgrest.org/en/v16/references/api.html",
        },
        "basePath": base,
        "consumes": MEDIA,
        "produces": MEDIA,
        "paths": paths,
        "definitions": definitions,
        "parameters": operation::parameters(&tables, visible),
    })
}

/// How a token is presented, in PostgREST's words: tools made for it look for this name.
fn secured(mut document: Value) -> Value {
    document["securityDefinitions"] = json!({ "JWT": {
        "type": "apiKey",
        "name": "Authorization",
        "in": "header",
        "description": "Add the token prepending \"Bearer \" (without quotes) to it",
    }});
    document["security"] = json!([{ "JWT": [] }]);
    document
}

/// One for the document, for each table, and for each function.
fn tags(tables: &[&Table], functions: &[&Function]) -> Vec<Value> {
    let tables = tables.iter().map(|table| table.name.name.clone());
    let functions = functions.iter().map(|function| format!("(rpc) {}", function.name.name));
    let all = std::iter::once("Introspection".to_owned()).chain(tables).chain(functions);
    all.map(|name| json!({ "name": name })).collect()
}

/// A comment's first line is a title, the rest a description.
fn split_comment(comment: Option<&str>) -> (Option<&str>, Option<&str>) {
    let Some(comment) = comment else { return (None, None) };
    let (title, rest) = comment.split_once('\n').unwrap_or((comment, ""));
    let rest = rest.trim_start_matches('\n');
    (Some(title), (!rest.is_empty()).then_some(rest))
}

#[cfg(test)]
mod tests;
