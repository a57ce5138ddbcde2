//! Parents and children: what their specs may say, and what becomes of a family that is run again.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rowhouse_jobs::{JobError, admin};
use rowhouse_testkit::until_true;
use serde_json::json;

use crate::support::{count, database, idle, registry, text, worker};

const TIMEOUT: Duration = Duration::from_secs(10);

#[tokio::test]
async fn specs_are_as_strict_as_the_arguments_of_enqueue() {
    let db = database().await;
    let client = db.superuser().await;
    let noop = r#"{"kind":"jobs.noop"}"#;
    for (parent, child, on_failure, says) in [
        (r#"{"kind":"jobs.noop","max_attemps":1}"#, noop, "fail", "unknown argument \"max_attemps\""),
        (noop, r#"{"kind":"jobs.noop","max_attemps":1}"#, "fail", "unknown argument \"max_attemps\""),
        (noop, r#"{"kind":"jobs.noop","run_at":"infinity"}"#, "fail", "next hundred years"),
        (r#"{"kind":"jobs.noop","run_at":"infinity"}"#, noop, "fail", "next hundred years"),
        (noop, r#"{"kind":"jobs.noop","unique_key":"u"}"#, "fail", "cannot be unique"),
        (noop, r#"["jobs.noop"]"#, "fail", "are JSON objects"),
        (noop, noop, "maybe", "on_failure is fail or ignore"),
    ] {
        let sql =
            format!("select jobs.enqueue_parent('{parent}', array['{child}']::jsonb[], '{on_failure}')");
        let error = client.batch_execute(&sql).await.unwrap_err();
        let message = error.as_db_error().unwrap().message().to_owned();
        assert!(message.contains(says), "{parent} {child}: {message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parent_also_waits_for_its_own_run_at() {
    let db = database().await;
    let client = db.superuser().await;
    let family = r#"select jobs.enqueue_parent('{"kind":"test.work","run_at":"2090-01-01T00:00:00Z"}',
        array['{"kind":"jobs.noop"}']::jsonb[])"#;
    client.batch_execute(family).await.unwrap();
    let worker = worker(&db, registry(|_| async { Ok(None) })).await;
    until_true(&client, "exists (select from jobs.scheduled where run_at = '2090-01-01T00:00:00Z')").await;
    assert_eq!(count(&client, "waiting").await, 0);
    worker.stop(TIMEOUT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_family_is_retried_together() {
    let db = database().await;
    let client = db.superuser().await;
    let ran: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = Arc::clone(&ran);
    let worker = worker(
        &db,
        registry(move |job| {
            let name = job.payload["name"].as_str().unwrap().to_owned();
            let fails = name == "child" && !seen.lock().unwrap().contains(&name);
            seen.lock().unwrap().push(name);
            async move { if fails { Err(JobError::Fatal("no".to_owned())) } else { Ok(None) } }
        }),
    )
    .await;
    let family = r#"select jobs.enqueue_parent('{"kind":"test.work","payload":{"name":"parent"}}',
        array['{"kind":"test.work","payload":{"name":"child"}}']::jsonb[])"#;
    client.batch_execute(family).await.unwrap();
    until_true(&client, "(select count(*) from jobs.dead) = 2").await;
    assert_eq!(admin::retry_all(&client, None, None).await.unwrap(), 2);
    until_true(&client, "(select coalesce(sum(cardinality(ids)), 0) from jobs.done) = 2").await;
    assert_eq!(*ran.lock().unwrap(), ["child", "child", "parent"]);
    worker.stop(TIMEOUT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unique_key_holds_for_a_retried_job() {
    let db = database().await;
    let client = db.superuser().await;
    let unique = "select jobs.enqueue('test.work', unique_key => 'u')";
    let worker = worker(&db, registry(|_| async { Err(JobError::Fatal("no".to_owned())) })).await;
    let first: i64 = client.query_one(unique, &[]).await.unwrap().get(0);
    until_true(&client, "exists (select from jobs.dead)").await;
    worker.stop(TIMEOUT).await;
    assert!(admin::retry(&client, first).await.unwrap());
    let second: i64 = client.query_one(unique, &[]).await.unwrap().get(0);
    assert_eq!(second, first);
    // The other way round: somebody else has the key by now.
    client.batch_execute("select jobs.cancel(id) from jobs.ready").await.unwrap();
    let third: i64 = client.query_one(unique, &[]).await.unwrap().get(0);
    assert_ne!(third, first);
    let refused = admin::retry(&client, first).await.unwrap_err();
    assert_eq!(refused.code(), Some("23505"));
    assert_eq!(admin::retry_all(&client, None, None).await.unwrap(), 0);
    assert_eq!(count(&client, "dead").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn worker_shutdown_counts_no_attempt() {
    let db = database().await;
    let client = db.superuser().await;
    client.batch_execute("select jobs.enqueue('test.work', max_attempts => 1)").await.unwrap();
    for _deploy in 0..2 {
        let worker = worker(&db, registry(|_| std::future::pending())).await;
        until_true(&client, "exists (select from jobs.leases)").await;
        worker.stop(Duration::ZERO).await;
    }
    let worker = worker(&db, registry(|job| async move { Ok(Some(json!(job.attempt))) })).await;
    idle(&client).await;
    assert_eq!(text(&client, "select result::text from jobs.results").await, "1");
    worker.stop(TIMEOUT).await;
}

#[tokio::test]
async fn result_is_readable_as_long_as_it_is_kept() {
    let db = database().await;
    let client = db.superuser().await;
    let id: i64 = client.query_one("select jobs.enqueue('test.work')", &[]).await.unwrap().get(0);
    let kept = "insert into jobs.results (id, result, partition) select id, '7', partition from jobs.ready; delete from jobs.ready";
    client.batch_execute(kept).await.unwrap();
    let found = admin::find(&client, id).await.unwrap().unwrap();
    assert_eq!((found["state"].as_str(), found["result"].as_i64()), (Some("done"), Some(7)));
}

#[tokio::test]
async fn unknown_queues_are_refused_by_name() {
    let db = database().await;
    let client = db.superuser().await;
    let says = |error: rowhouse_db::DbError| error.to_string();
    let refused = [
        admin::pause(&client, Some("nosuch"), None, true).await.map(|_| ()).unwrap_err(),
        admin::retry_all(&client, Some("nosuch"), None).await.map(|_| ()).unwrap_err(),
        admin::require_queue(&client, "nosuch").await.unwrap_err(),
    ];
    for error in refused.map(says) {
        assert!(error.contains("no queue is called \"nosuch\""), "{error}");
    }
    let nobody = Some(rowhouse_kernel::TenantId(uuid::Uuid::from_u128(9)));
    let error = says(admin::pause(&client, None, nobody, true).await.unwrap_err());
    assert!(error.contains("there is no tenant"), "{error}");
}

#[tokio::test]
async fn idle_partition_is_closed_and_reopened_by_its_next_job() {
    let db = database().await;
    let client = db.superuser().await;
    let job = "select jobs.enqueue('test.work', tenant => '00000000-0000-0000-0000-000000000001')";
    client.batch_execute(job).await.unwrap();
    let close = "select jobs.close_idle_partitions(100)::text";
    client
        .batch_execute("update jobs.partitions set opened_at = now() - interval '2 minutes'")
        .await
        .unwrap();
    assert_eq!(text(&client, close).await, "0", "a job is ready");
    client
        .batch_execute("create table kept as select * from jobs.ready; delete from jobs.ready")
        .await
        .unwrap();
    // A transaction that may still add a job keeps it open.
    let other = db.superuser().await;
    other.batch_execute(&format!("begin; {job}")).await.unwrap();
    assert_eq!(text(&client, close).await, "0");
    other.batch_execute("rollback").await.unwrap();
    assert_eq!(text(&client, close).await, "1");
    // One that reads an older state of the database is told to begin again.
    client
        .batch_execute("update jobs.partitions set opened = 1, opened_at = now() - interval '2 minutes'")
        .await
        .unwrap();
    other.batch_execute("begin isolation level repeatable read; select 1").await.unwrap();
    assert_eq!(text(&client, close).await, "1");
    assert_eq!(other.batch_execute(job).await.unwrap_err().code().unwrap().code(), "40001");
    other.batch_execute("rollback").await.unwrap();
    // What comes back opens it too.
    client
        .batch_execute("select jobs.make_ready(array(select row(k.*)::jobs.ready from kept k))")
        .await
        .unwrap();
    assert_eq!(text(&client, "select (opened is not null)::text from jobs.partitions").await, "true");
    assert_eq!((count(&client, "ready").await, count(&client, "partitions").await), (1, 1));
}
