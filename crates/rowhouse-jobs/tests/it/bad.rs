//! Handlers and payloads that are not as they should be: the job says what was wrong, and the worker works on.

use std::time::Duration;

use rowhouse_jobs::{JobError, NewJob, enqueue};
use serde_json::json;

use crate::support::{count, database, idle, registry, text, worker};

const TIMEOUT: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn handler_that_panics_blocks_or_returns_bad_results_affects_its_own_job_only() {
    let db = database().await;
    let client = db.superuser().await;
    let worker = worker(
        &db,
        registry(|job| {
            assert_ne!(job.payload["how"], "panic at once", "before there is a future");
            if job.payload["how"] == "block" {
                std::thread::park_timeout(Duration::from_secs(8));
            }
            async move {
                match job.payload["how"].as_str() {
                    Some("nul result") => Ok(Some(json!({ "a": ["b\0c"] }))),
                    Some("huge result") => Ok(Some(json!("x".repeat(70_000)))),
                    Some("nul error") => Err(JobError::Fatal(format!("a\0b{}", "x".repeat(20_000)))),
                    Some("endless pause") => Err(JobError::RetryAfter(Duration::MAX, "later".to_owned())),
                    _ => Ok(None),
                }
            }
        }),
    )
    .await;
    let hows = ["panic at once", "block", "nul result", "huge result", "nul error", "endless pause", "well"];
    for how in hows {
        // However busy this machine is, only what blocks takes longer.
        let timeout = Some(Duration::from_millis(if how == "block" { 500 } else { 20_000 }));
        let job =
            NewJob { max_attempts: Some(1), timeout, ..NewJob::new("test.work", json!({ "how": how })) };
        let job = if how == "endless pause" { NewJob { max_attempts: Some(2), ..job } } else { job };
        enqueue(&client, &job).await.unwrap();
    }
    rowhouse_testkit::until_true(
        &client,
        "not exists (select from jobs.ready) and not exists (select from jobs.leases)",
    )
    .await;
    let dead = "select string_agg((job).payload->>'how' || ': ' || left(error, 30), ', ' order by id) from jobs.dead";
    assert_eq!(
        text(&client, dead).await,
        "panic at once: the handler panicked, block: it took longer than 500ms, \
         nul error: a\u{FFFD}bxxxxxxxxxxxxxxxxxxxxxxxxxxx"
    );
    let far = "select string_agg((run_at > now() + interval '300 days')::text, ',') from jobs.scheduled";
    assert_eq!(text(&client, far).await, "true");
    // What is done is done, whatever becomes of its result.
    assert_eq!(text(&client, "select count(*)::text from jobs.done, unnest(ids)").await, "3");
    assert_eq!(count(&client, "results").await, 0);
    worker.stop(TIMEOUT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unparsable_payload_makes_the_job_dead_and_not_the_worker() {
    let db = database().await;
    let client = db.superuser().await;
    let worker = worker(&db, registry(|_| async { Ok(None) })).await;
    let refused =
        "select jobs.enqueue('test.work', ('{\"a\":' || repeat('[', 200) || repeat(']', 200) || '}')::jsonb)";
    let error = client.batch_execute(refused).await.unwrap_err();
    assert!(error.as_db_error().unwrap().message().contains("at most 100 levels deep"));
    // Neither function sees this one: a number beyond all that a program counts with.
    client.batch_execute("select jobs.enqueue('test.work', '{\"n\": 1e400}')").await.unwrap();
    client.batch_execute("select jobs.enqueue('test.work')").await.unwrap();
    idle(&client).await;
    let error = text(&client, "select error from jobs.dead").await;
    assert!(error.starts_with("its payload cannot be read: number out of range"), "{error}");
    assert_eq!(text(&client, "select count(*)::text from jobs.done, unnest(ids)").await, "1");
    worker.stop(TIMEOUT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fetch_without_an_answer_is_released() {
    let db = database().await;
    let client = db.superuser().await;
    let worker = worker(&db, registry(|_| async { Ok(None) })).await;
    let lost = format!(
        "with gone as (delete from jobs.ready returning *) \
         insert into jobs.leases (id, worker, jobs) select 1, '{}', array_agg(row(gone.*)::jobs.ready) from gone",
        worker.id()
    );
    client.batch_execute(&format!("begin; select jobs.enqueue('test.work'); {lost}; commit")).await.unwrap();
    assert_eq!(count(&client, "leases").await, 1);
    idle(&client).await;
    assert_eq!(text(&client, "select count(*)::text from jobs.done, unnest(ids)").await, "1");
    worker.stop(TIMEOUT).await;
}

#[tokio::test]
async fn keys_and_families_are_separate_per_tenant() {
    let db = database().await;
    let client = db.superuser().await;
    let call = |tenant: u128, more: &str| {
        let tenant = uuid::Uuid::from_u128(tenant);
        format!("select jobs.enqueue('test.work', tenant => '{tenant}', {more})")
    };
    for tenant in [1, 2, 1] {
        client.batch_execute(&call(tenant, "unique_key => 'only'")).await.unwrap();
    }
    assert_eq!(count(&client, "ready").await, 2);
    let family =
        r#"select jobs.enqueue_parent('{"kind":"test.work"}', array['{"kind":"jobs.noop"}']::jsonb[])"#;
    let parent: i64 = client.query_one(family, &[]).await.unwrap().get(0);
    let error = client.batch_execute(&call(1, &format!("parent => {parent}"))).await.unwrap_err();
    assert!(error.as_db_error().unwrap().message().contains("by jobs.enqueue_parent"));
    let error = client.batch_execute(&call(1, "run_at => 'infinity'")).await.unwrap_err();
    assert!(error.as_db_error().unwrap().message().contains("next hundred years"));
}

#[tokio::test]
async fn cancelled_job_is_not_repeated() {
    let db = database().await;
    let client = db.superuser().await;
    let take = "select jobs.enqueue('test.work'); insert into jobs.workers (id, release, host, pid) \
                values ('00000000-0000-0000-0000-000000000001', '1', '', 1); \
                with gone as (delete from jobs.ready returning *) insert into jobs.leases (id, worker, jobs) \
                select 1, '00000000-0000-0000-0000-000000000001', array_agg(row(gone.*)::jobs.ready) from gone; \
                select jobs.cancel(j.id), jobs.complete(l.worker, jsonb_build_array(jsonb_build_object( \
                'lease', l.id, 'id', j.id, 'state', 'retry', 'after', 1, 'error', 'again'))) \
                from jobs.leases l, unnest(l.jobs) j";
    client.batch_execute(take).await.unwrap();
    assert_eq!(
        text(&client, "select string_agg(state || ' ' || error, ',') from jobs.dead").await,
        "cancelled again"
    );
    assert_eq!((count(&client, "cancellations").await, count(&client, "scheduled").await), (0, 0));
}
