//! Paths and their parameters.

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use rowhouse_db::catalog::{Argument, Function, Table, Volatility};
use serde_json::{Map, Value, json};

use super::schema::{arguments, format, local, of_type};
use super::{MEDIA, Visible, split_comment};

/// Reserved query parameters.
const GRAMMAR: [&str; 4] = ["select", "order", "limit", "offset"];

/// The document itself.
pub(super) fn root() -> Value {
    json!({ "get": {
        "tags": ["Introspection"],
        "summary": "OpenAPI description (this document)",
        "produces": ["application/openapi+json", "application/json"],
        "responses": { "200": { "description": "OK" } },
    }})
}

/// Reads, and writes where there are any.
pub(super) fn table(table: &Table, comment: Option<&str>) -> Value {
    let name = &table.name.name;
    // Columns with the name of a reserved parameter are left out.
    let columns = table.columns.iter().filter(|column| !GRAMMAR.contains(&column.name.as_str()));
    let rows: Vec<String> = columns.map(|column| format!("rowFilter.{name}.{}", column.name)).collect();
    let body = [format!("body.{name}")];
    let operation = |verb: &str, own: &[&[String]], shared: &[&str], status: &str, response: Value| {
        let own = own.iter().copied().flatten().map(String::as_str);
        let parameters: Vec<Value> = own.chain(shared.iter().copied()).map(reference).collect();
        let mut operation = tagged(name, comment, &format!("{verb} rows of {name}"));
        operation.insert("parameters".to_owned(), parameters.into());
        let mut responses = Map::new();
        responses.insert(status.to_owned(), response);
        if status == "200" {
            responses.insert("206".to_owned(), json!({ "description": "Partial Content" }));
        }
        operation.insert("responses".to_owned(), responses.into());
        Value::from(operation)
    };
    let read = ["select", "order", "range", "rangeUnit", "offset", "limit", "preferCount"];
    let found = json!({
        "description": "OK",
        "schema": { "type": "array", "items": { "$ref": pointer("definitions", name) } },
    });
    let mut item = json!({ "get": operation("Read", &[&rows], &read, "200", found) });
    if table.insertable || table.updatable || table.deletable {
        let done = || json!({ "description": "No Content" });
        let created = json!({ "description": "Created" });
        item["post"] = operation("Insert", &[&body], &["select", "preferPost"], "201", created);
        item["patch"] = operation("Update", &[&rows, &body], &["preferReturn"], "204", done());
        item["delete"] = operation("Delete", &[&rows], &["preferReturn"], "204", done());
    }
    item
}

/// Calls: with GET where the function does not write.
pub(super) fn function(function: &Function, comment: Option<&str>) -> Value {
    let operation = |parameters: Vec<Value>| {
        let name = &function.name.name;
        let mut operation = tagged(&format!("(rpc) {name}"), comment, &format!("Call {name}"));
        operation.insert("produces".to_owned(), json!(MEDIA.get(..3)));
        operation.insert("parameters".to_owned(), parameters.into());
        operation.insert("responses".to_owned(), json!({ "200": { "description": "OK" } }));
        Value::from(operation)
    };
    let body = json!({
        "name": "args", "in": "body", "required": true, "schema": arguments(function, comment),
    });
    let mut item = json!({ "post": operation(vec![body, reference("preferParams")]) });
    if function.volatility != Volatility::Volatile {
        item["get"] = operation(function.arguments.iter().map(|one| argument(function, one)).collect());
    }
    item
}

/// The parameters that operations refer to.
pub(super) fn parameters(tables: &[&Table], visible: &Visible) -> Value {
    let mut all = Map::new();
    let prefer = |values: &[&str]| {
        let mut parameter = simple("Prefer", "header", "Preference");
        if !values.is_empty() {
            parameter["enum"] = json!(values);
        }
        parameter
    };
    let returns = ["return=representation", "return=minimal", "return=none"];
    let duplicates = ["resolution=ignore-duplicates", "resolution=merge-duplicates"];
    all.insert("preferParams".to_owned(), prefer(&[]));
    all.insert("preferReturn".to_owned(), prefer(&returns));
    all.insert("preferCount".to_owned(), prefer(&["count=none"]));
    all.insert("preferPost".to_owned(), prefer(&[returns.as_slice(), &duplicates].concat()));
    for (key, name, place, about) in [
        ("select", "select", "query", "Filtering Columns"),
        ("on_conflict", "on_conflict", "query", "On Conflict"),
        ("order", "order", "query", "Ordering"),
        ("range", "Range", "header", "Limiting and Pagination"),
        ("rangeUnit", "Range-Unit", "header", "Limiting and Pagination"),
        ("offset", "offset", "query", "Limiting and Pagination"),
        ("limit", "limit", "query", "Limiting and Pagination"),
    ] {
        all.insert(key.to_owned(), simple(name, place, about));
    }
    all["rangeUnit"]["default"] = json!("items");
    for table in tables {
        let name = &table.name.name;
        let body = json!({
            "name": name, "description": name, "in": "body", "required": false,
            "schema": { "$ref": pointer("definitions", name) },
        });
        all.insert(format!("body.{name}"), body);
        for column in &table.columns {
            let mut filter =
                json!({ "name": column.name, "in": "query", "required": false, "type": "string" });
            if let Some(comment) = visible.columns.get(&(name.clone(), column.name.clone())) {
                filter["description"] = json!(comment);
            }
            all.insert(format!("rowFilter.{name}.{}", column.name), filter);
        }
    }
    all.into()
}

fn simple(name: &str, place: &str, about: &str) -> Value {
    json!({ "name": name, "description": about, "in": place, "required": false, "type": "string" })
}

fn reference(name: &str) -> Value {
    json!({ "$ref": pointer("parameters", name) })
}

/// Characters to be encoded in a URI's fragment.
const ESCAPED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// A JSON pointer as a fragment (RFC 6901 section 6).
fn pointer(kind: &str, name: &str) -> String {
    let name = name.replace('~', "~0").replace('/', "~1");
    format!("#/{kind}/{}", utf8_percent_encode(&name, ESCAPED))
}

/// An argument in a query string, where arrays are written in PostgreSQL's own form and JSON as text.
fn argument(function: &Function, argument: &Argument) -> Value {
    let type_name = local(function, &argument.type_name);
    let mut parameter = json!({ "name": argument.name, "in": "query", "required": argument.required });
    let schema = of_type(type_name);
    let kind = schema.get("type").and_then(Value::as_str);
    if argument.variadic {
        parameter["type"] = json!("array");
        parameter["collectionFormat"] = json!("multi");
        let item = type_name.strip_suffix("[]").unwrap_or(type_name);
        parameter["items"] = of_type(item).into();
    } else {
        parameter["type"] = json!(kind.filter(|kind| *kind != "array").unwrap_or("string"));
        parameter["format"] = json!(format(type_name));
    }
    parameter
}

/// `about` is used without a comment.
fn tagged(tag: &str, comment: Option<&str>, about: &str) -> Map<String, Value> {
    let mut operation = Map::new();
    operation.insert("tags".to_owned(), json!([tag]));
    let (summary, description) = split_comment(comment);
    operation.insert("summary".to_owned(), json!(summary.unwrap_or(about)));
    if let Some(description) = description {
        operation.insert("description".to_owned(), json!(description));
    }
    operation
}
