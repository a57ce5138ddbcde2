//! Jobs with keys: those of one key, however many, are in nobody's way, and keep their order where that is promised.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rowhouse_jobs::{JobError, NewJob, enqueue};
use rowhouse_testkit::until_true;
use serde_json::json;

use crate::support::{count, database, idle, note_starts, registry, text, worker};

const TIMEOUT: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn backlog_of_one_key_does_not_starve_others() {
    let db = database().await;
    let client = db.superuser().await;
    let backlog = "select count(jobs.enqueue('test.work', key => 'a')) from generate_series(1, 5000)";
    client.batch_execute(backlog).await.unwrap();
    client.batch_execute("select jobs.enqueue('test.work', '{\"me\": true}', key => 'b')").await.unwrap();
    let worker = worker(
        &db,
        registry(|job| async move {
            if !job.payload.contains_key("me") {
                std::future::pending::<()>().await;
            }
            Ok(None)
        }),
    )
    .await;
    until_true(&client, "exists (select from jobs.done)").await;
    assert_eq!(text(&client, "select count(*)::text from jobs.leases l, unnest(l.jobs)").await, "1");
    worker.stop(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_may_not_run_hide_no_other_though_one_fetch_sees_only_them() {
    let db = database().await;
    let client = db.superuser().await;
    // One fetch sees 2,000 keys, and these have had their start of the day.
    let many = "insert into jobs.queues (name, key_rate) values ('slow', 1 / 86400.0); \
        insert into jobs.recent_starts (scope, at, counts, last_at) \
          select jobs.key_scope('slow', null, 'k' || n), array[now()], array[1], now() from generate_series(1, 4500) n; \
        select count(jobs.enqueue('test.work', queue => 'slow', key => 'k' || n)) from generate_series(1, 4500) n; \
        select jobs.enqueue('test.work', queue => 'slow', key => 'z')";
    client.batch_execute(many).await.unwrap();
    let worker = worker(&db, registry(|_| async { Ok(None) })).await;
    until_true(&client, "not exists (select from jobs.ready where options ->> 'key' = 'z')").await;
    assert_eq!(count(&client, "ready").await, 4500);
    worker.stop(TIMEOUT).await;
}

/// Ten jobs of one key; the third is treated by `third` the first time.
async fn order_with(third: fn() -> Option<JobError>) -> Vec<i64> {
    let db = database().await;
    let client = db.superuser().await;
    for n in 1..=6_i64 {
        let job = NewJob { key: Some("k"), ..NewJob::new("test.work", json!({ "n": n })) };
        enqueue(&client, &job).await.unwrap();
    }
    let order: Arc<Mutex<Vec<i64>>> = Arc::default();
    let seen = Arc::clone(&order);
    let worker = worker(
        &db,
        registry(move |job| {
            let n = job.payload["n"].as_i64().unwrap();
            let first = !seen.lock().unwrap().contains(&n);
            seen.lock().unwrap().push(n);
            async move {
                match (n, first) {
                    (3, true) => third().map_or(Ok(None), Err),
                    _ => Ok(None),
                }
            }
        }),
    )
    .await;
    idle(&client).await;
    worker.stop(TIMEOUT).await;
    order.lock().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn released_job_keeps_its_place_in_its_key() {
    assert_eq!(order_with(|| Some(JobError::Release)).await, [1, 2, 3, 3, 4, 5, 6]);
}

/// A worker claims one of three jobs of a key and dies.
const CLAIM_AND_RESCUE: &str = "select count(jobs.enqueue('test.work', key => 'k')) from generate_series(1, 3); \
        insert into jobs.workers (id, release, host, pid) values ('00000000-0000-0000-0000-000000000001', '1', '', 1); \
        select count(*) from jobs.claim_limited('00000000-0000-0000-0000-000000000001', 'default', \
          (select array_agg(id) from jobs.partitions), array[10], 10, 1000000, 7); \
        delete from jobs.workers; select jobs.rescue('{}', '{}')";
const DEATHS: &str = "select string_agg(id::text || ':' || coalesce(options ->> 'deaths', '0'), ' ' order by position) from jobs.ready";

#[tokio::test(flavor = "multi_thread")]
async fn advisory_locks_of_others_hold_up_no_claim() {
    let db = database().await;
    let (client, other) = (db.superuser().await, db.superuser().await);
    let locks = "select pg_advisory_lock(hashtextextended(name, 0)) from unnest(array['jobs.claim.default', 'jobs.rescue']) name";
    other.batch_execute(locks).await.unwrap();
    client.batch_execute("set lock_timeout = '5s'").await.unwrap();
    client.batch_execute(CLAIM_AND_RESCUE).await.unwrap();
    assert_eq!(text(&client, DEATHS).await, "1:1 2:0 3:0");
    let users = "select count(*)::text from pg_proc p join pg_namespace n on n.oid = p.pronamespace \
        where n.nspname = 'jobs' and p.prosrc like '%advisory%'";
    assert_eq!(text(&client, users).await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn turn_is_taken_by_one_transaction() {
    let db = database().await;
    let (client, other) = (db.superuser().await, db.superuser().await);
    client.batch_execute("begin; select jobs.try_turn('rescue')").await.unwrap();
    let tried = "select jobs.try_turn('rescue')::text";
    assert_eq!(text(&other, tried).await, "false");
    client.batch_execute("commit").await.unwrap();
    assert_eq!(text(&other, tried).await, "true");
}

#[tokio::test(flavor = "multi_thread")]
async fn job_of_a_dead_worker_keeps_its_place_in_its_key() {
    let db = database().await;
    let client = db.superuser().await;
    client.batch_execute(CLAIM_AND_RESCUE).await.unwrap();
    assert_eq!(text(&client, DEATHS).await, "1:1 2:0 3:0");
    assert_eq!(count(&client, "leases").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn rate_is_not_exceeded_in_any_second() {
    let db = database().await;
    let client = db.superuser().await;
    note_starts(&client).await;
    let setup = "insert into jobs.queues (name, rate) values ('slow', 5); \
        select count(jobs.enqueue('test.work', queue => 'slow')) from generate_series(1, 16)";
    client.batch_execute(setup).await.unwrap();
    let worker = worker(&db, registry(|_| async { Ok(None) })).await;
    idle(&client).await;
    worker.stop(TIMEOUT).await;
    let most = "select format('%s of %s', max(n), sum(jobs)) from (select c.jobs, (select sum(d.jobs) from public.starts d \
        where d.at >= c.at and d.at < c.at + interval '1 second') as n from public.starts c) w";
    assert_eq!(text(&client, most).await, "5 of 16");
}
