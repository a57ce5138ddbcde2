//! Handlers that can do nothing for a while.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rowhouse_jobs::{Handler, HandlerFuture, Job, JobError, JobKind, Registry, enqueue_many};
use rowhouse_testkit::until_true;
use serde_json::json;

use crate::support::{Does, database, idle, kind, text, worker};

const TIMEOUT: Duration = Duration::from_secs(10);

/// Says whether there is room, and counts runs.
struct LimitedHandler {
    room: Arc<AtomicUsize>,
    runs: Arc<AtomicUsize>,
}

impl Handler for LimitedHandler {
    fn run<'a>(&'a self, _: &'a Job) -> HandlerFuture<'a> {
        self.runs.fetch_add(1, Ordering::SeqCst);
        Box::pin(async { Ok(None) })
    }

    fn room(&self) -> usize {
        self.room.load(Ordering::SeqCst)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_without_room_stay_queued_and_delay_no_others() {
    let db = database().await;
    let client = db.superuser().await;
    let (room, runs) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut registry = Registry::new();
    registry.add(kind("test.work"), LimitedHandler { room: Arc::clone(&room), runs: Arc::clone(&runs) });
    registry.add(kind("jobs.noop"), Does(async |_| Ok(None)));
    let payloads = vec![json!({}); 50];
    enqueue_many(&client, "test.work", &payloads, "default", None).await.unwrap();
    enqueue_many(&client, "jobs.noop", &payloads, "default", None).await.unwrap();
    let worker = worker(&db, registry).await;
    until_true(&client, "(select coalesce(sum(cardinality(ids)), 0) from jobs.done) = 50").await;
    assert_eq!(runs.load(Ordering::SeqCst), 0);
    assert_eq!(text(&client, "select count(*)::text from jobs.ready").await, "50");
    room.store(3, Ordering::SeqCst);
    idle(&client).await;
    assert_eq!(runs.load(Ordering::SeqCst), 50);
    worker.stop(TIMEOUT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn released_run_leaves_no_trace() {
    let db = database().await;
    let client = db.superuser().await;
    let tries = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&tries);
    let mut registry = Registry::new();
    let work = move |job: Job| {
        let nth = seen.fetch_add(1, Ordering::SeqCst);
        async move { if nth < 5 { Err(JobError::Release) } else { Ok(Some(json!(job.attempt))) } }
    };
    registry.add(kind("test.work"), Does(work));
    let worker = worker(&db, registry).await;
    enqueue_many(&client, "test.work", &[json!({})], "default", None).await.unwrap();
    until_true(&client, "exists (select from jobs.results)").await;
    assert_eq!(text(&client, "select result::text from jobs.results").await, "1");
    assert_eq!(text(&client, "select count(*)::text from jobs.log").await, "0");
    worker.stop(TIMEOUT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_slow_kinds_together_do_not_delay_an_urgent_one() {
    let db = database().await;
    let client = db.superuser().await;
    let mut registry = Registry::new();
    for slow in ["test.slow", "test.slower"] {
        registry.add(kind(slow), Does(async |_| std::future::pending().await));
    }
    registry.add(JobKind { is_urgent: true, ..kind("test.urgent") }, Does(async |_| Ok(None)));
    let _worker = worker(&db, registry).await;
    let payloads = vec![json!({}); 50];
    for slow in ["test.slow", "test.slower"] {
        enqueue_many(&client, slow, &payloads, "default", None).await.unwrap();
    }
    until_true(&client, "(select coalesce(sum(cardinality(jobs)), 0) from jobs.leases) >= 18").await;
    enqueue_many(&client, "test.urgent", &[json!({})], "default", None).await.unwrap();
    // The slow ones never end: whatever waits for one of them is not done at all.
    until_true(&client, "exists (select from jobs.done)").await;
}
