//! Random and almost valid requests over real connections: never a 5xx, always an answer or a close.

use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

use super::{arrange, stored};
use crate::support::TestApp;

const TIMEOUT: Duration = Duration::from_secs(10);
const METHODS: &[&str] = &["GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS", "QUERY", "STEAL"];
const PATHS: &[&str] = &[
    "/rest/v1/",
    "/rest/v1/todos",
    "/rest/v1/lists",
    "/rest/v1/todo_titles",
    "/rest/v1/countries",
    "/rest/v1/rpc/add",
    "/rest/v1/rpc/open_todos",
    "/rest/v1/nonsense",
    "/auth/v1/signup",
    "/auth/v1/token",
    "/auth/v1/user",
    "/auth/v1/logout",
    "/auth/v1/tenant",
    "/auth/v1/admin/users",
    "/auth/v1/settings",
];
const WORDS: &[&str] = &[
    "select",
    "id",
    "title",
    "rank",
    "details",
    "lists",
    "order",
    "limit",
    "offset",
    "columns",
    "on_conflict",
    "distinct",
    "having",
    "count()",
    ".sum()",
    "and",
    "or",
    "not",
    "in",
    "is",
    "eq",
    "gte",
    "like",
    "match",
    "fts",
    "cs",
    "ov",
    "any",
    "all",
    "null",
    "true",
    "desc",
    "nullsfirst",
    "grant_type",
    "password",
    "refresh_token",
    "scope",
    "global",
    "=",
    "=",
    "=",
    "&",
    "&",
    ".",
    ".",
    ".",
    ",",
    ",",
    "(",
    ")",
    "{",
    "}",
    "[",
    "]",
    "*",
    ":",
    "::",
    "->",
    "->>",
    "!",
    "!inner",
    "...",
    "%22",
    "%00",
    "%ff",
    "%F0%9F%92%A9",
    "+",
    "-1",
    "0",
    "1",
    "99999999999999999999",
    "1e400",
    "2026-02-30",
    "int",
    "text",
    "count()",
    "a",
    "b",
];
const BODY: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"title\"",
    "\"rank\"",
    "\"details\"",
    "\"tenant_id\"",
    "\"a\"",
    "\"b\"",
    "\"email\"",
    "\"x@example.com\"",
    "\"password\"",
    "\"data\"",
    "\"refresh_token\"",
    "null",
    "true",
    "0",
    "-1",
    "1e999",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "\"x\"",
    " ",
    "[[[[",
];
const HEADERS: &[&str] = &[
    "prefer: return=representation",
    "prefer: resolution=merge-duplicates",
    "prefer: count=exact,handling=strict",
    "prefer: missing=default",
    "prefer: max-affected=1",
    "range: 0-5",
    "range: 5-0",
    "range: x",
    "accept: text/csv",
    "accept: application/vnd.pgrst.object+json",
    "accept: */*;q=x",
    "content-type: application/json",
    "content-type: text/plain",
    "content-type: application/x-www-form-urlencoded",
    "content-type: application/octet-stream",
    "content-profile: auth",
    "x-supabase-api-version: 2024-01-01",
    "x-request-id: ???",
    "cookie: a=b; ;=",
    "expect: 100-continue",
    "accept-encoding: gzip",
    "traceparent: 00-x",
];

#[derive(Debug, Clone)]
enum Who {
    Nobody,
    User,
    Rubbish,
}

#[derive(Debug, Clone)]
struct Shaped {
    method: &'static str,
    path: &'static str,
    query: String,
    headers: Vec<&'static str>,
    body: Vec<u8>,
    who: Who,
}

impl Shaped {
    fn bytes(&self, token: &str) -> Vec<u8> {
        let mut head = format!(
            "{} {}?{} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n",
            self.method,
            self.path,
            self.query,
            self.body.len()
        );
        for header in &self.headers {
            head.push_str(&format!("{header}\r\n"));
        }
        match self.who {
            Who::Nobody => {}
            Who::User => head.push_str(&format!("authorization: Bearer {token}\r\n")),
            Who::Rubbish => head.push_str("authorization: Bearer e30.e30.e30\r\n"),
        }
        [head.as_bytes(), b"\r\n", &self.body].concat()
    }
}

fn sentence(words: &'static [&'static str], longest: usize) -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(words), 0..longest).prop_map(|words| words.concat())
}

fn shaped() -> impl Strategy<Value = Shaped> {
    let body = prop_oneof![
        Just(Vec::new()),
        sentence(BODY, 14).prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..200),
        Just(br#"{"title":"x"}"#.to_vec()),
    ];
    let who = prop_oneof![1 => Just(Who::Nobody), 6 => Just(Who::User), 1 => Just(Who::Rubbish)];
    let headers = prop::collection::vec(prop::sample::select(HEADERS), 0..4);
    let line = (prop::sample::select(METHODS), prop::sample::select(PATHS), sentence(WORDS, 24));
    (line, headers, body, who).prop_map(|((method, path, query), headers, body, who)| Shaped {
        method,
        path,
        query,
        headers,
        body,
        who,
    })
}

/// The whole answer; empty when the server closed without one. `ends`: nothing more will come from the client.
pub(super) async fn exchange(app: &TestApp, request: &[u8], ends: bool) -> String {
    let talk = async {
        let mut stream = TcpStream::connect(app.address).await.unwrap();
        // A refusal may come, and the connection end, before everything is sent.
        let _refused_early = stream.write_all(request).await;
        if ends {
            let _closed = stream.shutdown().await;
        }
        let mut answer = Vec::new();
        let _reset = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    };
    tokio::time::timeout(TIMEOUT, talk).await.expect("an answer or an end")
}

fn status(answer: &str) -> Option<u16> {
    answer.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()
}

fn runner(cases: u32) -> TestRunner {
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 500, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}

#[test]
fn almost_valid_requests_are_always_answered_and_never_with_5xx() {
    let runtime = Runtime::new().unwrap();
    let (app, user) = runtime.block_on(arrange());
    let outcome = runner(400).run(&shaped(), |request| {
        let answer = runtime.block_on(exchange(&app, &request.bytes(&user.token), false));
        // 100-continue may come first.
        let answer = answer.strip_prefix("HTTP/1.1 100 Continue\r\n\r\n").unwrap_or(&answer);
        prop_assert!(status(answer).is_some_and(|status| (200..500).contains(&status)), "{answer:?}");
        Ok(())
    });
    outcome.unwrap();
    assert_eq!(runtime.block_on(app.get(&app.anon_key, "/health/ready")).status, 200);
}

#[test]
fn random_bytes_do_not_harm_the_server() {
    let runtime = Runtime::new().unwrap();
    let (app, user) = runtime.block_on(arrange());
    let before = runtime.block_on(stored(&app));
    let wire = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..400),
        prop::collection::vec(any::<u8>(), 0..60).prop_map(|rubbish| [
            b"GET /rest/v1/todos?".as_slice(),
            &rubbish,
            b" HTTP/1.1\r\nhost: x\r\n\r\n"
        ]
        .concat()),
        prop::collection::vec(any::<u8>(), 0..60).prop_map(|rubbish| [
            b"POST /auth/v1/signup HTTP/1.1\r\nhost: x\r\n".as_slice(),
            &rubbish,
            b"\r\n\r\n{}"
        ]
        .concat()),
    ];
    let outcome = runner(200).run(&wire, |bytes| {
        let answer = runtime.block_on(exchange(&app, &bytes, true));
        prop_assert!(status(&answer).is_none_or(|status| status < 500), "{answer:?}");
        Ok(())
    });
    outcome.unwrap();
    assert_eq!(runtime.block_on(app.get(&user.token, "/rest/v1/todos")).status, 200);
    assert_eq!(before, runtime.block_on(stored(&app)));
}
