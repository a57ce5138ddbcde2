//! Requests that an operation describes, with one hostile value each. Leaves the values to `value`.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::{Attempt, Operation, value};

/// Depth of references, beyond which a sample is null.
const MAX_DEPTH: usize = 6;

/// Makes requests after the document.
pub(crate) struct Sampler<'d> {
    pub(crate) document: &'d Value,
    /// What exists, by the parameter of the path that names it.
    pub(crate) ids: &'d BTreeMap<String, String>,
}

/// Percent-encoded as far as a path and a query need it, and further.
fn encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}

impl Sampler<'_> {
    /// A request as it should be, then each of its places made hostile.
    pub(crate) fn attempts(&self, operation: &Operation) -> Vec<Attempt> {
        let body = &operation.described["requestBody"]["content"]["application/json"]["schema"];
        let fields = self.fields(body);
        let plain = Attempt {
            why: "as it should be".to_owned(),
            method: operation.method.clone(),
            path: self.path(&operation.template, None),
            query: String::new(),
            headers: vec![("if-match", b"*".to_vec())],
            body: body.is_object().then(|| Value::from(fields.clone()).to_string().into_bytes()),
        };
        let mut all = vec![plain.clone()];
        all.extend(self.paths(operation, &plain));
        all.extend(queries(operation, &plain));
        all.extend(headers(&plain));
        if body.is_object() {
            all.extend(value::bodies().into_iter().map(|(why, body)| with_body(&plain, why, body)));
            all.extend(self.bodies(body, &fields, &plain));
        }
        all
    }

    fn path(&self, template: &str, hostile: Option<(&str, &str)>) -> String {
        let part = |part: &str| match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
            None => part.to_owned(),
            Some(name) => match hostile {
                Some((of, text)) if of == name => text.to_owned(),
                _ => {
                    encoded(self.ids.get(name).map_or("0198d5a1-0000-7000-8000-000000000001", String::as_str))
                }
            },
        };
        template.split('/').map(part).collect::<Vec<_>>().join("/")
    }

    fn paths(&self, operation: &Operation, plain: &Attempt) -> Vec<Attempt> {
        let mut all = Vec::new();
        let names =
            operation.template.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        for name in names {
            let texts = value::texts().into_iter().filter(|text| !text.is_empty()).map(|text| encoded(&text));
            for text in texts.chain(["%ff".to_owned(), "%c0%80".to_owned()]) {
                let path = self.path(&operation.template, Some((name, &text)));
                all.push(Attempt { why: name.to_owned(), path, ..plain.clone() });
            }
        }
        all
    }

    /// Each field with each value, beside those that the body requires.
    fn bodies(&self, schema: &Value, fields: &Map<String, Value>, plain: &Attempt) -> Vec<Attempt> {
        let mut all = Vec::new();
        let properties = self.resolved(schema)["properties"].as_object().cloned().unwrap_or_default();
        for (name, property) in properties {
            let sample = self.sample(&name, &property, 0);
            let item = sample.get(0).cloned().unwrap_or_default();
            let mut values = value::values();
            if sample.is_array() {
                values.extend([value::many(&item), json!([item.clone(), item.clone()])]);
                values.extend(value::values().into_iter().map(|value| json!([value])));
            }
            values.extend(inner(&sample));
            for hostile in values {
                let mut fields = fields.clone();
                fields.insert(name.clone(), hostile);
                let body = Value::from(fields).to_string();
                all.push(with_body(plain, &format!("{name} in {body:.200}"), body.into_bytes()));
            }
        }
        all
    }

    /// The fields that a body requires.
    fn fields(&self, schema: &Value) -> Map<String, Value> {
        let schema = self.resolved(schema);
        let names = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        names.map(|name| (name.to_owned(), self.sample(name, &schema["properties"][name], 1))).collect()
    }

    fn resolved<'s>(&'s self, schema: &'s Value) -> &'s Value {
        let name = schema["$ref"].as_str().and_then(|text| text.strip_prefix("#/components/schemas/"));
        name.map_or(schema, |name| self.resolved(&self.document["components"]["schemas"][name]))
    }

    /// A value that fits.
    fn sample(&self, name: &str, schema: &Value, depth: usize) -> Value {
        let schema = self.resolved(schema);
        let choices = ["anyOf", "oneOf"].into_iter().find_map(|key| schema[key].as_array());
        if let Some(choice) = choices.and_then(|choices| choices.iter().find(|one| one["type"] != "null")) {
            return self.sample(name, choice, depth + 1);
        }
        let constant = schema.get("const").or_else(|| schema["enum"].get(0));
        let kinds = schema["type"].as_array();
        let kind =
            kinds.and_then(|kinds| kinds.iter().find(|kind| **kind != "null")).unwrap_or(&schema["type"]);
        match (constant, kind.as_str()) {
            (Some(constant), _) => constant.clone(),
            _ if depth > MAX_DEPTH => Value::Null,
            (_, Some("string")) => self.text(name, schema["format"].as_str()),
            (_, Some("integer" | "number")) => json!(1),
            (_, Some("boolean")) => json!(true),
            (_, Some("array")) => json!([self.sample(name, &schema["items"], depth + 1)]),
            (_, Some("object")) => {
                let fields = schema["properties"].as_object().into_iter().flatten();
                let sampled = fields.map(|(name, inner)| (name.clone(), self.sample(name, inner, depth + 1)));
                Value::Object(sampled.collect())
            }
            _ => json!("x"),
        }
    }

    fn text(&self, name: &str, format: Option<&str>) -> Value {
        let name = name.trim_end_matches("_id").trim_end_matches('s');
        let known = self.ids.get(if name == "owner" { "user" } else { name }).map(String::as_str);
        match (format, known, name) {
            (Some("uuid"), known, _) => json!(known.unwrap_or("0198d5a1-0000-7000-8000-000000000001")),
            (Some("date-time"), ..) => json!("2027-01-31T12:00:00Z"),
            (_, Some(known), _) if name != "name" => json!(known),
            (_, _, "email") => json!("somebody@example.com"),
            _ => json!("x"),
        }
    }
}

/// An object, or a list of one, with each of the object's fields made hostile.
fn inner(sample: &Value) -> Vec<Value> {
    let item = sample.get(0).unwrap_or(sample);
    let mut all = vec![sample.clone()];
    for name in item.as_object().into_iter().flatten().map(|(name, _)| name) {
        for hostile in value::values() {
            let mut item = item.clone();
            item[name] = hostile;
            all.push(if sample.is_array() { json!([item]) } else { item });
        }
    }
    all
}

fn with_body(plain: &Attempt, why: &str, body: Vec<u8>) -> Attempt {
    Attempt { why: why.to_owned(), body: Some(body), ..plain.clone() }
}

/// Each parameter of the query with each text, twice, and one that nobody knows.
fn queries(operation: &Operation, plain: &Attempt) -> Vec<Attempt> {
    let all = operation.described["parameters"].as_array().into_iter().flatten();
    let names = all.filter(|parameter| parameter["in"] == "query").filter_map(|one| one["name"].as_str());
    let mut queries = vec!["?surprise=1".to_owned(), "?%ff=%ff&&=".to_owned()];
    for name in names {
        queries.extend(value::texts().iter().map(|text| format!("?{name}={}", encoded(text))));
        queries.extend([format!("?{name}=1&{name}=1"), format!("?{name}"), format!("?{name}=%ff")]);
        queries.push(format!("?{name}=eyJhIjoxfQ"));
        // Cursors: a number, texts, a list, a time.
        for position in ["7", "\"x\"", "\"a\\u0000\"", "[\"x\",\"y\"]", "[1,2]", "-1", "\"infinity\"", "9e99"]
        {
            queries.push(format!("?{name}={}", URL_SAFE_NO_PAD.encode(position)));
        }
    }
    let attempt = |query: String| Attempt { why: "the query".to_owned(), query, ..plain.clone() };
    queries.into_iter().map(attempt).collect()
}

fn headers(plain: &Attempt) -> Vec<Attempt> {
    let all: [(&'static str, Vec<u8>); 8] = [
        ("if-match", b"\xff".to_vec()),
        ("if-match", b"\"".to_vec()),
        ("idempotency-key", b"\xff".to_vec()),
        ("idempotency-key", vec![b'x'; 256]),
        ("idempotency-key", b"once".to_vec()),
        ("idempotency-key", b"once".to_vec()),
        ("content-type", b"text/plain".to_vec()),
        ("accept", b"image/png".to_vec()),
    ];
    let attempt = |header: (&'static str, Vec<u8>)| Attempt {
        why: header.0.to_owned(),
        headers: vec![header],
        ..plain.clone()
    };
    all.into_iter().map(attempt).collect()
}
