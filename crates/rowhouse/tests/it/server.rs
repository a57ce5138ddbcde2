//! The HTTP server: ids, limits, drain, operational routes.

use reqwest::{Method, StatusCode};
use rowhouse_rest::RestSettings;
use rowhouse_testkit::{LIMIT, until, until_some, until_true};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{TestApp, settings};

/// Sends raw bytes and reads until the server closes or the answer's head has come.
async fn raw(app: &TestApp, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(app.address).await.unwrap();
    // The server may answer and close before it has read everything.
    let _refused_early = stream.write_all(request).await;
    let mut answer = vec![0; 4096];
    let n = stream.read(&mut answer).await.unwrap_or(0);
    String::from_utf8_lossy(&answer[..n]).into_owned()
}

#[tokio::test]
async fn oversized_url_and_header_are_refused() {
    let app = TestApp::start().await;
    let long = "a".repeat(70_000);
    let answer =
        raw(&app, format!("GET /rest/v1/todos?x={long} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 414"), "{answer}");
    let longer = "a".repeat(300_000);
    let answer =
        raw(&app, format!("GET /health/live HTTP/1.1\r\nhost: x\r\nx-long: {longer}\r\n\r\n").as_bytes())
            .await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    assert_eq!(app.get(&app.anon_key, "/health/live").await.status, StatusCode::OK);
}

#[tokio::test]
async fn every_answer_carries_a_request_id_and_a_plain_one_is_kept() {
    let app = TestApp::start().await;
    let answer = app.send(app.request(Method::GET, "/version").header("x-request-id", "mine-1")).await;
    assert_eq!(answer.headers["x-request-id"], "mine-1");
    let answer =
        app.send(app.request(Method::GET, "/version").header("x-request-id", "no spaces please")).await;
    assert_ne!(answer.headers["x-request-id"], "no spaces please");
    assert_eq!(answer.headers["x-request-id"].len(), 36);
}

#[tokio::test]
async fn body_over_the_limit_is_413_in_the_surfaces_dialect() {
    let mut settings = settings();
    settings.update(|rest: &mut RestSettings| rest.max_body_bytes = 2_000);
    let app = TestApp::start_with(settings).await;
    let user = app.sign_up("a@example.com").await;
    let big = "x".repeat(3_000);
    let rest = app.post(&user.token, "/rest/v1/todos", json!({ "title": big })).await;
    assert_eq!((rest.status, rest.code().as_str()), (StatusCode::PAYLOAD_TOO_LARGE, "PGRST102"));
    let huge = "x".repeat(1_100_000);
    let auth = app.post(&app.anon_key, "/auth/v1/signup", json!({ "email": huge })).await;
    assert_eq!(
        (auth.status, auth.code().as_str()),
        (StatusCode::PAYLOAD_TOO_LARGE, "request_entity_too_large")
    );
    let count = app.get(&user.token, "/rest/v1/todos?select=id").await;
    assert_eq!(count.text, "[]");
}

#[tokio::test]
async fn metrics_carry_templates_and_aliases_and_no_ids() {
    let app = TestApp::start().await;
    let user = app.sign_up("a@example.com").await;
    app.get(&user.token, "/rest/v1/todos?title=eq.secret-value").await;
    let foreign = json!({ "title": "x", "tenant_id": "01900000-0000-7000-8000-000000000000" });
    app.post(&user.token, "/rest/v1/todos", foreign).await;
    let expected = [
        "http_server_request_duration_seconds_count",
        "http_requests_total{",
        "http_request_duration_seconds_bucket{",
        "postgrest_requests_total{",
        "postgrest_request_duration_seconds_bucket{",
        "db_client_operation_duration_seconds_count",
        "db_client_connection_count{",
        "pg_up 1",
        "database_connections ",
        "rls_violations_total{kind=\"policy\",table=\"public.todos\",verb=\"insert\"} ",
        "container_memory_usage_bytes{",
        "rowhouse_user_sync_missing_profiles 0",
    ];
    // The gauges are the process's: a test beside this one may have stopped its own database.
    let complete =
        |metrics: &str| expected.iter().all(|name| metrics.lines().any(|line| line.starts_with(name)));
    let metrics = until_some("every name is there", LIMIT, async || {
        Some(app.get(&app.anon_key, "/metrics").await.text).filter(|metrics| complete(metrics))
    })
    .await;
    assert!(metrics.contains("/rest/v1/{*path}"));
    assert!(!metrics.contains("secret-value") && !metrics.contains(&user.id));
}

#[tokio::test]
async fn browser_preflight_is_answered_without_a_token() {
    let app = TestApp::start().await;
    let preflight = app
        .request(Method::OPTIONS, "/rest/v1/todos")
        .header("origin", "https://app.example")
        .header("access-control-request-method", "PATCH")
        .header("access-control-request-headers", "authorization,apikey");
    let answer = app.send(preflight).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    assert_eq!(answer.headers["access-control-allow-origin"], "*");
    assert_eq!(answer.headers["access-control-allow-headers"], "authorization,apikey");
}

#[tokio::test]
async fn request_in_flight_is_finished_while_new_connections_are_refused() {
    let app = TestApp::start().await;
    let slow = "create function public.slow() returns text language sql volatile as \
        $$ select 'done' from pg_advisory_xact_lock_shared(7) $$; notify pgrst";
    app.db.migrate(slow).await;
    let user = app.sign_up("a@example.com").await;
    // The schema is reloaded after the notice; until then the function is unknown.
    let call = || app.post(&user.token, "/rest/v1/rpc/slow", json!({}));
    until("the function is known", LIMIT, async || call().await.status == StatusCode::OK).await;
    let holder = app.db.superuser().await;
    holder.batch_execute("select pg_advisory_lock(7)").await.unwrap();
    let (answer, ()) = tokio::join!(call(), async {
        let runs = "exists (select from pg_stat_activity where datname = current_database() and wait_event = 'advisory')";
        until_true(&holder, runs).await;
        app.drain();
        let refused = async || TcpStream::connect(app.address).await.is_err();
        until("new connections are refused", LIMIT, refused).await;
        holder.batch_execute("select pg_advisory_unlock(7)").await.unwrap();
    });
    assert_eq!((answer.status, answer.text.as_str()), (StatusCode::OK, "\"done\""));
}
