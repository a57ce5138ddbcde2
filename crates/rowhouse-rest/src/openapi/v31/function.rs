//! Functions: GET if nothing is written, and POST.

use std::collections::BTreeMap;

use rowhouse_db::catalog::{Argument, Function, Returns, Volatility};
use serde_json::{Map, Value, json};

use super::{Scope, call_tag, key, operation, reference, responses, rows, schema};

/// The path of all functions of one name.
pub(super) fn path(scope: Scope<'_>, name: &str, overloads: &[Function]) -> Value {
    let mut item = Map::new();
    item.insert("post".to_owned(), post(scope, name, overloads));
    let readers: Vec<&Function> = overloads
        .iter()
        .filter(|function| function.volatility != Volatility::Volatile && unnamed(function).is_none())
        .collect();
    if !readers.is_empty() {
        item.insert("get".to_owned(), get(scope, name, &readers));
    }
    item.into()
}

fn get(scope: Scope<'_>, name: &str, overloads: &[&Function]) -> Value {
    let mut parameters: Vec<Value> = Vec::new();
    for (at, function) in overloads.iter().enumerate() {
        for argument in &function.arguments {
            let known = |earlier: &&Function| earlier.arguments.iter().any(|a| a.name == argument.name);
            if !overloads.iter().take(at).any(known) {
                // Required are arguments that every overload requires.
                let required = overloads
                    .iter()
                    .all(|other| other.arguments.iter().any(|a| a.name == argument.name && a.required));
                parameters.push(parameter(scope, argument, required));
            }
        }
    }
    parameters.extend(scope.profile("acceptProfile"));
    finish(scope, name, "get", parameters, overloads)
}

fn post(scope: Scope<'_>, name: &str, overloads: &[Function]) -> Value {
    let overloads: Vec<&Function> = overloads.iter().collect();
    let parameters = scope.profile("contentProfile").into_iter().collect();
    let mut operation = finish(scope, name, "call", parameters, &overloads);
    let mut bodies: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for function in &overloads {
        let (media, schema) = body(scope, function);
        bodies.entry(media).or_default().push(schema);
    }
    let content: Map<String, Value> = bodies
        .into_iter()
        .map(|(media, mut schemas)| {
            let schema = if schemas.len() > 1 { json!({ "anyOf": schemas }) } else { schemas.remove(0) };
            (media.to_owned(), json!({ "schema": schema }))
        })
        .collect();
    operation["requestBody"] = json!({ "content": content });
    operation
}

/// Media type and schema of the body: the arguments as an object, or the one unnamed argument.
fn body(scope: Scope<'_>, function: &Function) -> (&'static str, Value) {
    match unnamed(function).map(|argument| argument.type_name.as_str()) {
        Some("text") => ("text/plain", json!({ "type": "string" })),
        Some("xml") => ("text/xml", json!({ "type": "string" })),
        Some("bytea") => ("application/octet-stream", json!({})),
        Some(_) => ("application/json", json!({})),
        None => ("application/json", arguments(scope, function)),
    }
}

fn unnamed(function: &Function) -> Option<&Argument> {
    function.arguments.first().filter(|argument| argument.name.is_empty())
}

fn arguments(scope: Scope<'_>, function: &Function) -> Value {
    let properties: Map<String, Value> = function
        .arguments
        .iter()
        .map(|a| (a.name.clone(), schema::nullable(schema::of_type(scope.snapshot, &a.type_name)).into()))
        .collect();
    let required: Vec<&str> =
        function.arguments.iter().filter(|a| a.required).map(|a| a.name.as_str()).collect();
    let mut schema = json!({ "type": "object", "properties": properties });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

/// In a query string arrays have PostgreSQL's form, unless variadic, and JSON is text.
fn parameter(scope: Scope<'_>, argument: &Argument, required: bool) -> Value {
    let mut parameter = json!({ "name": argument.name, "in": "query", "required": required });
    let own = schema::of_type(scope.snapshot, &argument.type_name);
    if own.is_empty() || !own.contains_key("type") {
        parameter["content"] = json!({ "application/json": { "schema": own } });
    } else if argument.variadic {
        parameter["explode"] = json!(true);
        parameter["schema"] = own.into();
    } else if argument.type_name.ends_with("[]") {
        parameter["schema"] =
            json!({ "type": "string", "x-postgres-type": argument.type_name, "examples": ["{1,2}"] });
    } else {
        parameter["schema"] = own.into();
    }
    parameter
}

fn finish(
    scope: Scope<'_>,
    name: &str,
    verb: &str,
    parameters: Vec<Value>,
    overloads: &[&Function],
) -> Value {
    let comment = scope.visible.functions.get(name).and_then(Option::as_deref);
    let about = format!("Call {name}");
    let mut operation =
        operation((format!("{verb}_{}", key(name)), &about), &call_tag(name), comment, parameters);
    let first = overloads.first().copied();
    operation.insert("responses".to_owned(), responses(first.map(|function| result(scope, function))));
    operation.into()
}

/// Status and schema of the function's result.
fn result(scope: Scope<'_>, function: &Function) -> (&'static str, Value) {
    let item = match &function.returns {
        Returns::Void if !function.returns_set => return ("204", json!({ "description": "Done" })),
        Returns::Void | Returns::Scalar => json!({}),
        Returns::Row(row) => {
            let known = row.schema == scope.schema && scope.tables().any(|table| table.name == *row);
            if known { reference("schemas", &key(&row.name)) } else { json!({ "type": "object" }) }
        }
    };
    if function.returns_set {
        return ("200", rows("What the function gave", &item));
    }
    let content = json!({ "application/json": { "schema": item } });
    ("200", json!({ "description": "What the function gave", "content": content }))
}
