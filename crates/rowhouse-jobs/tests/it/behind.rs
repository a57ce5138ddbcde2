//! Claims begin where nothing can stand below; what appears there after all is found.

use std::time::Duration;

use rowhouse_jobs::{NewJob, enqueue, enqueue_many};
use rowhouse_testkit::until_true;
use serde_json::json;
use tokio_postgres::Client;

use crate::support::{database, idle, registry, text, worker};

const TIMEOUT: Duration = Duration::from_secs(10);
/// Rounds of jobs, each of which is waited for: the worker reads the positions many times meanwhile.
const ROUNDS: usize = 30;

async fn rounds(client: &Client, queue: &str) {
    for _ in 0..ROUNDS {
        let ids = enqueue_many(client, "test.work", &vec![json!({}); 10], queue, None).await.unwrap();
        until_true(client, &format!("not exists (select from jobs.ready where id = any (array{ids:?}))"))
            .await;
    }
}

fn is_ready(id: i64) -> String {
    format!("exists (select from jobs.ready where id = {id})")
}

#[tokio::test(flavor = "multi_thread")]
async fn job_whose_transaction_commits_late_is_fetched_before_later_ones() {
    let db = database().await;
    let (client, slow) = (db.superuser().await, db.superuser().await);
    let worker = worker(&db, registry(|_| async { Ok(None) })).await;
    // The partition's first job makes the partition, which another transaction would wait for.
    rounds(&client, "default").await;
    slow.batch_execute("begin").await.unwrap();
    let late = enqueue(&slow, &NewJob::new("test.work", json!({}))).await.unwrap();
    rounds(&client, "default").await;
    slow.batch_execute("commit").await.unwrap();
    let after = enqueue(&client, &NewJob::new("test.work", json!({}))).await.unwrap();
    until_true(&client, &format!("not {}", is_ready(after))).await;
    // A claim goes up the partition: what it takes leaves nothing below.
    let left = format!("select {}::text", is_ready(late));
    assert_eq!(text(&client, &left).await, "false");
    idle(&client).await;
    worker.stop(TIMEOUT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_restored_by_a_crash_are_fetched_by_the_next_connection() {
    let db = database().await;
    let client = db.superuser().await;
    let worker = worker(&db, registry(|_| async { Ok(None) })).await;
    rounds(&client, "default").await;
    // As a crash would: a row that had been claimed is there again, and connections are gone.
    let back = "insert into jobs.ready (partition, position) select partition, 1 from jobs.done limit 1 returning id";
    let back: i64 = client.query_one(back, &[]).await.unwrap().get(0);
    let end = "select count(pg_terminate_backend(pid, 30000)) from pg_stat_activity \
               where application_name = 'rowhouse-control' and datname = current_database()";
    client.query_one(end, &[]).await.unwrap();
    let after = enqueue(&client, &NewJob::new("test.work", json!({}))).await.unwrap();
    until_true(&client, &format!("not {}", is_ready(after))).await;
    assert_eq!(text(&client, &format!("select {}::text", is_ready(back))).await, "false");
    idle(&client).await;
    worker.stop(TIMEOUT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn new_partition_is_found_while_others_are_busy() {
    let db = database().await;
    let client = db.superuser().await;
    let worker = worker(&db, registry(|_| async { Ok(None) })).await;
    for tenant in 1..=5 {
        enqueue_many(&client, "test.work", &vec![json!({}); 5000], "default", None).await.unwrap();
        let first = format!(
            "select jobs.enqueue('test.work', tenant => '00000000-0000-0000-0000-{tenant:012}')::text"
        );
        let id: i64 = text(&client, &first).await.parse().unwrap();
        until_true(&client, &format!("not {}", is_ready(id))).await;
    }
    idle(&client).await;
    worker.stop(TIMEOUT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn job_of_a_rolled_back_fetch_is_found_below_the_start_position() {
    let db = database().await;
    let (client, other) = (db.superuser().await, db.superuser().await);
    client.batch_execute("insert into jobs.queues (name) values ('aside')").await.unwrap();
    client.batch_execute("update jobs.queues set paused = true where name = 'default'").await.unwrap();
    let worker = worker(&db, registry(|_| async { Ok(None) })).await;
    let first = enqueue(&client, &NewJob::new("test.work", json!({}))).await.unwrap();
    // Until it is known that nobody adds a job below any more.
    rounds(&client, "aside").await;
    // As another worker's claim would that is never committed.
    other.batch_execute("begin").await.unwrap();
    other.execute("delete from jobs.ready where id = $1", &[&first]).await.unwrap();
    client.batch_execute("update jobs.queues set paused = false").await.unwrap();
    rounds(&client, "default").await;
    other.batch_execute("rollback").await.unwrap();
    until_true(&client, &format!("not {}", is_ready(first))).await;
    idle(&client).await;
    assert_eq!(
        text(&client, "select count(*)::text from jobs.done, unnest(ids)").await,
        (2 * 10 * ROUNDS + 1).to_string()
    );
    worker.stop(TIMEOUT).await;
}
