//! One request that tries to reach another tenant's rows, and what its answer may say.

use reqwest::Method;
use serde_json::Value;

use super::catalog::{Function, Relation};
use super::row::Row;
use crate::support::{TestApp, TestResponse};

/// What an answer may contain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expect {
    /// Perhaps the attacker's own rows.
    OwnRows,
    /// No row at all: only the target's would match.
    NoRow,
    /// A refusal.
    Refusal,
}

#[derive(Debug, Clone)]
pub(super) struct Attack {
    pub(super) recipe: &'static str,
    pub(super) relation: String,
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Option<Value>,
    pub(super) expect: Expect,
}

/// Inputs of recipes: the attacker's row and the target's, of the same relation.
#[derive(Debug)]
pub(super) struct Field<'a> {
    pub(super) relations: &'a [Relation],
    pub(super) functions: &'a [Function],
    pub(super) relation: &'a Relation,
    pub(super) own: Row,
    pub(super) target: Row,
    pub(super) own_tenant: &'a str,
    pub(super) target_tenant: &'a str,
    /// A row that does not exist yet, filled for the attacker's tenant with references to the target's rows.
    pub(super) reaching: Row,
    /// A row that does not exist yet, with references of the attacker's own.
    pub(super) fresh: Row,
}

impl Field<'_> {
    /// `a=eq.1&b=eq.2` for the columns of one key.
    pub(super) fn equal(&self, row: &Row, columns: &[String]) -> String {
        let parts: Vec<String> =
            columns.iter().map(|name| format!("{name}=eq.{}", text(&row[name]))).collect();
        parts.join("&")
    }

    /// `a.eq.1,b.eq.2`, as it stands in logic trees.
    pub(super) fn equal_in_tree(&self, row: &Row, columns: &[String]) -> String {
        let parts: Vec<String> =
            columns.iter().map(|name| format!("{name}.eq.{}", text(&row[name]))).collect();
        parts.join(",")
    }

    /// What another relation's embeds and filters are called by.
    pub(super) fn other(&self, name: &str) -> Option<&Relation> {
        self.relations.iter().find(|relation| relation.name == name)
    }
}

/// A value as it stands in a query string.
pub(super) fn text(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    text.replace('+', "%2B")
}

impl Attack {
    pub(super) fn new(recipe: &'static str, field: &Field<'_>, method: Method, query: &str) -> Self {
        Self {
            recipe,
            relation: field.relation.name.clone(),
            method,
            path: format!("/rest/v1/{}?{query}", field.relation.name),
            headers: vec![("prefer", "return=representation,count=exact".to_owned())],
            body: None,
            expect: Expect::OwnRows,
        }
    }

    pub(super) fn body(mut self, body: impl Into<Value>) -> Self {
        self.body = Some(body.into());
        self
    }

    pub(super) fn prefer(mut self, prefer: &str) -> Self {
        self.headers = vec![("prefer", prefer.to_owned())];
        self
    }

    pub(super) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    pub(super) fn expect(mut self, expect: Expect) -> Self {
        self.expect = expect;
        self
    }

    pub(super) fn writes(&self) -> bool {
        self.method != "GET" && self.method != "HEAD"
    }

    pub(super) async fn send(&self, app: &TestApp, token: Option<&str>) -> TestResponse {
        let mut request = app.request(self.method.clone(), &self.path);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        if let Some(body) = &self.body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        app.send(request).await
    }

    /// Values of the target in the answer that the attacker has not sent. Values that a write has stored in the
    /// attacker's own row are returned; a read may return nothing, not even values in its filters.
    pub(super) fn leak<'a>(&self, answer: &TestResponse, marks: &'a [String]) -> Option<&'a String> {
        let sent = format!("{} {}", self.path, self.body.as_ref().map(Value::to_string).unwrap_or_default());
        let writes =
            matches!(self.method, Method::POST | Method::PATCH | Method::PUT) && !self.path.contains("/rpc/");
        let echo_allowed = writes || !answer.status.is_success();
        let headers: String =
            answer.headers.values().map(|v| String::from_utf8_lossy(v.as_bytes()) + "\n").collect();
        let leaks = |mark: &&String| {
            let known = sent.contains(mark.as_str());
            (answer.text.contains(mark.as_str()) && !(known && echo_allowed))
                || (headers.contains(mark.as_str()) && !known)
        };
        marks.iter().find(leaks)
    }

    /// The total in `Content-Range`, if one was counted.
    pub(super) fn total(answer: &TestResponse) -> Option<i64> {
        answer.headers.get("content-range")?.to_str().ok()?.rsplit_once('/')?.1.parse().ok()
    }

    /// The number of rows reported to a reader; a plan's estimate does not count.
    pub(super) fn counted(&self, answer: &TestResponse) -> Option<i64> {
        let reads = self.path.contains("/rpc/") || !self.writes();
        Self::total(answer).filter(|total| reads && *total > 0 && self.recipe != "planned count")
    }

    /// An answer that carries no row: none, an empty list, null, or a count of nothing.
    pub(super) fn is_empty(answer: &TestResponse) -> bool {
        !answer.status.is_success()
            || matches!(answer.text.trim(), "" | "[]" | "null" | "0") && Self::total(answer).unwrap_or(0) == 0
    }
}
