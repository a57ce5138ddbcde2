//! Large results and bodies over HTTP: streamed, complete or visibly cut off, without delaying others.

use rowhouse_db::DbSettings;
use rowhouse_rest::RestSettings;
use std::time::Duration;

use reqwest::{Method, StatusCode};
use rowhouse_testkit::{TestDatabase, until_true};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{TestApp, TestResponse, settings};

const NDJSON: &str = "application/x-ndjson";
const SCHEMA: &str = "
    create table public.marks (n bigint primary key, note text default 'none');
    grant all on public.marks to anon;
    create function public.numbers(last bigint) returns setof bigint language sql stable as
        'select generate_series(1, last)';
    create function public.nap() returns text language sql stable as 'select pg_sleep(600)::text';
    create view public.endless as select generate_series(1, 1000000000000) as n, repeat('x', 1000) as filler;
    create view public.breaks as select n / (n - 100000) as n from public.numbers(200000) n;
    create view public.breaks_early as select 1 / (n - 3) as n from public.numbers(200000) n;
    create view public.wide as select n, repeat('x', 10000) as filler from public.numbers(1000) n;
    grant select on public.endless, public.breaks, public.breaks_early, public.wide to anon;";

/// One connection that streams, one that does not; clients that stall are cut off soon.
async fn start() -> TestApp {
    let mut settings = settings();
    settings.update(|db: &mut DbSettings| db.data_pool_size = 2);
    settings.update(|db: &mut DbSettings| db.data_pool_share = 100);
    settings.update(|db: &mut DbSettings| db.acquire_timeout = Duration::from_secs(20));
    settings.update(|db: &mut DbSettings| db.statement_timeout = Duration::from_secs(120));
    settings.update(|rest: &mut RestSettings| rest.stall_timeout = Duration::from_secs(1));
    settings.update(|rest: &mut RestSettings| rest.max_body_bytes = 1_000_000);
    settings.update(|rest: &mut RestSettings| rest.max_import_bytes = 4_000_000);
    let db = TestDatabase::create().await;
    db.migrate(SCHEMA).await;
    TestApp::start_on(db, settings).await
}

impl TestApp {
    async fn read_lines(&self, path: &str, headers: &[(&str, &str)]) -> TestResponse {
        let mut request = self.request(Method::GET, path).header("accept", NDJSON);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request).await
    }

    async fn import(&self, path: &str, prefer: &str, body: impl Into<reqwest::Body>) -> TestResponse {
        let request = self.request(Method::POST, path).header("content-type", NDJSON);
        self.send(request.header("prefer", prefer).body(body)).await
    }

    /// Waits until a session runs `nap()`, or until none does.
    async fn naps(&self, running: bool) {
        let seen = "exists (select from pg_stat_activity where state = 'active' and query like '%\"nap\"%' \
                    and pid <> pg_backend_pid())";
        until_true(&self.db.superuser().await, &format!("{seen} = {running}")).await;
    }

    async fn marks(&self) -> i64 {
        let client = self.db.superuser().await;
        client.query_one("select count(*) from public.marks", &[]).await.unwrap().get(0)
    }

    /// Sends a request and reads no more than the first bytes of its answer.
    async fn begin(&self, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }
}

fn lines(last: usize) -> String {
    (1..=last).map(|n| format!("{{\"n\":{n},\"note\":\"{n:x}\"}}\n")).collect()
}

#[tokio::test]
async fn rows_are_streamed_as_lines() {
    let app = start().await;
    app.import("/rest/v1/marks", "", lines(3)).await;
    let answer = app.read_lines("/rest/v1/marks?select=n&order=n.desc", &[]).await;
    assert_eq!((answer.status, answer.text.as_str()), (StatusCode::OK, "{\"n\":3}\n{\"n\":2}\n{\"n\":1}\n"));
    assert_eq!(answer.headers["content-type"], "application/x-ndjson; charset=utf-8");
    assert!(answer.headers.get("content-range").is_none(), "how many is not known");
    let counted =
        app.read_lines("/rest/v1/marks?select=n&order=n&limit=2", &[("prefer", "count=exact")]).await;
    assert_eq!(counted.status, StatusCode::PARTIAL_CONTENT);
    assert_eq!(counted.headers["content-range"], "0-1/3");
    assert_eq!(counted.text.lines().count(), 2);
    let none = app.read_lines("/rest/v1/marks?n=eq.9", &[]).await;
    assert_eq!((none.status, none.text.as_str()), (StatusCode::OK, ""));
    let called = app.read_lines("/rest/v1/rpc/numbers?last=3", &[]).await;
    assert_eq!(called.text, "1\n2\n3\n");
    let beyond = app.read_lines("/rest/v1/marks?offset=10", &[("prefer", "count=exact")]).await;
    assert_eq!(beyond.code(), "PGRST103");
}

#[tokio::test]
async fn many_rows_arrive_completely() {
    let app = start().await;
    let answer = app.read_lines("/rest/v1/rpc/numbers?last=300000", &[]).await;
    let expected: String = (1..=300_000).map(|n| format!("{n}\n")).collect();
    assert!(answer.text == expected, "{} bytes", answer.text.len());
}

#[tokio::test]
async fn long_json_is_streamed_with_its_length() {
    let app = start().await;
    let answer = app.send(app.request(Method::GET, "/rest/v1/wide").header("prefer", "count=exact")).await;
    assert_eq!(answer.headers["content-length"], answer.text.len().to_string().as_str());
    assert_eq!(answer.headers["content-range"], "0-999/1000");
    assert!(answer.text.len() > 10_000_000);
    assert_eq!(answer.json().as_array().unwrap().len(), 1000);
}

#[tokio::test]
async fn early_error_has_a_status_and_a_late_one_truncates_the_body() {
    let app = start().await;
    for view in ["breaks_early", "nothing"] {
        let answer = app.read_lines(&format!("/rest/v1/{view}"), &[]).await;
        assert!(answer.status.is_client_error(), "{view}: {}", answer.text);
    }
    let cut = app.request(Method::GET, "/rest/v1/breaks").header("accept", NDJSON).send().await.unwrap();
    assert_eq!(cut.status(), StatusCode::OK);
    assert!(cut.text().await.is_err(), "a part must not look like the whole");
}

#[tokio::test]
async fn client_that_disconnects_or_stalls_releases_its_connection() {
    let app = start().await;
    let endless = format!("GET /rest/v1/endless HTTP/1.1\r\nhost: x\r\naccept: {NDJSON}\r\n\r\n");
    let mut stalled = app.begin(&endless).await;
    // The only stream permit is held until the stalled client is disconnected; other requests continue meanwhile.
    assert_eq!(app.send(app.request(Method::GET, "/rest/v1/marks")).await.status, StatusCode::OK);
    let mut left = app.begin(&endless).await;
    let mut first = [0; 12];
    left.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    drop(left);
    assert_eq!(app.read_lines("/rest/v1/rpc/numbers?last=300000", &[]).await.status, StatusCode::OK);
    let mut rest = Vec::new();
    let _reset = stalled.read_to_end(&mut rest).await;
    assert!(!rest.ends_with(b"0\r\n\r\n"), "the body must not seem complete");
}

#[tokio::test]
async fn dropped_request_cancels_its_query() {
    let app = start().await;
    for _ in 0..4 {
        let nap = "POST /rest/v1/rpc/nap HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n";
        let stream = app.begin(nap).await;
        app.naps(true).await;
        drop(stream);
        app.naps(false).await;
    }
    assert_eq!(app.send(app.request(Method::GET, "/rest/v1/marks")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn lines_become_rows_in_one_transaction() {
    let app = start().await;
    let answer = app.import("/rest/v1/marks", "count=exact", lines(50_000)).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
    assert_eq!(answer.headers["content-range"], "*/50000");
    assert_eq!(app.marks().await, 50_000);
    let merged = app.import("/rest/v1/marks", "resolution=merge-duplicates", lines(50_010)).await;
    assert_eq!(merged.status, StatusCode::CREATED, "{}", merged.text);
    let nothing_new = app.import("/rest/v1/marks", "resolution=merge-duplicates", lines(50_010)).await;
    assert_eq!(nothing_new.status, StatusCode::OK, "{}", nothing_new.text);
    assert_eq!(app.marks().await, 50_010);
    assert_eq!(app.import("/rest/v1/marks", "", "").await.status, StatusCode::CREATED);
    let columns = app.import("/rest/v1/marks?columns=n", "", "{\"n\":-1,\"x\":1}\n\n{\"n\":-2}").await;
    assert_eq!((columns.status, app.marks().await), (StatusCode::CREATED, 50_012));
}

#[tokio::test]
async fn failed_import_is_rolled_back_and_reports_the_lines() {
    let app = start().await;
    let with = |bad: &str| format!("{}{bad}\n{}", lines(20_000), "{\"n\":30000,\"note\":\"\"}\n");
    let cases = [
        (with("{\"n\":1,\"note\":\"again\"}"), StatusCode::CONFLICT, "23505"),
        (with("{\"n\":\"x\",\"note\":\"\"}"), StatusCode::BAD_REQUEST, "22P02"),
        (with("{\"n\":20001}"), StatusCode::BAD_REQUEST, "PGRST102"),
        (with("{\"n\":20001,\"note\":\"\"}{}"), StatusCode::BAD_REQUEST, "PGRST102"),
        (with("nonsense"), StatusCode::BAD_REQUEST, "PGRST102"),
        (with("\u{0}"), StatusCode::BAD_REQUEST, "PGRST102"),
        ("{\"nothing\":1}\n".to_owned(), StatusCode::BAD_REQUEST, "PGRST204"),
        ("[1]\n".to_owned(), StatusCode::BAD_REQUEST, "PGRST102"),
        ("x".repeat(1_100_000), StatusCode::PAYLOAD_TOO_LARGE, "PGRST102"),
        (lines(200_000), StatusCode::PAYLOAD_TOO_LARGE, "PGRST102"),
    ];
    for (body, status, code) in cases {
        let tail = body.chars().rev().take(40).collect::<String>();
        let answer = app.import("/rest/v1/marks", "", body).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{tail}: {}", answer.text);
    }
    let twice = app.import("/rest/v1/marks", "", with("{\"n\":1,\"note\":\"again\"}")).await;
    assert!(twice.json()["hint"].as_str().unwrap().starts_with("It is in lines "), "{}", twice.text);
    for (prefer, path) in [("return=representation", "/rest/v1/marks"), ("", "/rest/v1/rpc/numbers")] {
        assert!(app.import(path, prefer, lines(1)).await.status.is_client_error());
    }
    assert_eq!(app.marks().await, 0);
}

#[tokio::test]
async fn interrupted_import_is_rolled_back() {
    let app = start().await;
    let head = |length: usize| {
        format!(
            "POST /rest/v1/marks HTTP/1.1\r\nhost: x\r\ncontent-type: {NDJSON}\r\ncontent-length: {length}\r\n\r\n"
        )
    };
    let body = lines(40_000);
    let mut leaving = app.begin(&head(body.len() + 1)).await;
    leaving.write_all(body.as_bytes()).await.unwrap();
    drop(leaving);
    let mut stalling = app.begin(&head(body.len() + 1)).await;
    stalling.write_all(body.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    stalling.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 400");
    assert_eq!(app.import("/rest/v1/marks", "", lines(1)).await.status, StatusCode::CREATED);
    assert_eq!(app.marks().await, 1);
}
