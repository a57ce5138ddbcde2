//! What the runner keeps about a run, and how it goes on after one that failed.

use rowhouse_db::migrate::{Linted, Migration, Progress, RunNote, apply_project, apply_project_noted, plan};
use rowhouse_testkit::{TestDatabase, platform_migrations, until_true};
use tokio_postgres::Client;

fn project(files: &[(&str, &str)]) -> Vec<Migration> {
    files.iter().map(|(name, sql)| Migration::new(*name, sql)).collect()
}

async fn client(db: &TestDatabase) -> Client {
    let (client, connection) =
        tokio_postgres::connect(db.urls.control.expose(), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

#[tokio::test]
async fn ledger_keeps_who_when_how_long_and_what_lint_said() {
    let db = TestDatabase::create().await;
    let client = client(&db).await;
    let files = project(&[("20260101000000_a.sql", "create table public.a ();")]);
    let note = RunNote { by: "ada".to_owned(), linted: Linted::Skipped };
    apply_project_noted(&client, &files, &note).await.unwrap();
    let plan = plan(&client, &platform_migrations(), &files).await.unwrap();
    let record = plan.project[0].record.clone().unwrap();
    assert_eq!((record.applied_by.as_str(), record.lint.as_deref()), ("rowhouse ada", Some("skipped")));
    assert!(record.millis.is_some() && record.applied_at.ends_with('Z'), "{record:?}");
}

#[tokio::test]
async fn index_that_a_failed_run_left_invalid_is_made_again() {
    let db = TestDatabase::create().await;
    let client = client(&db).await;
    let table =
        ("20260101000000_a.sql", "create table public.a (n int); insert into public.a values (1), (1);");
    apply_project(&client, &project(&[table])).await.unwrap();
    let index = "-- rowhouse: no-transaction\ncreate unique index concurrently if not exists a_n_key on public.a (n);";
    let files = project(&[table, ("20260102000000_b.sql", index)]);
    apply_project(&client, &files).await.unwrap_err();
    until_true(
        &client,
        "exists (select from pg_index where indexrelid = 'public.a_n_key'::regclass and not indisvalid)",
    )
    .await;
    db.migrate("delete from public.a where ctid = (select min(ctid) from public.a)").await;
    apply_project(&client, &files).await.unwrap();
    let sql = "select indisvalid from pg_index where indexrelid = 'public.a_n_key'::regclass";
    assert!(client.query_one(sql, &[]).await.unwrap().get::<_, bool>(0), "without repair it stays invalid");
}

#[tokio::test]
async fn statement_gives_up_after_the_budget_of_its_file_and_the_file_is_tried_again() {
    let db = TestDatabase::create().await;
    let client = client(&db).await;
    let table = ("20260101000000_a.sql", "create table public.a (n int);");
    apply_project(&client, &project(&[table])).await.unwrap();
    let holder = db.superuser().await;
    holder.batch_execute("begin; lock table public.a in access share mode").await.unwrap();
    let change = "-- rowhouse: lock-budget 50ms\nalter table public.a add column m int;";
    let files = project(&[table, ("20260102000000_b.sql", change)]);
    let seen = db.superuser().await;
    let runner = tokio::spawn(async move { apply_project(&client, &files).await.map(|steps| steps.len()) });
    // Waiting, given up, and waiting again: the holder lets go only after the first attempt has ended.
    until_true(&seen, "exists (select from pg_stat_activity where wait_event_type = 'Lock' and query like 'alter table public.a%')").await;
    until_true(
        &seen,
        "exists (select from pg_stat_activity where state = 'idle' and query like 'select random()%')",
    )
    .await;
    holder.batch_execute("commit").await.unwrap();
    assert_eq!(runner.await.unwrap().unwrap(), 1);
}

#[tokio::test]
async fn file_that_becomes_another_role_is_rolled_back() {
    let db = TestDatabase::create().await;
    let client = client(&db).await;
    for change in [
        "reset role;",
        "set local \"role\" = rowhouse;",
        "select set_config(lower('ROLE'), 'rowhouse', false);",
        "do $$ begin execute 're' || 'set role'; end $$;",
    ] {
        for head in ["", "-- rowhouse: no-transaction\n"] {
            // Local to a transaction that there is not.
            if !head.is_empty() && change.contains("local") {
                continue;
            }
            let sql = format!("{head}{change}\ncreate table public.a ();");
            let error =
                apply_project(&client, &project(&[("20260101000000_a.sql", &sql)])).await.unwrap_err();
            let why = error.to_string();
            assert!(why.contains("has changed the role") && why.contains("operator"), "{sql}: {why}");
            let made = "select to_regclass('public.a') is not null, current_user = session_user";
            let row = client.query_one(made, &[]).await.unwrap();
            assert_eq!((row.get(0), row.get(1)), (false, true), "{sql}");
        }
    }
    let good = project(&[("20260101000000_a.sql", "create table public.a ();")]);
    assert_eq!(apply_project(&client, &good).await.unwrap().len(), 1);
}

#[tokio::test]
async fn progress_of_a_long_statement_is_found() {
    let db = TestDatabase::create().await;
    let (runner, watcher, holder) = (client(&db).await, db.superuser().await, db.superuser().await);
    holder.batch_execute("select pg_advisory_lock(7)").await.unwrap();
    let pid: i32 = runner.query_one("select pg_backend_pid()", &[]).await.unwrap().get(0);
    assert_eq!(Progress::find(&watcher, pid).await.unwrap(), None);
    let files = project(&[(
        "20260101000000_a.sql",
        "create table public.a (n int); insert into public.a select generate_series(1, 10);
         create function public.held(n int) returns int language plpgsql immutable as
           $$ begin perform pg_catalog.pg_advisory_lock(7); return n; end $$;
         create index a_held_idx on public.a (public.held(n));",
    )]);
    let running = tokio::spawn(async move { apply_project(&runner, &files).await.map(|steps| steps.len()) });
    let is_building = format!("exists (select from pg_stat_progress_create_index where pid = {pid})");
    until_true(&watcher, &is_building).await;
    let progress = Progress::find(&watcher, pid).await.unwrap().unwrap();
    assert!(progress.phase.starts_with("building an index, "), "{progress:?}");
    holder.batch_execute("select pg_advisory_unlock(7)").await.unwrap();
    assert_eq!(running.await.unwrap().unwrap(), 1);
}

#[tokio::test]
async fn backfill_runs_in_batches_and_is_taken_up_where_it_was() {
    let db = TestDatabase::create().await;
    let client = client(&db).await;
    let table = (
        "20260101000000_a.sql",
        "create table public.a (id int primary key, n int); insert into public.a (id) select generate_series(1, 25);",
    );
    let batch = "update public.a set n = 100 / (id - {bad}) where id in (select id from public.a where n is null order by id limit 10);";
    let file = |bad: &str| {
        format!("-- rowhouse: phase backfill\n-- rowhouse: repeat 1ms\n{}", batch.replace("{bad}", bad))
    };
    let failing = project(&[table, ("20260102000000_b.sql", &file("15"))]);
    apply_project(&client, &failing).await.unwrap_err();
    let filled = "select count(n), count(distinct xmin::text) filter (where n is not null) from public.a";
    let row = client.query_one(filled, &[]).await.unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (10, 1), "the first batch stays");
    let good = project(&[table, ("20260102000000_b.sql", &file("1000"))]);
    assert_eq!(apply_project(&client, &good).await.unwrap().len(), 1);
    let row = client.query_one(filled, &[]).await.unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (25, 3), "two batches more");
}
