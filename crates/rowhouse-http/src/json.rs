//! JSON object bodies, with errors that name fields and never Rust types.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// Most bytes of an error's text: it may repeat what the client sent.
const MAX_MESSAGE_BYTES: usize = 200;

/// Why a body is refused, for the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct JsonError(String);

/// Parses an object; an empty body is an empty object. An array is refused: serde would read it as the fields in
/// order.
///
/// # Errors
/// What is wrong, for the client.
pub fn read_object<T: DeserializeOwned>(body: &[u8]) -> Result<T, JsonError> {
    from_fields(parse_object(body)?)
}

/// The first half of [`read_object`].
pub(crate) fn parse_object(body: &[u8]) -> Result<Map<String, Value>, JsonError> {
    let body = if body.is_empty() { b"{}" } else { body };
    match serde_json::from_slice(body) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(JsonError::new("the body is not a JSON object")),
        Err(error) => Err(JsonError::new(&format!("the body is no JSON: {error}"))),
    }
}

/// The second half of [`read_object`].
pub(crate) fn from_fields<T: DeserializeOwned>(fields: Map<String, Value>) -> Result<T, JsonError> {
    serde_path_to_error::deserialize(Value::Object(fields)).map_err(|error| {
        let (path, text) = (error.path().to_string(), without_type_names(&error.inner().to_string()));
        JsonError::new(&if path == "." { text } else { format!("{path}: {text}") })
    })
}

/// Whether a string in it contains U+0000, which PostgreSQL's `text` cannot hold.
pub(crate) fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(fields) => fields.iter().any(|(name, value)| name.contains('\0') || has_nul(value)),
        _ => false,
    }
}

impl JsonError {
    fn new(text: &str) -> Self {
        Self(text[..text.floor_char_boundary(MAX_MESSAGE_BYTES)].to_owned())
    }
}

/// Replaces names of Rust types: `expected struct NewJob` becomes `expected an object`.
#[must_use]
pub fn without_type_names(text: &str) -> String {
    let kinds = [
        ("tuple struct ", "a list"),
        ("struct ", "an object"),
        ("enum ", "one of its names"),
        ("variant ", "a name"),
    ];
    let mut text = text.to_owned();
    for (kind, plain) in kinds {
        let looked_for = format!("expected {kind}");
        while let Some(start) = text.find(&looked_for) {
            let name = start + looked_for.len();
            let end = text[name..].find(|c: char| !c.is_alphanumeric() && c != '_' && c != ':');
            text.replace_range(start..end.map_or(text.len(), |end| name + end), &format!("expected {plain}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct SecretName {
        #[serde(default)]
        count: u8,
        inner: Option<Inner>,
        kind: Option<Kind>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Inner {
        name: String,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    enum Kind {
        Plain,
    }

    fn error(body: &str) -> String {
        read_object::<SecretName>(body.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn only_an_object_is_a_body() {
        assert_eq!(read_object::<SecretName>(b"").unwrap(), SecretName { count: 0, inner: None, kind: None });
        for body in ["[3]", "null", "3", "\"x\"", "{", "[[[["] {
            assert!(error(body).starts_with("the body is n"), "{body}");
        }
    }

    #[test]
    fn errors_name_fields_and_no_types() {
        assert_eq!(error(r#"{"count": 300}"#), "count: invalid value: integer `300`, expected u8");
        assert_eq!(error(r#"{"inner": 3}"#), "inner: invalid type: integer `3`, expected an object");
        assert!(!error(r#"{"kind": 3}"#).contains("Kind"));
        assert_eq!(
            error(r#"{"inner": {"name": 1}}"#),
            "inner.name: invalid type: integer `1`, expected a string"
        );
        assert!(error(r#"{"x": 1}"#).starts_with("x: unknown field `x`, expected one of"));
    }

    #[test]
    fn what_the_client_sent_is_repeated_only_in_part() {
        let long = format!(r#"{{"count": "{}"}}"#, "x".repeat(10_000));
        assert!(error(&long).len() <= MAX_MESSAGE_BYTES);
    }
}
