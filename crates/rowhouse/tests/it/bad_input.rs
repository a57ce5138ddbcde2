//! Malformed input: each a 4xx in its surface's dialect, nothing stored, the server still healthy.

mod auth_case;
mod fuzz;
mod rest_case;
mod token_case;

use rowhouse_auth::AuthSettings;
use rowhouse_rest::RestSettings;
use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

use crate::support::{SignedIn, TestApp, TestResponse, settings};

/// Longest time for a refusal, however large or deep the input.
const TIMEOUT: Duration = Duration::from_secs(3);
const BODY_LIMIT: u64 = 400_000;

/// A request and the expected answer.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: Vec<(&'static str, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
    /// The exact status; unset, any 4xx.
    pub(crate) status: Option<u16>,
    /// The dialect's code; unset, any.
    pub(crate) code: Option<&'static str>,
    /// Tolerated: PostgREST ignores such a header, so success is right too.
    pub(crate) may_succeed: bool,
}

impl Case {
    pub(crate) fn new(name: &str, method: Method, path: &str) -> Self {
        Self {
            name: name.to_owned(),
            method,
            path: path.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
            status: None,
            code: None,
            may_succeed: false,
        }
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        if !self.headers.iter().any(|(name, _)| *name == "content-type") {
            self.headers.push(("content-type", b"application/json".to_vec()));
        }
        self
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn is(mut self, status: u16, code: &'static str) -> Self {
        (self.status, self.code) = (Some(status), Some(code));
        self
    }

    pub(crate) fn tolerated(mut self) -> Self {
        self.may_succeed = true;
        self
    }

    async fn send(&self, app: &TestApp, token: &str, modern: bool) -> TestResponse {
        let mut request = app.request(self.method.clone(), &self.path);
        if !self.headers.iter().any(|(name, _)| *name == "authorization") {
            request = request.bearer_auth(token);
        }
        for (name, value) in &self.headers {
            request = request.header(*name, reqwest::header::HeaderValue::from_bytes(value).unwrap());
        }
        if modern {
            request = request.header("x-supabase-api-version", "2024-01-01");
        }
        let sent = app.send(request.body(self.body.clone()));
        tokio::time::timeout(TIMEOUT, sent)
            .await
            .unwrap_or_else(|_| panic!("{} took longer than {TIMEOUT:?}", self.name))
    }

    /// How an answer differs from the expected one.
    fn complaint(&self, answer: &TestResponse, modern: bool) -> Option<String> {
        let story = |what: &str| {
            Some(format!("{what}: {}: {} {:.300}\n{answer:?}", self.name, self.method, self.path))
        };
        if self.may_succeed && answer.status.is_success() {
            return None;
        }
        if !answer.status.is_client_error()
            || self.status.is_some_and(|status| answer.status.as_u16() != status)
        {
            return story("the wrong status");
        }
        // An answer to HEAD has no body.
        if self.method == Method::HEAD {
            return None;
        }
        let json = answer.json();
        let code =
            if self.path.starts_with("/auth/") { auth_code(&json, answer, modern) } else { rest_code(&json) };
        match (code, self.code) {
            (None, _) => story("the wrong dialect"),
            (Some(code), Some(wanted)) if code != wanted => story("the wrong code"),
            _ => None,
        }
    }
}

/// PostgREST's dialect: exactly `code`, `message`, `details`, `hint`.
fn rest_code(json: &Value) -> Option<String> {
    let mut keys: Vec<&str> = json.as_object()?.keys().map(String::as_str).collect();
    keys.sort_unstable();
    let has_message = json["message"].as_str().is_some_and(|message| !message.is_empty());
    (keys == ["code", "details", "hint", "message"] && has_message)
        .then(|| json["code"].as_str().map(str::to_owned))?
}

/// GoTrue's dialects: `code, error_code, msg`, and since 2024 `code, message`.
fn auth_code(json: &Value, answer: &TestResponse, modern: bool) -> Option<String> {
    if modern {
        let versioned =
            answer.headers.get("x-supabase-api-version").is_some_and(|version| version == "2024-01-01");
        json["message"].as_str().filter(|_| versioned)?;
        return json["code"].as_str().map(str::to_owned);
    }
    json["msg"].as_str()?;
    (json["code"] == answer.status.as_u16()).then(|| json["error_code"].as_str().map(str::to_owned))?
}

/// A running server with a user who owns one row.
pub(crate) async fn arrange() -> (TestApp, SignedIn) {
    let mut settings = settings();
    settings.update(|rest: &mut RestSettings| rest.max_body_bytes = BODY_LIMIT);
    settings.update(|auth: &mut AuthSettings| auth.max_body_bytes = BODY_LIMIT);
    let app = TestApp::start_with(settings).await;
    let user = app.sign_up("a@example.com").await;
    let made =
        app.post(&user.token, "/rest/v1/todos", serde_json::json!({ "title": "kept", "rank": 1 })).await;
    assert!(made.status.is_success(), "{made:?}");
    (app, user)
}

/// Number of rows, table by table.
pub(crate) async fn stored(app: &TestApp) -> String {
    let tables = [
        "public.todos",
        "public.lists",
        "public.countries",
        "auth.users",
        "auth.sessions",
        "auth.refresh_tokens",
        "tenancy.organizations",
        "tenancy.tenants",
        "tenancy.memberships",
        "tenancy.user_profiles",
    ];
    let counts: Vec<String> =
        tables.iter().map(|table| format!("'{table}', (select count(*) from {table})")).collect();
    let todos = "(select jsonb_agg(t order by id) from public.todos t)";
    let sql = format!("select jsonb_build_object('todos', {todos}, {})::text", counts.join(", "));
    app.db.superuser().await.query_one(&sql, &[]).await.unwrap().get(0)
}

/// Sends every case in every dialect of its surface.
async fn run(app: &TestApp, user: &SignedIn, cases: &[Case], at_least: usize) {
    assert!(cases.len() >= at_least, "{} cases", cases.len());
    let before = stored(app).await;
    let mut complaints = Vec::new();
    for case in cases {
        for modern in [false, true] {
            if modern && !case.path.starts_with("/auth/") {
                continue;
            }
            let answer = case.send(app, &user.token, modern).await;
            complaints.extend(case.complaint(&answer, modern));
        }
        let well = app.get(&user.token, "/rest/v1/todos?select=title").await;
        assert_eq!(
            (well.status.as_u16(), well.text.as_str()),
            (200, "[{\"title\":\"kept\"}]"),
            "after {}",
            case.name
        );
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n\n"));
    assert_eq!(before, stored(app).await, "something was written");
    eprintln!("{} cases", cases.len());
}

#[tokio::test]
async fn malformed_data_requests_are_refused_in_postgrest_terms() {
    let (app, user) = arrange().await;
    run(&app, &user, &rest_case::cases(), 90).await;
}

#[tokio::test]
async fn malformed_identity_requests_are_refused_in_gotrue_terms() {
    let (app, user) = arrange().await;
    run(&app, &user, &auth_case::cases(&app, &user), 50).await;
}

#[tokio::test]
async fn forged_and_invalid_tokens_are_refused() {
    let (app, user) = arrange().await;
    run(&app, &user, &token_case::cases(&app, &user), 40).await;
}

#[tokio::test]
async fn duplicate_json_keys_are_resolved_by_postgres() {
    let (app, user) = arrange().await;
    let bodies = [
        r#"{"title":"one","title":"two"}"#,
        r#"[{"title":"one","title":"two"}]"#,
        r#"{"title":"one","tenant_id":null,"title":"two"}"#,
    ];
    for body in bodies {
        let case = Case::new("duplicate keys", Method::POST, "/rest/v1/todos").body(body).tolerated();
        let answer = case.send(&app, &user.token, false).await;
        assert_eq!(case.complaint(&answer, false), None);
    }
    let case = Case::new("duplicate keys", Method::POST, "/auth/v1/signup")
        .body(r#"{"email":"x@example.com","email":5,"password":"long enough"}"#);
    let answer = case.send(&app, &user.token, false).await;
    assert_eq!(case.complaint(&answer, false), None);
}

#[tokio::test]
async fn url_beyond_its_limit_is_a_plain_414_on_every_surface() {
    let (app, _) = arrange().await;
    let deep = format!("and={}(id.eq.1){}", "(or".repeat(20_000), ")".repeat(20_000));
    for path in
        [format!("/rest/v1/todos?{deep}"), format!("/auth/v1/token?grant_type={}", "x".repeat(70_000))]
    {
        let request = format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n");
        let answer = fuzz::exchange(&app, request.as_bytes(), false).await;
        assert!(answer.starts_with("HTTP/1.1 414"), "{answer}");
    }
}
