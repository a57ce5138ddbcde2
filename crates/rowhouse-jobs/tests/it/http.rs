//! Jobs that a service of the project runs: a real server on loopback that says what a test tells it to.

use std::time::Duration;

use rowhouse_testkit::{Receiver, SILENCE, until_true};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Harness, add_declared, count, database, declared, registry, settings, text};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A project with one kind, `shop.order`, whose service is at `url`.
async fn shop(url: &str, more: &str, allow_private: bool) -> Harness {
    let db = database().await;
    let client = db.superuser().await;
    let file = format!(
        "[jobs.kinds.\"shop.order\"]\nurl = \"{url}\"\nsecret = \"{SECRET}\"\nbackoff = \"1ms\"\ngrowth = 100\nmax_attempts = 3\n{more}"
    );
    let registry = declared(&db, &settings(&file), allow_private);
    client.batch_execute("insert into jobs.kinds (name) values ('shop.order')").await.unwrap();
    Harness { db, client, registry }
}

/// Runs an order of a tenant to its end.
async fn order(harness: &Harness, payload: Value) -> i64 {
    harness.run("shop.order", payload, Some(Uuid::from_u128(1))).await
}

async fn error(harness: &Harness) -> String {
    text(&harness.client, "select error from jobs.dead").await
}

#[tokio::test]
async fn job_is_posted_signed_and_its_answer_kept() {
    let mut service = Receiver::start(&[
        "HTTP/1.1 500 Oops\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 12\r\nconnection: close\r\n\r\n{\"order\": 17}",
    ])
    .await;
    let harness = shop(&format!("http://127.0.0.1:{}/jobs?x=1", service.port), "", true).await;
    harness.client.batch_execute("select set_config('rowhouse.request_id', 'req-1', false)").await.unwrap();
    let id = order(&harness, json!({ "item": "ink" })).await;
    let seen = service.take();
    assert_eq!(seen.len(), 2);
    for (request, attempt) in seen.iter().zip(1..) {
        assert!(request.head.starts_with("POST /jobs?x=1 HTTP/1.1"), "{request:?}");
        assert_eq!(request.header("webhook-id"), format!("job_{id}"));
        assert_eq!(request.header("x-request-id"), "req-1");
        assert_eq!(request.header("content-type"), "application/json");
        let body: Value = serde_json::from_str(&request.body).unwrap();
        let rest = json!({ "id": id, "kind": "shop.order", "queue": "default", "payload": { "item": "ink" },
            "tenant_id": "00000000-0000-0000-0000-000000000001",
            "attempt": attempt, "enqueued_at": body["enqueued_at"] });
        assert_eq!(body, rest);
        assert!(request.header("webhook-timestamp").parse::<i64>().unwrap() > 1_700_000_000);
        assert!(request.header("webhook-signature").starts_with("v1,"));
    }
}

#[tokio::test]
async fn permanent_failure_makes_the_job_dead_at_once() {
    let mut service =
        Receiver::start(&["HTTP/1.1 422 No\r\ncontent-length: 7\r\nconnection: close\r\n\r\nno such"]).await;
    let harness = shop(&format!("http://127.0.0.1:{}/", service.port), "", true).await;
    order(&harness, json!({})).await;
    assert_eq!((error(&harness).await.as_str(), service.take().len()), ("HTTP 422: no such", 1));
}

#[tokio::test]
async fn retry_after_of_a_service_is_honoured() {
    let service = Receiver::start(&[
        "HTTP/1.1 429 Busy\r\nretry-after: 3600\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
    ])
    .await;
    let harness = shop(&format!("http://127.0.0.1:{}/", service.port), "", true).await;
    harness.client.batch_execute("select jobs.enqueue('shop.order')").await.unwrap();
    let running = harness.worker().await;
    let put_off = "exists (select from jobs.scheduled where run_at > now() + interval '59 minutes')";
    until_true(&harness.client, put_off).await;
    running.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn timeouts_malformed_responses_and_redirects_are_retried() {
    for (answer, says) in [
        (SILENCE, "it took longer than"),
        ("SSH-2.0-OpenSSH_9.2\r\n", "invalid HTTP"),
        ("", "connection closed"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 100\r\nconnection: close\r\n\r\n{", "end of file"),
        (
            "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
            "redirects are not followed",
        ),
    ] {
        let mut service = Receiver::start(&[answer]).await;
        // However busy this machine is, only silence takes longer.
        let timeout = if answer == SILENCE { "timeout = \"300ms\"\n" } else { "" };
        let harness = shop(&format!("http://127.0.0.1:{}/", service.port), timeout, true).await;
        order(&harness, json!({})).await;
        let error = error(&harness).await;
        assert!(
            error.contains(says) || (answer == SILENCE && error.contains("no answer in time")),
            "{answer:?}: {error}"
        );
        assert_eq!(service.take().len(), 3, "{answer:?}");
    }
}

#[tokio::test]
async fn endless_response_is_cut_off_and_the_job_done() {
    let large = format!("HTTP/1.1 200 OK\r\ncontent-length: 999999999\r\n\r\n[{}", "1,".repeat(500_000));
    let service = Receiver::start(&[&large]).await;
    let harness = shop(&format!("http://127.0.0.1:{}/", service.port), "", true).await;
    order(&harness, json!({})).await;
    assert_eq!((count(&harness.client, "done").await, count(&harness.client, "results").await), (1, 0));
}

#[tokio::test]
async fn private_addresses_are_never_connected_to_unless_allowed() {
    let mut service = Receiver::with_statuses(&[200]).await;
    for host in ["127.0.0.1", "localhost", "[::1]", "0.0.0.0", "2130706433"] {
        let harness = shop(&format!("http://{host}:{}/", service.port), "", false).await;
        order(&harness, json!({})).await;
        let error = error(&harness).await;
        assert!(error.contains("a private address; jobs.allow_private_urls"), "{host}: {error}");
    }
    assert_eq!(service.take(), []);
}

#[tokio::test]
async fn built_in_kind_cannot_be_declared() {
    let db = database().await;
    let file = format!("[jobs.kinds.\"jobs.noop\"]\nurl = \"http://x\"\nsecret = \"{SECRET}\"");
    let mut registry = registry(async |_| Ok(None));
    let mistakes = add_declared(&mut registry, &db, &settings(&file), true);
    assert_eq!(mistakes, ["jobs.kinds.\"jobs.noop\": the program itself runs jobs of this kind"]);
}

#[tokio::test]
async fn url_in_errors_is_reduced_to_scheme_host_and_port() {
    for (url, private) in [
        ("http://user:hunter2@127.0.0.1:1/path?key=hunter2", true),
        ("http://user:hunter2@127.0.0.1:1/path?key=hunter2", false),
        ("http://user:hunter2@[bad/path?key=hunter2", true),
    ] {
        let harness = shop(url, "", private).await;
        order(&harness, json!({})).await;
        let logged = "select string_agg(line, ' ') || ' ' || (select error from jobs.dead) from jobs.log";
        let logged = text(&harness.client, logged).await;
        assert!(!logged.contains("hunter2") && !logged.contains("path"), "{logged}");
    }
}
