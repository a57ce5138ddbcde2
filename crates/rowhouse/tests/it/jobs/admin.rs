//! `/admin/v1/jobs`: answers, authorization, and agreement with its description.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use rowhouse_testkit::{LIMIT, METHODS, until};

use super::still;
use crate::support::TestApp;

async fn enqueue(app: &TestApp, body: Value) -> i64 {
    let answer = app.post(&app.service_key, "/admin/v1/jobs", body).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
    answer.json()["id"].as_i64().unwrap()
}

#[tokio::test]
async fn job_is_enqueued_listed_shown_cancelled_and_retried() {
    let (app, _client) = still().await;
    let key = app.service_key.clone();
    let first = enqueue(&app, json!({ "kind": "jobs.noop", "payload": { "n": 1 }, "priority": 2 })).await;
    let later = enqueue(&app, json!({ "kind": "jobs.noop", "run_at": "2096-01-01T00:00:00Z" })).await;
    let page = app.get(&key, "/admin/v1/jobs?limit=1").await.json();
    assert_eq!(page["jobs"][0]["id"], json!(later));
    let next = page["next"].as_str().unwrap();
    let page =
        app.get(&key, &format!("/admin/v1/jobs?cursor={next}&queue=default&kind=jobs.noop")).await.json();
    assert_eq!((&page["jobs"][0]["id"], &page["jobs"][0]["state"]), (&json!(first), &json!("ready")));
    assert_eq!((&page["jobs"].as_array().unwrap().len(), &page["next"]), (&1, &Value::Null));
    let job = app.get(&key, &format!("/admin/v1/jobs/{first}")).await.json();
    assert_eq!((&job["payload"], &job["priority"], &job["log"]), (&json!({ "n": 1 }), &json!(2), &json!([])));
    let cancelled = app.post(&key, &format!("/admin/v1/jobs/{first}/cancel"), json!({})).await;
    assert_eq!(cancelled.json(), json!({ "id": first, "state": "cancelled" }));
    let states = app.get(&key, "/admin/v1/jobs?state=cancelled").await.json();
    assert_eq!(states["jobs"][0]["id"], json!(first));
    for id in [first, later] {
        let again = app.post(&key, &format!("/admin/v1/jobs/{id}/retry"), json!({})).await;
        assert_eq!(again.status, StatusCode::OK, "{}", again.text);
    }
    let refused = app.post(&key, &format!("/admin/v1/jobs/{first}/retry"), json!({})).await;
    assert_eq!((refused.status, refused.code().as_str()), (StatusCode::CONFLICT, "conflict"));
    let stats = app.get(&key, "/admin/v1/jobs/stats").await.json();
    let kind = &stats["kinds"][0];
    assert_eq!((&kind["ready"], &kind["running"], &kind["dead"]), (&json!(1), &json!(0), &json!(0)));
}

#[tokio::test]
async fn queue_is_paused_until_resumed() {
    let (app, client) = still().await;
    let paused =
        app.post(&app.service_key, "/admin/v1/jobs/pause", json!({ "queue": "default" })).await.json();
    assert_eq!(paused, json!({ "queues": ["default"], "tenant": null, "paused": true }));
    let rests = "select paused from jobs.queues where name = 'default'";
    assert!(client.query_one(rests, &[]).await.unwrap().get::<_, bool>(0));
    app.post(&app.service_key, "/admin/v1/jobs/resume", json!({})).await;
    assert!(!client.query_one(rests, &[]).await.unwrap().get::<_, bool>(0));
    let unknown = app.post(&app.service_key, "/admin/v1/jobs/pause", json!({ "queue": "no" })).await;
    assert_eq!(unknown.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn admin_api_of_jobs_requires_the_service_key() {
    let (app, _client) = still().await;
    let user = app.sign_up("a@example.com").await;
    for (token, status) in [(&app.anon_key, 401), (&user.token, 403), (&"nonsense".to_owned(), 401)] {
        for path in ["/admin/v1/jobs", "/admin/v1/jobs/1", "/admin/v1/jobs/stats"] {
            let answer = app.get(token, path).await;
            assert_eq!(answer.status.as_u16(), status, "{path}: {}", answer.text);
            assert_eq!(answer.headers["content-type"], "application/problem+json");
            assert_eq!(answer.json()["status"], json!(status));
        }
    }
}

#[tokio::test]
async fn bad_input_is_a_problem_that_says_what_is_wrong() {
    let (app, _client) = still().await;
    let post = async |body: &str| {
        let request = app.request(Method::POST, "/admin/v1/jobs").bearer_auth(&app.service_key);
        app.send(request.body(body.to_owned())).await
    };
    let large = format!(r#"{{"kind":"jobs.noop","payload":{{"x":"{}"}}}}"#, "x".repeat(300_000));
    let huge = "x".repeat(1_100_000);
    for (body, status) in [
        ("{", 400),
        ("[]", 400),
        (r#"{"kind":"jobs.noop","surprise":1}"#, 400),
        (r#"{"kind":"no.such"}"#, 422),
        (r#"{"kind":"no\u0000such"}"#, 422),
        (r#"{"kind":"jobs.noop","payload":{"x":"\u0000"}}"#, 422),
        (r#"{"kind":"jobs.noop","queue":"no"}"#, 422),
        (r#"{"kind":"jobs.noop","run_at":"tomorrow"}"#, 422),
        (r#"{"kind":"jobs.noop","priority":12}"#, 422),
        (r#"{"kind":"jobs.noop","timeout_seconds":1e300}"#, 422),
        (large.as_str(), 422),
        (huge.as_str(), 413),
    ] {
        let answer = post(body).await;
        assert_eq!(answer.status.as_u16(), status, "{:.80}: {}", body, answer.text);
        assert!(answer.json()["detail"].as_str().is_some_and(|text| !text.is_empty()), "{}", answer.text);
    }
    for (path, status) in [
        ("/admin/v1/jobs?state=odd", 400),
        ("/admin/v1/jobs?limit=0", 400),
        ("/admin/v1/jobs?queue=%00", 422),
        ("/admin/v1/jobs?surprise=1", 400),
        ("/admin/v1/jobs/x", 400),
        ("/admin/v1/jobs/%FF", 400),
        ("/admin/v1/jobs/99999999", 404),
        ("/admin/v1/nothing", 404),
    ] {
        let answer = app.get(&app.service_key, path).await;
        assert_eq!(answer.status.as_u16(), status, "{path}: {}", answer.text);
        assert_eq!(answer.headers["content-type"], "application/problem+json", "{path}");
    }
    let wrong = app.call(&app.service_key, Method::DELETE, "/admin/v1/jobs", None).await;
    assert_eq!(wrong.status, StatusCode::METHOD_NOT_ALLOWED);
}

/// Answers as if it did not exist until an operator opens it.
const HIDDEN: [&str; 1] = ["/bootstrap"];

#[tokio::test]
async fn description_and_routes_of_the_admin_api_agree() {
    let (app, client) = still().await;
    let contract = app.contract().await;
    let id = enqueue(&app, json!({ "kind": "jobs.noop" })).await;
    client.batch_execute(super::schedule::NIGHTLY).await.unwrap();
    let user = app.sign_up("a@example.com").await;
    assert!(contract.operations().len() >= 10);
    for path in contract.paths() {
        let url = path.replace("{id}", &id.to_string()).replace("{name}", "nightly");
        let url = url.replace("{tenant}", &user.tenant).replace("{user}", &user.id);
        for method in METHODS {
            let body = (method == "post").then(|| match path.as_str() {
                "/jobs" => json!({ "kind": "jobs.noop" }),
                _ => json!({}),
            });
            let verb = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let answer = app.call(&app.service_key, verb, &format!("/admin/v1{url}"), body).await;
            let routed = answer.status != StatusCode::METHOD_NOT_ALLOWED;
            assert_eq!(routed, contract.describes(method, &path), "{method} {path}: {}", answer.text);
            let is_unknown = answer.status == StatusCode::NOT_FOUND
                && answer.json()["detail"] == format!("no such path: /admin/v1{url}");
            assert_eq!(is_unknown, HIDDEN.contains(&path.as_str()) && method == "post", "{method} {path}");
        }
    }
}

#[tokio::test]
async fn payload_keeps_its_digits() {
    let (app, client) = still().await;
    let payload = r#"{"n": 12345678901234567890.1234567890123456789012345}"#;
    let body = format!(r#"{{"kind": "jobs.noop", "payload": {payload}}}"#);
    let request = app.request(Method::POST, "/admin/v1/jobs").bearer_auth(&app.service_key);
    assert_eq!(app.send(request.body(body)).await.status, StatusCode::CREATED);
    let kept: String = client.query_one("select payload::text from jobs.ready", &[]).await.unwrap().get(0);
    assert_eq!(kept, payload);
}

#[tokio::test]
async fn repeated_request_enqueues_once() {
    let (app, _client) = still().await;
    let post = async |kind: &str| {
        let request = app.request(Method::POST, "/admin/v1/jobs").bearer_auth(&app.service_key);
        app.send(request.header("idempotency-key", "once").json(&json!({ "kind": kind }))).await
    };
    let (first, again) = (post("jobs.noop").await, post("jobs.noop").await);
    assert_eq!((first.status, again.status), (StatusCode::CREATED, StatusCode::CREATED));
    assert_eq!((first.text, again.headers["idempotency-replayed"].to_str().unwrap()), (again.text, "true"));
    assert_eq!(post("jobs.other").await.code(), "idempotency_key_reused");
}

#[tokio::test]
async fn job_carries_the_id_of_the_request_that_enqueued_it() {
    let (app, client) = still().await;
    app.db
        .migrate(
            "create function public.begin_work() returns bigint language sql security definer \
             as $$ select jobs.enqueue('jobs.noop') $$; \
             notify pgrst",
        )
        .await;
    let user = app.sign_up("a@example.com").await;
    // The schema is reloaded after the notice; until then the function is unknown.
    let known =
        async || app.post(&user.token, "/rest/v1/rpc/begin_work", json!({})).await.status.is_success();
    until("the function is known", LIMIT, known).await;
    let last = "select options ->> 'request_id' from jobs.ready order by id desc limit 1";
    for (path, token) in [("/rest/v1/rpc/begin_work", &user.token), ("/admin/v1/jobs", &app.service_key)] {
        for given in [Some("mine-1"), Some("not plain, so another is made"), None] {
            let request = app.request(Method::POST, path).bearer_auth(token).header("apikey", &app.anon_key);
            let request = request.json(&if path.starts_with("/rest") {
                json!({})
            } else {
                json!({ "kind": "jobs.noop" })
            });
            let request = given.into_iter().fold(request, |request, id| request.header("x-request-id", id));
            let answer = app.send(request).await;
            assert!(answer.status.is_success(), "{}", answer.text);
            let returned = answer.headers["x-request-id"].to_str().unwrap();
            let kept: String = client.query_one(last, &[]).await.unwrap().get(0);
            assert_eq!(
                (kept.as_str(), returned == "mine-1"),
                (returned, given == Some("mine-1")),
                "{path} {given:?}"
            );
        }
    }
}
