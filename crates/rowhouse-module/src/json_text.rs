//! JSON as text that was never parsed into numbers: size and precision are unchanged. Leaves values to `serde_json`.

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};

/// One JSON value as text.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct JsonText(Box<RawValue>);

impl JsonText {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// Whether it is `null`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.as_str() == "null"
    }

    /// Whether a string in it contains U+0000, which PostgreSQL's `text` cannot hold.
    #[must_use]
    pub fn has_nul(&self) -> bool {
        let text = self.as_str();
        // An escaped backslash does not begin an escape.
        text.match_indices("\\u0000").any(|(at, _)| {
            let before = text.as_bytes().get(..at).unwrap_or_default();
            before.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 0
        })
    }
}

impl From<Box<RawValue>> for JsonText {
    fn from(text: Box<RawValue>) -> Self {
        Self(text)
    }
}

impl From<Value> for JsonText {
    fn from(value: Value) -> Self {
        // A value can always be written.
        Self(to_raw_value(&value).unwrap_or_default())
    }
}

impl From<Map<String, Value>> for JsonText {
    fn from(fields: Map<String, Value>) -> Self {
        Value::Object(fields).into()
    }
}

impl PartialEq for JsonText {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for JsonText {}

#[cfg(test)]
mod tests {
    use super::JsonText;
    use serde_json::{json, value::RawValue};

    #[test]
    fn only_an_escape_is_a_nul() {
        let has_nul = |text: &str| JsonText::from(RawValue::from_string(text.to_owned()).unwrap()).has_nul();
        assert!(has_nul(r#"["a\u0000"]"#) && has_nul(r#""\\\u0000""#));
        assert!(!has_nul(r#"["a\\u0000"]"#) && !has_nul(r#""u0000""#));
        assert!(JsonText::from(json!("\0")).has_nul() && JsonText::from(json!(null)).is_null());
    }
}
