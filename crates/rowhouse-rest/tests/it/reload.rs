//! Requests while the schema changes, and without a free connection.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use http::Request;
use rowhouse_http::Identity;
use rowhouse_rest::RestSettings;
use rowhouse_testkit::until_true;
use serde_json::Value;

use crate::harness::{Harness, RouterResponse, caller, send};

const SQL: &str = "create schema lib;
    create table lib.first (id int primary key);
    create function lib.wait_for_lock() returns void language sql volatile as
      $$ select pg_advisory_lock_shared(5) $$;
    grant usage on schema lib to authenticated;
    grant select on lib.first to authenticated";

async fn get(router: &Router, path: &str) -> RouterResponse {
    let identity = Identity::Caller(Arc::new(caller("authenticated")));
    send(router, Some(identity), Request::get(path).body(Body::empty()).unwrap()).await
}

fn code(answer: &RouterResponse) -> String {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    format!("{} {}", answer.status.as_u16(), body["code"].as_str().unwrap_or_default())
}

fn settings() -> RestSettings {
    RestSettings { schemas: vec!["lib".to_owned()], ..RestSettings::default() }
}

#[tokio::test]
async fn requests_use_the_last_loaded_schema_until_a_reload() {
    let harness = Harness::new(SQL, &["lib"]).await;
    let router = harness.router(settings());
    let admin = harness.db.superuser().await;
    admin
        .batch_execute("create table lib.second (id int); grant select on lib.second to authenticated")
        .await
        .unwrap();
    assert_eq!(code(&get(&router, "/second").await), "404 PGRST205");
    harness.reload(&["lib"]).await;
    assert_eq!(code(&get(&router, "/second").await), "200 ");
    admin.batch_execute("drop table lib.first").await.unwrap();
    assert_eq!(code(&get(&router, "/first").await), "404 42P01", "PostgreSQL knows better than the snapshot");
}

#[tokio::test]
async fn failed_reload_leaves_the_old_schema_in_place() {
    let harness = Harness::new(SQL, &["lib"]).await;
    let router = harness.router(settings());
    let closed = harness.db.superuser().await;
    let _ended = closed.batch_execute("select pg_terminate_backend(pg_backend_pid())").await;
    assert!(harness.cache.reload(&closed, &["lib".to_owned()]).await.is_err());
    assert_eq!(code(&get(&router, "/first").await), "200 ");
}

#[tokio::test]
async fn request_without_a_connection_gets_504() {
    let harness = Harness::new(SQL, &["lib"]).await;
    let router = harness.router(settings());
    let admin = harness.db.superuser().await;
    admin.batch_execute("select pg_advisory_lock(5)").await.unwrap();
    let identity = Identity::Caller(Arc::new(caller("authenticated")));
    let request = Request::post("/rpc/wait_for_lock").body(Body::empty()).unwrap();
    let busy = tokio::spawn({
        let router = router.clone();
        async move { send(&router, Some(identity), request).await }
    });
    let waiting = "exists (select from pg_locks join pg_database d on d.oid = database
        where locktype = 'advisory' and not granted and datname = current_database())";
    until_true(&admin, waiting).await;
    let refused = get(&router, "/first").await;
    assert_eq!(code(&refused), "504 PGRST003");
    assert_eq!(refused.headers["proxy-status"], "PostgREST; error=PGRST003");
    admin.batch_execute("select pg_advisory_unlock(5)").await.unwrap();
    assert_eq!(code(&busy.await.unwrap()), "204 ");
    assert_eq!(code(&get(&router, "/first").await), "200 ");
}
