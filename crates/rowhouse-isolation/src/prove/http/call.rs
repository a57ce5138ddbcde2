//! One request as a client writes it, and what came of it. Leaves which are sent to `request`, `routine` and `bleed`.

use std::fmt;

use axum::body::Body;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_RANGE, CONTENT_TYPE, HOST, RANGE};
use http::response::Parts;
use http::{HeaderName, Method, Request};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use rowhouse_module::CannotRun;
use serde_json::Value;

use super::super::run::Outcome;

const PREFIX: &str = "/rest/v1";
/// Kept as they are in paths and queries (RFC 3986 section 2.3).
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const PREFER: HeaderName = HeaderName::from_static("prefer");
const ACCEPT_PROFILE: HeaderName = HeaderName::from_static("accept-profile");
const CONTENT_PROFILE: HeaderName = HeaderName::from_static("content-profile");

/// A request to the data API.
#[derive(Debug, Clone)]
pub(super) struct Call {
    method: Method,
    schema: String,
    /// Relation, or `rpc/FUNCTION`.
    path: String,
    query: Vec<(String, String)>,
    prefer: Option<&'static str>,
    range: Option<&'static str>,
    body: Option<Value>,
}

impl Call {
    pub(super) fn new(method: Method, schema: &str, path: &str) -> Self {
        Self {
            method,
            schema: schema.to_owned(),
            path: path.to_owned(),
            query: Vec::new(),
            prefer: None,
            range: None,
            body: None,
        }
    }

    pub(super) fn query(mut self, query: &[(String, String)]) -> Self {
        self.query.extend_from_slice(query);
        self
    }

    pub(super) fn prefer(self, prefer: &'static str) -> Self {
        Self { prefer: Some(prefer), ..self }
    }

    pub(super) fn range(self, range: &'static str) -> Self {
        Self { range: Some(range), ..self }
    }

    pub(super) fn body(self, body: Value) -> Self {
        Self { body: Some(body), ..self }
    }

    fn target(&self) -> String {
        let escaped = |text: &str| utf8_percent_encode(text, ESCAPED).to_string();
        let path: Vec<String> = self.path.split('/').map(escaped).collect();
        let query: Vec<String> =
            self.query.iter().map(|(name, value)| format!("{}={}", escaped(name), escaped(value))).collect();
        let sign = if query.is_empty() { "" } else { "?" };
        format!("{PREFIX}/{}{sign}{}", path.join("/"), query.join("&"))
    }

    /// As a caller with that token sends it.
    pub(super) fn request(&self, token: Option<&str>) -> Result<Request<Body>, CannotRun> {
        let mut request = Request::builder().method(self.method.clone()).uri(self.target());
        request = request.header(HOST, "localhost").header(ACCEPT, "application/json");
        for name in [ACCEPT_PROFILE, CONTENT_PROFILE] {
            request = request.header(name, &self.schema);
        }
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        if let Some(prefer) = self.prefer {
            request = request.header(PREFER, prefer);
        }
        if let Some(range) = self.range {
            request = request.header(RANGE, range);
        }
        let body = self.body.as_ref().map(Value::to_string);
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        request
            .body(body.map_or_else(Body::empty, Body::from))
            .map_err(|error| CannotRun::because(format!("{self} is no request: {error}")))
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.target())?;
        if let Some(prefer) = self.prefer {
            write!(f, " (Prefer: {prefer})")?;
        }
        self.body.as_ref().map_or(Ok(()), |body| write!(f, " {body}"))
    }
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    status: u16,
    /// Rows by `Content-Range`.
    total: Option<i64>,
    /// The code of an error, which answers to HEAD have in a header only.
    code: Option<String>,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn new(head: &Parts, body: &[u8]) -> Self {
        let range = head.headers.get(CONTENT_RANGE).and_then(|value| value.to_str().ok());
        let total = range.and_then(|range| range.rsplit('/').next()?.parse().ok());
        let status = head.headers.get("proxy-status").and_then(|value| value.to_str().ok());
        let code = status.and_then(|status| Some(status.split_once("error=")?.1.to_owned()));
        Self { status: head.status.as_u16(), total, code, body: String::from_utf8_lossy(body).into_owned() }
    }

    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The same as of a statement: how many rows were reached, or the code of the refusal.
    pub(super) fn outcome(&self) -> Outcome {
        let body: Value = serde_json::from_str(&self.body).unwrap_or(Value::Null);
        if self.is_success() {
            let listed = body.as_array().and_then(|rows| i64::try_from(rows.len()).ok());
            let rows = self.total.or(listed).unwrap_or_default();
            return Outcome { state: "00000".to_owned(), rows: Some(rows), ..Outcome::default() };
        }
        let text = |key: &str| body.get(key).and_then(Value::as_str).map(str::to_owned);
        let status = format!("HTTP {}", self.status);
        let state = text("code").or_else(|| self.code.clone()).unwrap_or_else(|| status.clone());
        Outcome { state, said: Some(text("message").unwrap_or(status)), ..Outcome::default() }
    }
}
