//! Tables and views: paths, and the parameters that their operations share.

use rowhouse_db::catalog::Table;
use serde_json::{Map, Value, json};

use super::{Scope, key, operation, reference, responses, rows};

/// Query parameters with a meaning of their own; a column of that name cannot be filtered by.
const RESERVED: [&str; 8] = ["select", "order", "limit", "offset", "and", "or", "columns", "on_conflict"];

/// The methods that the table supports and the caller may use.
pub(super) fn path(scope: Scope<'_>, table: &Table) -> Value {
    let name = &table.name.name;
    let may = |right| scope.visible.may(name, right);
    let mut item = Map::new();
    if may("select") {
        item.insert("get".to_owned(), read(scope, table));
    }
    if may("insert") && table.insertable {
        item.insert("post".to_owned(), insert(scope, table));
    }
    if may("update") && table.updatable {
        item.insert("patch".to_owned(), change(scope, table, "update"));
    }
    if may("delete") && table.deletable {
        item.insert("delete".to_owned(), change(scope, table, "delete"));
    }
    item.into()
}

fn read(scope: Scope<'_>, table: &Table) -> Value {
    let shared = ["and", "or", "select", "order", "limit", "offset", "range", "preferRead"];
    let parameters = filters(table).chain(shared.map(|name| reference("parameters", name)));
    let parameters = parameters.chain(scope.profile("acceptProfile")).collect();
    let mut operation = begin(scope, table, "read", parameters);
    let item = reference("schemas", &key(&table.name.name));
    let found = [("200", rows("The rows found", &item)), ("206", rows("A part of the rows found", &item))];
    operation.insert("responses".to_owned(), responses(found));
    operation.into()
}

fn insert(scope: Scope<'_>, table: &Table) -> Value {
    let shared = ["select", "columns", "onConflict", "preferInsert"];
    let parameters = shared.map(|name| reference("parameters", name)).into_iter();
    let mut operation =
        begin(scope, table, "insert", parameters.chain(scope.profile("contentProfile")).collect());
    let key = key(&table.name.name);
    let one = reference("schemas", &format!("{key}.insert"));
    let schema = json!({ "oneOf": [one, { "type": "array", "items": one }] });
    let content =
        json!({ "application/json": { "schema": schema }, "text/csv": { "schema": { "type": "string" } } });
    operation.insert("requestBody".to_owned(), json!({ "required": true, "content": content }));
    let item = reference("schemas", &key);
    let made = [("200", rows("Nothing new: the rows merged with", &item)), ("201", created(&item))];
    operation.insert("responses".to_owned(), responses(made));
    operation.into()
}

/// Without a body, unless the rows were asked for.
fn created(item: &Value) -> Value {
    let about = "Created. The body is empty, unless `Prefer: return=representation` asks for the rows.";
    let mut created = rows(about, item);
    created["headers"]["Location"] = reference("headers", "location");
    created
}

/// `update` or `delete` of the rows that match.
fn change(scope: Scope<'_>, table: &Table, kind: &str) -> Value {
    let shared = ["and", "or", "select", "preferChange"];
    let parameters = filters(table).chain(shared.map(|name| reference("parameters", name)));
    let mut operation =
        begin(scope, table, kind, parameters.chain(scope.profile("contentProfile")).collect());
    let key = key(&table.name.name);
    if kind == "update" {
        let schema = reference("schemas", &format!("{key}.write"));
        let body = json!({ "required": true, "content": { "application/json": { "schema": schema } } });
        operation.insert("requestBody".to_owned(), body);
    }
    let item = reference("schemas", &key);
    let done = [
        ("200", rows("The rows, with `return=representation`", &item)),
        ("204", json!({ "description": "Done" })),
    ];
    operation.insert("responses".to_owned(), responses(done));
    operation.into()
}

fn begin(scope: Scope<'_>, table: &Table, verb: &str, parameters: Vec<Value>) -> Map<String, Value> {
    let name = &table.name.name;
    let comment = scope.visible.tables.get(name).and_then(Option::as_deref);
    let about = format!("{} rows of {name}", capitalized(verb));
    operation((format!("{verb}_{}", key(name)), &about), name, comment, parameters)
}

fn capitalized(verb: &str) -> String {
    let mut letters = verb.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

fn filters(table: &Table) -> impl Iterator<Item = Value> {
    filtered(table).map(|column| reference("parameters", &filter_key(table, column)))
}

fn filtered(table: &Table) -> impl Iterator<Item = &str> {
    table.columns.iter().map(|column| column.name.as_str()).filter(|name| !RESERVED.contains(name))
}

fn filter_key(table: &Table, column: &str) -> String {
    format!("filter.{}.{}", key(&table.name.name), key(column))
}

/// The shared parameters.
pub(super) fn parameters(scope: Scope<'_>) -> Value {
    let mut all = Map::new();
    let number = json!({ "type": "integer", "minimum": 0 });
    let text = json!({ "type": "string" });
    for (key, name, place, schema, about) in [
        ("select", "select", "query", &text, "Columns and embeds, by comma; all columns where left out"),
        ("order", "order", "query", &text, "`column.desc.nullslast`, by comma"),
        ("limit", "limit", "query", &number, "Most rows"),
        ("offset", "offset", "query", &number, "Rows left out at the beginning"),
        ("and", "and", "query", &text, "Filters that all must hold: `(a.gt.1,b.is.null)`"),
        ("or", "or", "query", &text, "Filters of which one must hold: `(a.gt.1,b.is.null)`"),
        ("columns", "columns", "query", &text, "Keys of the body that are written, by comma"),
        (
            "onConflict",
            "on_conflict",
            "query",
            &text,
            "Unique columns that decide what is a duplicate, by comma",
        ),
        ("range", "Range", "header", &text, "First and last row: `0-24`"),
        ("preferRead", "Prefer", "header", &text, "`count=exact`, `planned` or `estimated`"),
        (
            "preferChange",
            "Prefer",
            "header",
            &text,
            "`return=minimal`, `headers-only` or `representation`; `max-affected=n` with `handling=strict`",
        ),
        (
            "preferInsert",
            "Prefer",
            "header",
            &text,
            "`return=…`, `resolution=merge-duplicates` or `ignore-duplicates`, `missing=default`",
        ),
    ] {
        let parameter = json!({ "name": name, "in": place, "description": about, "schema": schema });
        all.insert(key.to_owned(), parameter);
    }
    for (key, name) in [("acceptProfile", "Accept-Profile"), ("contentProfile", "Content-Profile")] {
        if scope.is_one_of_several() {
            let is_default = scope.snapshot.schemas().first().is_some_and(|first| first == scope.schema);
            let parameter = json!({
                "name": name, "in": "header", "required": !is_default,
                "description": "The schema", "schema": { "type": "string", "const": scope.schema },
            });
            all.insert(key.to_owned(), parameter);
        }
    }
    for table in scope.tables() {
        for column in filtered(table) {
            let about = scope.visible.column_comment(&table.name.name, column);
            let about = about.map_or_else(|| FILTER.to_owned(), |about| format!("{about}\n\n{FILTER}"));
            let filter = json!({ "name": column, "in": "query", "description": about, "schema": text });
            all.insert(filter_key(table, column), filter);
        }
    }
    all.into()
}

const FILTER: &str = "Operator and value: `eq.1`, `not.in.(1,2)`, `like.*x*`, `is.null`";
