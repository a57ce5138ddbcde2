//! Jobs in the whole program: the worker, its shutdown, and control by operators.

mod admin;
mod command;
mod hostile;
mod line;
mod measured;
mod migration;
mod schedule;

use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::StatusCode;
use rowhouse_module::Roles;
use rowhouse_testkit::{Cluster, LIMIT, TestDatabase, until, until_true};
use tokio_postgres::Client;

use crate::support::{PROJECT, TestApp, settings};

async fn start(roles: Roles) -> TestApp {
    let db = TestDatabase::create().await;
    db.migrate(PROJECT).await;
    TestApp::start_as(db, settings(), roles).await
}

/// An app without a worker, where `jobs.noop` can be enqueued and stays.
async fn still() -> (TestApp, Client) {
    let app = start(Roles { api: true, worker: false }).await;
    let client = app.db.superuser().await;
    client.batch_execute("insert into jobs.kinds (name) values ('jobs.noop')").await.unwrap();
    (app, client)
}

#[tokio::test]
async fn process_with_all_roles_runs_jobs_and_reports_its_worker() {
    let app = start(Roles::ALL).await;
    let client = app.db.superuser().await;
    client.batch_execute("select jobs.enqueue('jobs.noop')").await.unwrap();
    until_true(&client, "exists (select from jobs.done) and not exists (select from jobs.leases)").await;
    let health = app.get(&app.anon_key, "/health").await.json();
    assert_eq!((&health["status"], &health["services"]["worker"]), (&"healthy".into(), &"healthy".into()));
}

#[tokio::test]
async fn worker_process_serves_health_and_no_data() {
    let app = start(Roles { api: false, worker: true }).await;
    assert_eq!(app.get(&app.service_key, "/rest/v1/todos").await.status, StatusCode::NOT_FOUND);
    assert_eq!(app.get(&app.anon_key, "/auth/v1/health").await.status, StatusCode::NOT_FOUND);
    assert_eq!(app.get(&app.anon_key, "/health/ready").await.status, StatusCode::OK);
    let services = app.get(&app.anon_key, "/health").await.json()["services"].clone();
    assert_eq!((&services["rest"], &services["worker"]), (&"off".into(), &"healthy".into()));
}

#[tokio::test]
async fn drained_worker_leaves_no_lease_and_no_worker_row() {
    let app = start(Roles::ALL).await;
    let client = app.db.superuser().await;
    until_true(&client, "exists (select from jobs.workers)").await;
    client.batch_execute("select jobs.enqueue('jobs.noop') from generate_series(1, 2000)").await.unwrap();
    app.app.stop().await;
    let left = "select (select count(*) from jobs.workers) + (select count(*) from jobs.leases)";
    assert_eq!(client.query_one(left, &[]).await.unwrap().get::<_, i64>(0), 0);
    let all = "select coalesce((select sum(cardinality(ids)) from jobs.done), 0)::bigint + (select count(*) from jobs.ready)";
    assert_eq!(client.query_one(all, &[]).await.unwrap().get::<_, i64>(0), 2000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn worker_continues_after_a_database_outage() {
    let mut cluster = tokio::task::spawn_blocking(Cluster::start).await.unwrap();
    let db = TestDatabase::on_own_cluster(&cluster).await;
    let app = Arc::new(TestApp::start_as(db, settings(), Roles::ALL).await);
    kill(Pid::from_raw(cluster.postmaster()), Signal::SIGINT).unwrap();
    until("the server is gone", LIMIT, async || cluster.processes().is_empty()).await;
    tokio::task::block_in_place(|| cluster.restart());
    let client = app.db.superuser().await;
    client.batch_execute("select jobs.enqueue('jobs.noop')").await.unwrap();
    until_true(&client, "exists (select from jobs.done)").await;
    app.app.stop().await;
    let workers = "select count(*) from jobs.workers";
    let gone = tokio::time::timeout(Duration::from_secs(5), client.query_one(workers, &[])).await;
    assert_eq!(gone.unwrap().unwrap().get::<_, i64>(0), 0);
}
