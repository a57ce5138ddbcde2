//! The worker: runs what is enqueued, once where it can, again where it must.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rowhouse_jobs::{JobError, NewJob, enqueue, enqueue_many};
use rowhouse_testkit::{LIMIT, in_time, until, until_true};
use serde_json::json;
use tokio::sync::Notify;

use crate::support::{count, database, idle, note_starts, registry, text, worker};

const TIMEOUT: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn every_job_runs_once_and_is_done() {
    let db = database().await;
    let client = db.superuser().await;
    let runs: Arc<Mutex<HashMap<i64, usize>>> = Arc::default();
    let seen = Arc::clone(&runs);
    let worker = worker(
        &db,
        registry(move |job| {
            *seen.lock().unwrap().entry(job.id).or_default() += 1;
            async { Ok(None) }
        }),
    )
    .await;
    let payloads: Vec<_> = (0..5000).map(|n| json!({ "n": n })).collect();
    let ids = enqueue_many(&client, "test.work", &payloads, "default", None).await.unwrap();
    idle(&client).await;
    assert_eq!(text(&client, "select count(*)::text from jobs.done, unnest(ids)").await, "5000");
    let runs = runs.lock().unwrap().clone();
    assert!(ids.iter().all(|id| runs[id] == 1) && runs.len() == 5000);
    worker.stop(TIMEOUT).await;
    assert_eq!(count(&client, "workers").await, 0);
}

/// Its heartbeat alone would say that all is well.
#[tokio::test(flavor = "multi_thread")]
async fn worker_that_cannot_fetch_says_so_until_it_can() {
    let db = database().await;
    let client = db.superuser().await;
    let worker = worker(&db, registry(async |_| Ok(None))).await;
    let pulse = worker.pulse();
    client.batch_execute("alter table jobs.partitions rename to partitions_away").await.unwrap();
    until("the failure is reported", LIMIT, async || {
        pulse.troubles(Duration::from_millis(300)).contains(&"jobs cannot be fetched")
    })
    .await;
    assert!(pulse.troubles(Duration::from_mins(10)).is_empty());
    client.batch_execute("alter table jobs.partitions_away rename to partitions").await.unwrap();
    until("it fetches again", LIMIT, async || pulse.troubles(Duration::ZERO).is_empty()).await;
    client.batch_execute("select jobs.enqueue('test.work')").await.unwrap();
    idle(&client).await;
    worker.stop(TIMEOUT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_run_is_retried_and_the_last_failure_makes_the_job_dead() {
    let db = database().await;
    let client = db.superuser().await;
    let worker = worker(
        &db,
        registry(|job| async move {
            match job.payload["how"].as_str() {
                Some("third time") if job.attempt < 3 => Err(JobError::Retry("not yet".to_owned())),
                Some("never") => Err(JobError::Fatal("hopeless".to_owned())),
                Some("always") => Err(JobError::Retry("again".to_owned())),
                Some("panic") => std::panic::resume_unwind(Box::new("oh")),
                Some("hang") => std::future::pending().await,
                _ => Ok(Some(json!({ "attempt": job.attempt }))),
            }
        }),
    )
    .await;
    for how in ["third time", "never", "always", "panic", "hang"] {
        let payload = json!({ "how": how });
        let job = NewJob {
            max_attempts: Some(3),
            // However busy this machine is, only what never ends takes longer.
            timeout: Some(Duration::from_millis(if how == "hang" { 20 } else { 20_000 })),
            ..NewJob::new("test.work", payload)
        };
        enqueue(&client, &job).await.unwrap();
    }
    idle(&client).await;
    let result = text(&client, "select result::text from jobs.results").await;
    assert_eq!(result, r#"{"attempt": 3}"#);
    let dead = "select string_agg((job).payload->>'how' || ':' || (job).attempt || ':' || error, ' ' order by id) from jobs.dead";
    assert_eq!(
        text(&client, dead).await,
        "never:1:hopeless always:3:again panic:3:the handler panicked hang:3:it took longer than 20ms"
    );
    let log =
        "select string_agg(line, ', ' order by at) from jobs.log where id = (select min(id) from jobs.log)";
    assert_eq!(text(&client, log).await, "not yet, not yet");
    worker.stop(TIMEOUT).await;
}

const OTHER: &str = "00000000-0000-0000-0000-000000000001";

/// What happens while a worker is thought dead, without its hearing of it: its jobs are released, and `OTHER` claims them
/// under this lease.
fn taken_over(lease: &str) -> String {
    format!(
        "begin; create temp table stale as select * from jobs.leases; \
         select jobs.complete_lease(l, (select jsonb_agg(jsonb_build_object('id', j.id, 'lost', true, 'state', 'release')) \
           from unnest(l.jobs) j)) from jobs.leases l; \
         insert into jobs.workers (id, release, host, pid) values ('{OTHER}', '1', 'h', 1); \
         select count(*) from jobs.claim('{OTHER}', array(select id from jobs.partitions), '{{0}}', '{{1}}', '{{1}}', '{{1}}', \
           1, 1000000, (select {lease} from stale)); commit"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn stale_worker_s_completion_is_refused() {
    // Without a result the lease is completed as a whole. Ids of leases are random and may repeat: the worker counts, too.
    for (result, lease) in [(None, "id"), (None, "7"), (Some("stale"), "id"), (Some("stale"), "7")] {
        let db = database().await;
        let client = db.superuser().await;
        let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (said, wait) = (Arc::clone(&begun), Arc::clone(&go));
        let run = move |_: rowhouse_jobs::Job| {
            let (said, wait) = (Arc::clone(&said), Arc::clone(&wait));
            async move {
                said.notify_one();
                wait.notified().await;
                Ok(result.map(|result| json!(result)))
            }
        };
        let stale = worker(&db, registry(run)).await;
        let id = enqueue(&client, &NewJob::new("test.work", json!({}))).await.unwrap();
        in_time("the run begins", begun.notified()).await;
        client.batch_execute(&taken_over(lease)).await.unwrap();
        go.notify_one();
        // Before it ends it reports how its jobs have ended.
        stale.stop(TIMEOUT).await;
        let left = "select format('%s %s %s', (select count(*) from jobs.results), (select count(*) from jobs.done), \
                    (select string_agg(worker::text, ' ') from jobs.leases))";
        assert_eq!(text(&client, left).await, format!("0 0 {OTHER}"), "{result:?} {lease}");
        let complete = format!(
            "select jobs.complete('{OTHER}', jsonb_build_array(jsonb_build_object( \
             'lease', l.id, 'id', {id}, 'state', 'done', 'result', 'theirs')))::text from jobs.leases l"
        );
        assert_eq!(text(&client, &complete).await, format!("{{{id}}}"));
        assert_eq!(text(&client, "select result #>> '{}' from jobs.results").await, "theirs");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_of_a_dead_worker_run_on_another() {
    let db = database().await;
    let client = db.superuser().await;
    let dead = worker(&db, registry(|_| std::future::pending())).await;
    let ids = enqueue_many(&client, "test.work", &vec![json!({}); 50], "default", None).await.unwrap();
    until_true(&client, "(select count(*) from jobs.ready) = 0").await;
    drop(dead);
    let living = worker(&db, registry(|_| async { Ok(None) })).await;
    idle(&client).await;
    assert_eq!(
        text(&client, "select count(*)::text from jobs.done, unnest(ids)").await,
        ids.len().to_string()
    );
    living.stop(TIMEOUT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cap_of_a_queue_a_tenant_and_a_key_is_never_exceeded() {
    let db = database().await;
    let client = db.superuser().await;
    client
        .batch_execute(
            "insert into jobs.queues (name, concurrency, tenant_concurrency, key_concurrency) \
             values ('narrow', 5, 2, 1)",
        )
        .await
        .unwrap();
    let running: Arc<Mutex<HashMap<String, usize>>> = Arc::default();
    let worst: Arc<Mutex<HashMap<String, usize>>> = Arc::default();
    let work = {
        let (running, worst) = (Arc::clone(&running), Arc::clone(&worst));
        move |job: rowhouse_jobs::Job| {
            let (running, worst) = (Arc::clone(&running), Arc::clone(&worst));
            async move {
                let scopes =
                    ["queue".to_owned(), format!("tenant {:?}", job.tenant), job.payload["key"].to_string()];
                for scope in &scopes {
                    let mut running = running.lock().unwrap();
                    let now = running.entry(scope.clone()).or_default();
                    *now += 1;
                    let mut worst = worst.lock().unwrap();
                    let most = worst.entry(scope.clone()).or_default();
                    *most = (*most).max(*now);
                }
                tokio::task::yield_now().await;
                tokio::time::timeout(Duration::from_millis(3), std::future::pending::<()>())
                    .await
                    .unwrap_err();
                for scope in &scopes {
                    *running.lock().unwrap().get_mut(scope).unwrap() -= 1;
                }
                Ok(None)
            }
        }
    };
    let mut workers = Vec::new();
    for _ in 0..6 {
        workers.push(worker(&db, registry(work.clone())).await);
    }
    for n in 0..200_u128 {
        // More keys of each tenant than the tenant may run at once, so that each of the caps is what holds.
        let key = format!("k{}", n % 16);
        let job = NewJob {
            queue: "narrow",
            tenant: Some(rowhouse_kernel::TenantId(uuid::Uuid::from_u128(n % 4 + 1))),
            key: Some(&key),
            ..NewJob::new("test.work", json!({ "key": key }))
        };
        enqueue(&client, &job).await.unwrap();
    }
    idle(&client).await;
    let worst = worst.lock().unwrap().clone();
    assert_eq!(worst["queue"], 5, "{worst:?}");
    let most =
        |scope: &str| worst.iter().filter(|(name, _)| name.starts_with(scope)).map(|(_, most)| *most).max();
    assert_eq!((most("tenant"), most("\"")), (Some(2), Some(1)), "{worst:?}");
    for worker in workers {
        worker.stop(TIMEOUT).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rate_limit_spreads_starts_over_time() {
    let db = database().await;
    let client = db.superuser().await;
    client.batch_execute("insert into jobs.queues (name, rate) values ('slow', 50)").await.unwrap();
    note_starts(&client).await;
    let worker = worker(&db, registry(|_| async { Ok(None) })).await;
    enqueue_many(&client, "test.work", &vec![json!({}); 120], "slow", None).await.unwrap();
    idle(&client).await;
    worker.stop(TIMEOUT).await;
    // 50 at once and 50 a second.
    let spread =
        "select format('%s %s', sum(jobs), max(at) - min(at) > interval '1.2 seconds') from public.starts";
    assert_eq!(text(&client, spread).await, "120 t");
}

#[tokio::test(flavor = "multi_thread")]
async fn parent_runs_after_its_children_and_is_dead_if_one_is() {
    let db = database().await;
    let client = db.superuser().await;
    let order: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = Arc::clone(&order);
    let worker = worker(
        &db,
        registry(move |job| {
            let name = job.payload["name"].as_str().unwrap_or_default().to_owned();
            seen.lock().unwrap().push(name.clone());
            async move { if name == "bad" { Err(JobError::Fatal("bad".to_owned())) } else { Ok(None) } }
        }),
    )
    .await;
    let family = |parent: &str, children: [&str; 2], failure: &str| {
        let job = |name: &str| json!({ "kind": "test.work", "payload": { "name": name } }).to_string();
        format!(
            "select jobs.enqueue_parent('{}', array['{}','{}']::jsonb[], '{failure}')",
            job(parent),
            job(children[0]),
            job(children[1])
        )
    };
    client.batch_execute(&family("p1", ["a", "b"], "fail")).await.unwrap();
    client.batch_execute(&family("p2", ["bad", "c"], "fail")).await.unwrap();
    client.batch_execute(&family("p3", ["bad", "d"], "ignore")).await.unwrap();
    until_true(&client, "(select count(*) from jobs.done, unnest(ids)) = 6").await;
    idle(&client).await;
    let order = order.lock().unwrap().clone();
    let place = |name: &str| order.iter().position(|seen| seen == name);
    assert!(place("p1") > place("a") && place("p1") > place("b"));
    assert!(place("p3") > place("d") && place("p2").is_none());
    assert_eq!(text(&client, "select count(*)::text from jobs.dead").await, "3");
    assert_eq!(count(&client, "waiting").await, 0);
    worker.stop(TIMEOUT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unique_key_is_free_again_when_its_job_has_ended() {
    let db = database().await;
    let client = db.superuser().await;
    let worker = worker(&db, registry(|_| async { Ok(None) })).await;
    let unique = NewJob { unique_key: Some("only"), ..NewJob::new("test.work", json!({})) };
    let first = enqueue(&client, &unique).await.unwrap();
    idle(&client).await;
    assert_ne!(enqueue(&client, &unique).await.unwrap(), first);
    worker.stop(TIMEOUT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn job_is_cancelled_before_it_runs_and_while_it_runs() {
    let db = database().await;
    let client = db.superuser().await;
    let later = client
        .query_one("select jobs.enqueue('test.work', run_at => now() + interval '1 hour')", &[])
        .await
        .unwrap()
        .get::<_, i64>(0);
    assert_eq!(text(&client, &format!("select jobs.cancel({later})")).await, "cancelled");
    let worker = worker(&db, registry(|_| std::future::pending())).await;
    let running = enqueue(&client, &NewJob::new("test.work", json!({}))).await.unwrap();
    until_true(&client, "exists (select from jobs.leases)").await;
    assert_eq!(text(&client, &format!("select jobs.cancel({running})")).await, "cancelling");
    worker.look_for_cancellations().await;
    idle(&client).await;
    assert_eq!(text(&client, "select string_agg(state, ',') from jobs.dead").await, "cancelled,cancelled");
    assert_eq!(count(&client, "cancellations").await, 0);
    assert_eq!(
        client
            .query_one("select jobs.redrive(array[$1::bigint])", &[&running])
            .await
            .unwrap()
            .get::<_, i32>(0),
        1
    );
    until_true(&client, "exists (select from jobs.leases)").await;
    worker.stop(Duration::from_millis(1)).await;
    assert_eq!(count(&client, "leases").await, 0, "a worker that leaves gives back what it has");
}

#[tokio::test(flavor = "multi_thread")]
async fn paused_queue_and_tenant_are_not_fetched_until_resumed() {
    let db = database().await;
    let client = db.superuser().await;
    let tenant = uuid::Uuid::from_u128(7);
    client.batch_execute(&format!("insert into jobs.pauses (tenant) values ('{tenant}'); insert into jobs.queues (name, paused) values ('resting', true)")).await.unwrap();
    let runs = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&runs);
    let worker = worker(
        &db,
        registry(move |_| {
            seen.fetch_add(1, Ordering::Relaxed);
            async { Ok(None) }
        }),
    )
    .await;
    enqueue_many(&client, "test.work", &vec![json!({}); 5], "resting", None).await.unwrap();
    enqueue_many(
        &client,
        "test.work",
        &vec![json!({}); 5],
        "default",
        Some(rowhouse_kernel::TenantId(tenant)),
    )
    .await
    .unwrap();
    enqueue_many(&client, "test.work", &vec![json!({}); 5], "default", None).await.unwrap();
    until_true(&client, "(select count(*) from jobs.done, unnest(ids)) = 5").await;
    // What is enqueued later goes past those.
    enqueue(&client, &NewJob::new("test.work", json!({}))).await.unwrap();
    until_true(&client, "(select count(*) from jobs.done, unnest(ids)) = 6").await;
    assert_eq!(count(&client, "ready").await, 10);
    client.batch_execute("delete from jobs.pauses; update jobs.queues set paused = false").await.unwrap();
    idle(&client).await;
    assert_eq!(runs.load(Ordering::Relaxed), 16);
    worker.stop(TIMEOUT).await;
}

#[tokio::test]
async fn worker_death_counts_no_attempt_and_a_job_that_kills_workers_becomes_dead() {
    let db = database().await;
    let client = db.superuser().await;
    client.batch_execute("select jobs.enqueue('test.work', '{}', max_attempts => 1)").await.unwrap();
    let take = "with due as (delete from jobs.scheduled returning job), \
                gone as (delete from jobs.ready returning *), \
                all_of_them as (select row(gone.*)::jobs.ready as job from gone union all select job from due) \
                insert into jobs.leases (id, worker, jobs) select 1, gen_random_uuid(), array_agg(job) from all_of_them; \
                select jobs.rescue('{}', '{}')";
    for death in 1..=4 {
        client.batch_execute(take).await.unwrap();
        let left = "select format('%s %s', attempt, options ->> 'deaths') from jobs.ready";
        assert_eq!(text(&client, left).await, format!("0 {death}"));
    }
    client.batch_execute(take).await.unwrap();
    let dead = "select format('%s %s', (job).attempt, error) from jobs.dead";
    assert_eq!(text(&client, dead).await, "0 its worker died (5 of at most 5 times)");
    // Whoever runs it again gives it a new life.
    client.batch_execute("select jobs.retry(id) from jobs.dead").await.unwrap();
    let worker = worker(&db, registry(|_| async { Ok(None) })).await;
    idle(&client).await;
    assert_eq!(text(&client, "select count(*)::text from jobs.done, unnest(ids)").await, "1");
    worker.stop(TIMEOUT).await;
}
