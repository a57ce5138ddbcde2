//! Generates the OpenAPI document from routes.

use aide::OperationOutput;
use aide::axum::ApiRouter;
use aide::generate::in_context;
use aide::openapi::{OpenApi, Operation, ReferenceOr, StatusCode};
use aide::transform::TransformOperation;
use axum::Router;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::Problem;

/// Extension that holds the schemas of the path parameters until the path is known.
pub(super) const SEGMENTS: &str = "x-segments";
/// Most schemas of one name.
const MOST_ALIKE: u32 = 100;
/// Additional responses of requests with an `Idempotency-Key`.
const KEY_PROBLEMS: [(&str, &str); 2] = [
    ("409", "A request with this Idempotency-Key is under way"),
    ("422", "This Idempotency-Key belongs to another request"),
];
/// Statuses that any operation may answer with.
const ALWAYS: [u16; 3] = [401, 403, 429];
/// Responses of the extractors: to any operation with parameters or a body, and to those with a body.
const UNREADABLE: [(&str, &str); 2] =
    [("400", "The request cannot be read"), ("422", "A text or a value is not possible")];
const TOO_LONG: [(&str, &str); 1] = [("413", "The body is too long")];

/// Names an operation and lists the problems that it may answer with, beside those of every operation; for `get_with`
/// and its siblings.
pub fn operation(
    id: &str,
    summary: &str,
    problems: &[u16],
) -> impl for<'t> FnOnce(TransformOperation<'t>) -> TransformOperation<'t> {
    move |described| described.id(id).summary(summary).with(|described| add_problems(described, problems))
}

fn add_problems<'t>(mut described: TransformOperation<'t>, problems: &[u16]) -> TransformOperation<'t> {
    let operation = described.inner_mut();
    let problem = in_context(|context| Problem::operation_response(context, operation));
    let responses = &mut operation.responses.get_or_insert_default().responses;
    for status in ALWAYS.iter().chain(problems) {
        let mut problem = problem.clone().unwrap_or_default();
        let named = http::StatusCode::from_u16(*status).ok().and_then(|status| status.canonical_reason());
        problem.description = named.unwrap_or("The request failed").to_owned();
        responses.insert(StatusCode::Code(*status), ReferenceOr::Item(problem));
    }
    described
}

/// A request header that may be sent.
pub(super) fn add_header(operation: &mut Operation, name: &str, description: &str) {
    let parameter = json!({
        "in": "header", "name": name, "description": description, "schema": { "type": "string" },
    });
    if let Ok(parameter) = serde_json::from_value(parameter) {
        operation.parameters.push(ReferenceOr::Item(parameter));
    }
}

/// The document without paths.
pub(super) fn empty() -> Value {
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Rowhouse admin API", "version": "1",
            "description": "The control plane. Every request carries a bearer token: the service key, or the access token of a user who has the permission that the operation names.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/admin/v1" }],
        "security": [{ "bearer": [] }],
        "tags": [],
        "paths": {},
        "components": {
            "securitySchemes": { "bearer": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT" } },
            "schemas": {},
        },
    })
}

/// Adds the routes that `build` makes, below `prefix`.
pub(super) fn add<S>(document: &mut Value, prefix: &str, build: impl FnOnce() -> ApiRouter<S>) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    // aide collects schemas in a thread-local; without an await in between they belong to this document.
    in_context(|context| context.schema = generator());
    let mut described = OpenApi::default();
    let router = ApiRouter::new().nest(prefix, build()).finish_api(&mut described);
    let described = serde_json::to_value(&described).unwrap_or_default();
    merge(document, &described, prefix.trim_start_matches('/'));
    router
}

/// OpenAPI 3.1 uses JSON Schema 2020-12.
fn generator() -> SchemaGenerator {
    let settings = SchemaSettings::draft2020_12();
    SchemaGenerator::new(settings.with(|settings| settings.definitions_path = "/components/schemas".into()))
}

/// Two crates may name different types alike: the later one gets a number. Type names are the crates' own affair, so
/// nothing else would notice.
fn rename_taken(known: &Value, described: &Value) -> Value {
    let mut described = described.clone();
    loop {
        let schemas = &described["components"]["schemas"];
        let names = schemas.as_object().into_iter().flatten();
        let taken =
            names.filter(|(name, schema)| known.get(name.as_str()).is_some_and(|same| same != *schema));
        let Some(name) = taken.map(|(name, _)| name.clone()).next() else { return described };
        let is_free = |new: &String| known.get(new).or_else(|| schemas.get(new)).is_none();
        let Some(new) = (2..MOST_ALIKE).map(|number| format!("{name}{number}")).find(is_free) else {
            return described;
        };
        let text = described.to_string().replace(&reference(&name), &reference(&new));
        described = serde_json::from_str(&text).unwrap_or(described);
        // What refers to it differs now, too, from what it was the same as.
        if let Some(schemas) = described["components"]["schemas"].as_object_mut() {
            let schema = schemas.remove(&name).unwrap_or_default();
            schemas.insert(new, schema);
        }
    }
}

fn reference(name: &str) -> String {
    format!("\"#/components/schemas/{name}\"")
}

fn merge(document: &mut Value, described: &Value, tag: &str) {
    let described = &rename_taken(&document["components"]["schemas"], described);
    // Two crates may have routes below one prefix.
    let named = json!({ "name": tag });
    if let Some(tags) = document["tags"].as_array_mut().filter(|tags| !tags.contains(&named)) {
        tags.push(named);
    }
    extend(&mut document["components"]["schemas"], &described["components"]["schemas"]);
    let mut paths = described["paths"].clone();
    for (path, operations) in paths.as_object_mut().into_iter().flatten() {
        for (method, operation) in operations.as_object_mut().into_iter().flatten() {
            operation["tags"] = json!([tag]);
            name_segments(path, operation);
            if method == "post" || method == "patch" {
                add_idempotency_key(operation);
            }
            add_refusals(operation);
        }
    }
    extend(&mut document["paths"], &paths);
}

fn extend(into: &mut Value, from: &Value) {
    if let (Some(into), Some(from)) = (into.as_object_mut(), from.as_object()) {
        into.extend(from.iter().map(|(name, value)| (name.clone(), value.clone())));
    }
}

fn add_idempotency_key(operation: &mut Value) {
    let parameter = json!({
        "in": "header", "name": "Idempotency-Key", "schema": { "type": "string", "maxLength": 255 },
        "description": "A request repeated with the same key has one effect; repetitions get the first answer",
    });
    match operation["parameters"].as_array_mut() {
        Some(parameters) => parameters.push(parameter),
        None => operation["parameters"] = json!([parameter]),
    }
    add_responses(operation, &KEY_PROBLEMS);
    // The layer reads the body of every request with a key.
    add_responses(operation, &TOO_LONG);
}

/// What the extractors answer, whichever route they are of.
fn add_refusals(operation: &mut Value) {
    let has_body = operation["requestBody"].is_object();
    if has_body {
        add_responses(operation, &TOO_LONG);
    }
    if has_body || operation["parameters"].as_array().is_some_and(|parameters| !parameters.is_empty()) {
        add_responses(operation, &UNREADABLE);
    }
}

/// Problems with these statuses, unless the operation describes them itself.
fn add_responses(operation: &mut Value, problems: &[(&str, &str)]) {
    let problem = operation["responses"]["default"].clone();
    for (status, description) in problems {
        let response = &mut operation["responses"][status];
        if response.is_null() && problem.is_object() {
            *response = problem.clone();
            response["description"] = json!(description);
        }
    }
}

/// Turns the schemas in [`SEGMENTS`] into path parameters, named as in the path.
fn name_segments(path: &str, operation: &mut Value) {
    let schemas = operation.as_object_mut().and_then(|operation| operation.remove(SEGMENTS));
    let names = path.split('{').skip(1).filter_map(|rest| rest.split_once('}'));
    let schemas = schemas.as_ref().and_then(Value::as_array).into_iter().flatten();
    let parameters: Vec<Value> = names
        .zip(schemas)
        .map(|((name, _), schema)| json!({ "name": name, "in": "path", "required": true, "schema": schema }))
        .collect();
    if parameters.is_empty() {
        return;
    }
    match operation["parameters"].as_array_mut() {
        Some(all) => {
            all.splice(0..0, parameters);
        }
        None => operation["parameters"] = parameters.into(),
    }
}
