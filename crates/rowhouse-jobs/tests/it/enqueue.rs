//! Enqueueing from SQL and from Rust.

use rowhouse_jobs::{NewJob, enqueue, enqueue_many};
use serde_json::json;

use crate::support::{count, database};

#[tokio::test]
async fn job_exists_if_and_only_if_its_transaction_commits() {
    let db = database().await;
    let client = db.superuser().await;
    client.batch_execute("begin; select jobs.enqueue('test.work', '{\"a\":1}'); rollback").await.unwrap();
    assert_eq!(count(&client, "ready").await, 0);
    client.batch_execute("begin; select jobs.enqueue('test.work', '{\"a\":1}'); commit").await.unwrap();
    assert_eq!(count(&client, "ready").await, 1);
}

#[tokio::test]
async fn scheduled_job_waits_and_unique_job_is_enqueued_once() {
    let db = database().await;
    let client = db.superuser().await;
    let later = NewJob {
        run_at: Some(rowhouse_kernel::Clock::now(&rowhouse_kernel::SystemClock) + time::Duration::hours(1)),
        ..NewJob::new("test.work", json!({}))
    };
    enqueue(&client, &later).await.unwrap();
    assert_eq!((count(&client, "ready").await, count(&client, "scheduled").await), (0, 1));
    let unique = NewJob { unique_key: Some("only"), ..NewJob::new("test.work", json!({})) };
    let first = enqueue(&client, &unique).await.unwrap();
    assert_eq!(enqueue(&client, &unique).await.unwrap(), first);
    assert_eq!(count(&client, "ready").await, 1);
}

#[tokio::test]
async fn many_jobs_are_enqueued_at_once() {
    let db = database().await;
    let client = db.superuser().await;
    let payloads: Vec<_> = (0..1000).map(|n| json!({ "n": n })).collect();
    let ids = enqueue_many(&client, "test.work", &payloads, "default", None).await.unwrap();
    assert_eq!(ids.len(), 1000);
    assert!(ids.is_sorted());
}

#[tokio::test]
async fn parent_waits_for_its_children() {
    let db = database().await;
    let client = db.superuser().await;
    let sql = r#"select jobs.enqueue_parent('{"kind":"test.work"}', array['{"kind":"jobs.noop"}','{"kind":"jobs.noop"}']::jsonb[])"#;
    client.batch_execute(sql).await.unwrap();
    assert_eq!((count(&client, "ready").await, count(&client, "waiting").await), (2, 1));
    assert_eq!(count(&client, "scheduled").await, 0);
}

#[tokio::test]
async fn invalid_jobs_are_refused_with_a_clear_error() {
    let db = database().await;
    let client = db.superuser().await;
    for (call, says) in [
        ("'test.nothing'", "no handler for jobs of kind"),
        ("'test.work', '[]'", "is a JSON object"),
        ("'test.work', queue => 'nowhere'", "no queue is called"),
        ("'test.work', jsonb_build_object('x', repeat('x', 300000))", "at most 262144 bytes"),
        ("'test.work', priority => 10", "priority is 0"),
        ("'test.work', max_attempts => 0", "max_attempts is"),
        ("'test.work', timeout => '-1 s'", "timeout is"),
        ("'test.work', key => repeat('x', 501)", "at most 500"),
    ] {
        let error = client.batch_execute(&format!("select jobs.enqueue({call})")).await.unwrap_err();
        let message = error.as_db_error().unwrap().message().to_owned();
        assert!(message.contains(says), "{call}: {message}");
    }
    assert_eq!(count(&client, "ready").await, 0);
}

#[tokio::test]
async fn once_runs_its_effect_once() {
    let db = database().await;
    let client = db.superuser().await;
    let once =
        async || client.query_one("select jobs.once('invoice 7')", &[]).await.unwrap().get::<_, bool>(0);
    client.batch_execute("begin; select jobs.once('invoice 7'); rollback").await.unwrap();
    assert!(once().await);
    assert!(!once().await);
}

#[tokio::test]
async fn transaction_has_its_id_before_a_position_is_drawn() {
    let db = database().await;
    let client = db.superuser().await;
    let require = "create function public.require_id() returns trigger language plpgsql as $$ begin \
                   if pg_current_xact_id_if_assigned() is null then raise 'no id'; end if; return new; end $$; \
                   create trigger require_id before insert on jobs.ready for each row execute function public.require_id()";
    client.batch_execute(require).await.unwrap();
    // A sequence gives the transaction an id too when it writes to the log, which it does now and then.
    for _ in 0..4 {
        client.query_one("select jobs.enqueue('jobs.noop')", &[]).await.unwrap();
        client.query("select jobs.enqueue_many('jobs.noop', '{\"{}\"}')", &[]).await.unwrap();
    }
    assert_eq!(count(&client, "ready").await, 8);
}
