//! A response as tests look at it.

use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde_json::Value;

/// Read to its end.
#[derive(Debug)]
pub struct TestResponse {
    /// The status.
    pub status: StatusCode,
    /// Every header.
    pub headers: HeaderMap,
    /// The body.
    pub text: String,
}

impl TestResponse {
    /// The body, or null where it is no JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    /// The header's value; empty without one that is text.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The error code in whichever dialect.
    #[must_use]
    pub fn code(&self) -> String {
        let json = self.json();
        let code = json.get("error_code").or_else(|| json.get("code")).or_else(|| json.get("error"));
        code.and_then(Value::as_str).unwrap_or_default().to_owned()
    }
}
