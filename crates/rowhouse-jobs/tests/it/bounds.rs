//! What a worker holds is bounded, and so is what it costs to look something up.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rowhouse_jobs::{admin, enqueue_many};
use rowhouse_testkit::until_true;
use serde_json::json;
use tokio::sync::Semaphore;

use crate::support::{count, database, idle, registry, text, worker};

const TIMEOUT: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn large_payloads_are_fetched_a_few_at_a_time_and_all_run() {
    let db = database().await;
    let client = db.superuser().await;
    let large: Vec<_> = (0..60).map(|n| json!({ "n": n, "text": "x".repeat(200_000) })).collect();
    let (gate, runs) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    for queue in ["default", "narrow"] {
        client
            .execute(
                "insert into jobs.queues (name, concurrency) values ($1, 100) on conflict do nothing",
                &[&queue],
            )
            .await
            .unwrap();
        enqueue_many(&client, "test.work", &large, queue, None).await.unwrap();
    }
    let (wait, ran) = (Arc::clone(&gate), Arc::clone(&runs));
    let note = "create table public.claims (jobs int); \
        create function public.note_claim() returns trigger language plpgsql security definer as \
          $$begin insert into public.claims values (cardinality(new.jobs)); return new; end$$; \
        create trigger note_claim after insert on jobs.leases for each row execute function public.note_claim()";
    client.batch_execute(note).await.unwrap();
    let worker = worker(
        &db,
        registry(move |_| {
            let (wait, ran) = (Arc::clone(&wait), Arc::clone(&ran));
            async move {
                let _pass = wait.acquire().await.unwrap();
                ran.fetch_add(1, Ordering::Relaxed);
                Ok(None)
            }
        }),
    )
    .await;
    until_true(&client, "exists (select from jobs.leases)").await;
    gate.add_permits(1000);
    idle(&client).await;
    assert_eq!(runs.load(Ordering::Relaxed), 120);
    // 8 MiB at once, or one job more; there are slots for all sixty.
    assert_eq!(text(&client, "select max(jobs)::text from public.claims").await, "42");
    assert_eq!(text(&client, "select count(*)::text from jobs.done, unnest(ids)").await, "120");
    worker.stop(TIMEOUT).await;
}

#[tokio::test]
async fn fetch_is_bounded_in_bytes_and_takes_at_least_one_job() {
    let db = database().await;
    let client = db.superuser().await;
    client.batch_execute("insert into jobs.workers (id, release, host, pid) select '00000000-0000-0000-0000-000000000001', '1', 'h', 1").await.unwrap();
    let large: Vec<_> = (0..10).map(|_| json!({ "text": "x".repeat(100_000) })).collect();
    enqueue_many(&client, "test.work", &large, "default", None).await.unwrap();
    for (bytes, lease, taken, cut) in
        [(250_000_i64, 1_i64, 3, true), (1, 2, 1, true), (10_000_000, 3, 6, false)]
    {
        let claim = "select count(*), bool_or(cut) from jobs.claim('00000000-0000-0000-0000-000000000001', \
                     array(select id from jobs.partitions), '{0}', '{100}', '{1}', '{100}', 100, $1, $2)";
        let row = client.query_one(claim, &[&bytes, &lease]).await.unwrap();
        assert_eq!((row.get::<_, i64>(0), row.get::<_, bool>(1)), (taken, cut), "{bytes}");
    }
    assert_eq!(count(&client, "ready").await, 0);
}

#[tokio::test]
async fn long_queue_is_fetched_by_its_index_although_it_was_empty_when_planned() {
    let db = database().await;
    let (client, fetcher) = (db.superuser().await, db.superuser().await);
    client.batch_execute("insert into jobs.workers (id, release, host, pid) select '00000000-0000-0000-0000-000000000001', '1', 'h', 1").await.unwrap();
    enqueue_many(&client, "test.work", &vec![json!({}); 2000], "default", None).await.unwrap();
    // Now the planner takes the table for empty, and makes a plan for good.
    client.batch_execute("delete from jobs.ready").await.unwrap();
    client.batch_execute("vacuum analyze jobs.ready").await.unwrap();
    let claim = "select count(*) from jobs.claim('00000000-0000-0000-0000-000000000001', \
                 array(select id from jobs.partitions), '{0}', '{100}', '{1}', '{100}', 100, 1000000, 7)";
    for _ in 0..10 {
        fetcher.query_one(claim, &[]).await.unwrap();
    }
    enqueue_many(&client, "test.work", &vec![json!({}); 2000], "default", None).await.unwrap();
    fetcher.batch_execute("begin").await.unwrap();
    assert_eq!(fetcher.query_one(claim, &[]).await.unwrap().get::<_, i64>(0), 100);
    let scans = "select seq_scan::text from pg_stat_xact_user_tables where relid = 'jobs.ready'::regclass";
    assert_eq!(text(&fetcher, scans).await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn done_job_is_found_among_many_by_an_index() {
    let db = database().await;
    let client = db.superuser().await;
    let worker = worker(&db, registry(|_| async { Ok(None) })).await;
    let ids = enqueue_many(&client, "test.work", &vec![json!({}); 100], "default", None).await.unwrap();
    idle(&client).await;
    let past = "insert into jobs.done (partition, ids) select (select min(id) from jobs.partitions), \
                array(select 10000000 + n * 10000 + i from generate_series(1, 20) i) from generate_series(1, 20000) n";
    client.batch_execute(past).await.unwrap();
    client.batch_execute("analyze jobs.done").await.unwrap();
    let job = admin::find(&client, ids[99]).await.unwrap().unwrap();
    assert_eq!(job["state"], "done");
    let plan = "explain select from jobs.done d where jobs.id_range(d.ids[1]) = jobs.id_range(7) and 7 = any (d.ids)";
    let plan: Vec<String> = client.query(plan, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
    assert!(plan.iter().any(|line| line.contains("done_ids_idx")), "{plan:?}");
    // What ends together and lies far apart stands on several shelves.
    let apart = "select count(*)::text from jobs.done where jobs.id_range(ids[1]) <> jobs.id_range(ids[cardinality(ids)])";
    assert_eq!(text(&client, apart).await, "0");
    worker.stop(TIMEOUT).await;
}

#[tokio::test]
async fn two_thousand_outcomes_of_as_many_leases_are_completed_in_one_call() {
    let db = database().await;
    let client = db.superuser().await;
    enqueue_many(&client, "test.work", &vec![json!({}); 2000], "default", None).await.unwrap();
    let take = "with gone as (delete from jobs.ready returning *) \
                insert into jobs.leases (id, worker, jobs) \
                select id, '00000000-0000-0000-0000-000000000001', array[row(gone.*)::jobs.ready] from gone";
    client.batch_execute(take).await.unwrap();
    // Each with a result, and of every fourth the lease is not named.
    let complete = "select cardinality(jobs.complete('00000000-0000-0000-0000-000000000001', ( \
                  select jsonb_agg(jsonb_build_object('id', id, 'state', 'done', 'result', id) \
                    || case when id % 4 = 0 then '{}' else jsonb_build_object('lease', id) end) from jobs.leases)))::text";
    assert_eq!(text(&client, complete).await, "2000");
    assert_eq!((count(&client, "leases").await, count(&client, "results").await), (0, 2000));
    assert_eq!(text(&client, "select count(distinct i)::text from jobs.done, unnest(ids) i").await, "2000");
}

#[tokio::test]
async fn fetch_takes_no_more_of_a_kind_than_it_has_room_for() {
    let db = database().await;
    let client = db.superuser().await;
    client.batch_execute("insert into jobs.workers (id, release, host, pid) select '00000000-0000-0000-0000-000000000001', '1', 'h', 1").await.unwrap();
    for kind in ["test.work", "jobs.noop"] {
        let tenants = format!(
            "select count(jobs.enqueue('{kind}', tenant => gen_random_uuid())) from generate_series(1, 20)"
        );
        client.batch_execute(&tenants).await.unwrap();
    }
    let claim = "select string_agg(kind || ' ' || n, ', ' order by kind) from ( \
        select p.kind, count(*) as n from jobs.claim('00000000-0000-0000-0000-000000000001', \
          array(select id from jobs.partitions order by id), array_fill(0::bigint, array[40]), array_fill(100, array[40]), \
          array(select 1 + (kind = 'jobs.noop')::int from jobs.partitions order by id), '{3,100}', 100, 1000000, 7) c \
        join jobs.partitions p on p.id = c.partition group by 1) k";
    assert_eq!(text(&client, claim).await, "jobs.noop 20, test.work 3");
}

#[tokio::test]
async fn jobs_of_many_tenants_are_completed_in_one_row_and_each_is_found() {
    let db = database().await;
    let client = db.superuser().await;
    let run = "insert into jobs.workers (id, release, host, pid) values ('00000000-0000-0000-0000-000000000001', '1', 'h', 1); \
        select jobs.enqueue('test.work', tenant => ('00000000-0000-0000-0000-' || lpad(n::text, 12, '0'))::uuid) \
        from generate_series(1, 9) n; \
        select count(*) from jobs.claim('00000000-0000-0000-0000-000000000001', array(select id from jobs.partitions order by id), \
          array_fill(0::bigint, array[9]), array_fill(1, array[9]), array_fill(1, array[9]), '{9}', 9, 1000000, 7); \
        select jobs.complete_leases('00000000-0000-0000-0000-000000000001', '{7}')";
    client.batch_execute(run).await.unwrap();
    assert_eq!(count(&client, "done").await, 1);
    let tenant = rowhouse_kernel::TenantId(uuid::Uuid::from_u128(7));
    let filter = admin::Filter { tenant: Some(tenant), ..admin::Filter::default() };
    let listed = admin::list(&client, &filter, 10).await.unwrap();
    let [job] = &listed[..] else { panic!("{listed:?}") };
    let found = admin::find(&client, job["id"].as_i64().unwrap()).await.unwrap().unwrap();
    assert_eq!((&found["tenant"], &found["state"]), (&job["tenant"], &json!("done")));
    assert_eq!(found["tenant"], tenant.0.to_string());
    assert_eq!(admin::stats(&client).await.unwrap()[0]["done_per_minute"], 9);
}
