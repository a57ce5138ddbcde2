//! A server without free connections: 503 with Retry-After in every dialect, and automatic recovery.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use rowhouse_testkit::{Cluster, TestDatabase, until};
use serde_json::json;

use crate::support::{PROJECT, TestApp, settings};

const READINESS: &str = "/health/ready";
const LOGINS: [&str; 3] = ["authenticator", "authenticator_service", "rowhouse"];

async fn limit_connections(app: &TestApp, limit: i32) {
    let client = app.db.superuser().await;
    for login in LOGINS {
        let sql = format!(
            "alter role {login} connection limit {limit};
             select pg_terminate_backend(pid) from pg_stat_activity where usename = '{login}'"
        );
        client.batch_execute(&sql).await.unwrap();
    }
}

async fn readiness_turns(app: &TestApp, status: StatusCode) {
    let turned = async || app.get(&app.anon_key, READINESS).await.status == status;
    until(format!("readiness is {status}"), Duration::from_secs(10), turned).await;
}

#[tokio::test]
async fn too_many_connections_are_503_with_retry_after_in_every_dialect() {
    let cluster = tokio::task::spawn_blocking(Cluster::start).await.unwrap();
    let db = TestDatabase::on_own_cluster(&cluster).await;
    db.migrate(PROJECT).await;
    let app = TestApp::start_on(db, settings()).await;
    limit_connections(&app, 0).await;
    readiness_turns(&app, StatusCode::SERVICE_UNAVAILABLE).await;
    let sign_in = json!({ "email": "a@example.com", "password": "correct horse" });
    for (path, body) in [
        ("/rest/v1/todos", None),
        ("/auth/v1/token?grant_type=password", Some(sign_in)),
        ("/admin/v1/jobs", None),
        ("/mail/v1/messages/0", None),
        (READINESS, None),
        ("/health", None),
    ] {
        let method = if body.is_some() { Method::POST } else { Method::GET };
        let mut request = app.request(method, path).header("apikey", &app.service_key);
        request = request.bearer_auth(&app.service_key);
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        let answer = app.send(request).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{path}: {}", answer.text);
        assert!(answer.headers.contains_key("retry-after"), "{path}: {:?}", answer.headers);
    }
    limit_connections(&app, -1).await;
    readiness_turns(&app, StatusCode::OK).await;
}
