//! The migration runner: once, in order, unchanged.

use rowhouse_db::DbError;
use rowhouse_db::migrate::{
    MigrateError, Migration, apply_platform, apply_project, apply_seed, exclusive, plan, watched,
};
use rowhouse_testkit::{TestDatabase, platform_migrations, until_true};

fn project(files: &[(&str, &str)]) -> Vec<Migration> {
    files.iter().map(|(name, sql)| Migration::new(*name, sql)).collect()
}

async fn client(db: &TestDatabase) -> tokio_postgres::Client {
    let (client, connection) =
        tokio_postgres::connect(db.urls.control.expose(), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

#[tokio::test]
async fn concurrent_starters_apply_each_migration_once() {
    let db = TestDatabase::create().await;
    let files = project(&[
        ("20260101000000_a.sql", "create table public.a ()"),
        ("20260102000000_b.sql", "create table public.b ()"),
    ]);
    let starters = (0..8).map(|_| {
        let (db, files) = (db.clone(), files.clone());
        tokio::spawn(async move { apply_project(&client(&db).await, &files).await.unwrap().len() })
    });
    let mut applied = 0;
    for starter in starters.collect::<Vec<_>>() {
        applied += starter.await.unwrap();
    }
    assert_eq!(applied, 2);
}

#[tokio::test]
async fn changed_missing_and_late_migrations_are_refused_by_name() {
    let db = TestDatabase::create().await;
    let client = client(&db).await;
    let first = project(&[("20260102000000_b.sql", "create table public.b ()")]);
    apply_project(&client, &first).await.unwrap();
    let changed = project(&[("20260102000000_b.sql", "create table public.c ()")]);
    assert!(
        matches!(apply_project(&client, &changed).await, Err(MigrateError::Drift { name, .. }) if name == "20260102000000_b.sql")
    );
    assert!(
        matches!(apply_project(&client, &[]).await, Err(MigrateError::Missing(name)) if name == "20260102000000_b.sql")
    );
    let late = project(&[("20260101000000_a.sql", ""), ("20260102000000_b.sql", "create table public.b ()")]);
    assert!(matches!(apply_project(&client, &late).await, Err(MigrateError::OutOfOrder { .. })));
    let unknown = &platform_migrations()[1..];
    assert!(matches!(apply_platform(&client, unknown).await, Err(MigrateError::Newer(_))));
}

#[tokio::test]
async fn failed_migration_names_file_and_line_and_is_rolled_back() {
    let db = TestDatabase::create().await;
    let client = client(&db).await;
    let files = project(&[("20260101000000_a.sql", "create table public.a ();\nselect no_such_column;\n")]);
    let error = apply_project(&client, &files).await.unwrap_err().to_string();
    assert!(error.contains("20260101000000_a.sql") && error.contains("line 2"), "{error}");
    let fixed = project(&[("20260101000000_a.sql", "create table public.a ();")]);
    assert_eq!(apply_project(&client, &fixed).await.unwrap().len(), 1);
}

#[tokio::test]
async fn project_migrations_own_what_they_create_and_cannot_touch_the_platform() {
    let db = TestDatabase::create().await;
    let client = client(&db).await;
    apply_project(&client, &project(&[("20260101000000_a.sql", "create table public.a ();")])).await.unwrap();
    let owner: String = client
        .query_one("select relowner::regrole::text from pg_class where oid = 'public.a'::regclass", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(owner, "rowhouse_project");
    let attack = project(&[
        ("20260101000000_a.sql", "create table public.a ();"),
        ("20260102000000_b.sql", "delete from auth.users"),
    ]);
    let error = apply_project(&client, &attack).await.unwrap_err().to_string();
    assert!(error.contains("permission denied"), "{error}");
}

#[tokio::test]
async fn migration_may_run_outside_a_transaction() {
    let db = TestDatabase::create().await;
    let client = client(&db).await;
    let files = project(&[
        ("20260101000000_a.sql", "create table public.a (n int);"),
        (
            "20260102000000_b.sql",
            "-- rowhouse: no-transaction\ncreate index concurrently a_n_idx on public.a (n);",
        ),
    ]);
    assert_eq!(apply_project(&client, &files).await.unwrap().len(), 2);
}

#[tokio::test]
async fn seed_is_loaded_once() {
    let db = TestDatabase::create().await;
    let client = client(&db).await;
    apply_project(&client, &project(&[("20260101000000_a.sql", "create table public.a (n int);")]))
        .await
        .unwrap();
    let seed = || Some("insert into public.a values (1)".to_owned());
    assert!(apply_seed(&client, seed()).await.unwrap());
    assert!(!apply_seed(&client, seed()).await.unwrap());
    let rows: i64 =
        db.superuser().await.query_one("select count(*) from public.a", &[]).await.unwrap().get(0);
    assert_eq!(rows, 1);
}

/// As dumps do at their top.
#[tokio::test]
async fn session_settings_of_a_migration_end_with_it() {
    let db = TestDatabase::create().await;
    let client = client(&db).await;
    let files = project(&[
        (
            "20260101000000_a.sql",
            "select pg_catalog.set_config('search_path', '', false); create table public.a ();",
        ),
        ("20260102000000_b.sql", "create table b ();"),
    ]);
    assert_eq!(apply_project(&client, &files).await.unwrap().len(), 2);
}

#[tokio::test]
async fn failure_carries_detail_hint_line_and_statement_and_what_was_applied_before() {
    let db = TestDatabase::create().await;
    let client = client(&db).await;
    let files = project(&[
        ("20260101000000_a.sql", "create table public.a (id int);"),
        (
            "20260102000000_b.sql",
            "insert into public.a values (1), (1);\n\ncreate unique index a_id on public.a (id);\nselect 1",
        ),
    ]);
    let error = apply_project(&client, &files).await.unwrap_err().to_string();
    let lines: Vec<&str> = error.lines().collect();
    assert_eq!(
        lines,
        [
            "migration 20260102000000_b.sql failed at line 3: could not create unique index \"a_id\" (23505)",
            "DETAIL: Key (id)=(1) is duplicated.",
            "STATEMENT: create unique index a_id on public.a (id)",
            "Nothing of this file stays; applied before it: 20260101000000_a.sql",
        ]
    );
    let raised = project(&[
        ("20260101000000_a.sql", "create table public.a (id int);"),
        ("20260102000000_b.sql", "do $$ begin raise 'no' using hint = 'a hint'; end $$;"),
    ]);
    let error = apply_project(&client, &raised).await.unwrap_err().to_string();
    assert!(error.contains("HINT: a hint") && error.contains("CONTEXT: PL/pgSQL"), "{error}");
}

#[tokio::test]
async fn byte_order_marks_and_line_ends_do_not_change_the_checksum() {
    let db = TestDatabase::create().await;
    let client = client(&db).await;
    let unix = project(&[("20260101000000_a.sql", "create table public.a (\nid int);\n")]);
    let windows = project(&[("20260101000000_a.sql", "\u{feff}create table public.a (\r\nid int);\r\n")]);
    assert_eq!(apply_project(&client, &windows).await.unwrap().len(), 1);
    assert_eq!(apply_project(&client, &unix).await.unwrap().len(), 0);
}

#[tokio::test]
async fn statements_outside_a_transaction_run_one_by_one_and_stay() {
    let db = TestDatabase::create().await;
    let client = client(&db).await;
    let files = project(&[
        ("20260101000000_a.sql", "create table public.a (n int);"),
        (
            "20260102000000_b.sql",
            "-- rowhouse: no-transaction\ncreate index concurrently a1 on public.a (n);\ncreate index concurrently a2 on public.a (n);\nselect 1/0",
        ),
    ]);
    let error = apply_project(&client, &files).await.unwrap_err().to_string();
    assert!(
        error.contains("line 4") && error.contains("what its statements before this one did stays"),
        "{error}"
    );
    let made = "select count(*) from pg_index where indrelid = 'public.a'::regclass and indisvalid";
    assert_eq!(client.query_one(made, &[]).await.unwrap().get::<_, i64>(0), 2);
}

#[tokio::test]
async fn transactions_in_a_file_and_unknown_directives_are_refused_before_anything_is_done() {
    let db = TestDatabase::create().await;
    let client = client(&db).await;
    for bad in [
        "select 1;\ncommit",
        "-- a comment\n-- rowhouse: no-transactions\nselect 1",
        "-- rowhouse: extension a;b",
    ] {
        let files =
            project(&[("20260101000000_a.sql", "create table public.a ()"), ("20260102000000_b.sql", bad)]);
        for error in [
            plan(&client, &platform_migrations(), &files).await.map(drop).unwrap_err(),
            apply_project(&client, &files).await.map(drop).unwrap_err(),
        ] {
            assert!(
                matches!(&error, MigrateError::Unrunnable { name, .. } if name == "20260102000000_b.sql"),
                "{error}"
            );
        }
    }
    let there = "select to_regclass('public.a') is not null";
    assert!(!client.query_one(there, &[]).await.unwrap().get::<_, bool>(0));
}

#[tokio::test]
async fn plan_makes_the_checks_of_applying_and_changes_nothing() {
    let db = TestDatabase::create().await;
    let superuser = db.superuser().await;
    let client = client(&db).await;
    let files = project(&[("20260101000000_a.sql", "create table public.a ()")]);
    let last = platform_migrations().pop().unwrap().name;
    superuser.execute("delete from rowhouse.migrations where name = $1", &[&last]).await.unwrap();
    let planned = plan(&client, &platform_migrations(), &files).await.unwrap();
    assert_eq!(planned.pending().collect::<Vec<_>>(), [last.as_str(), "20260101000000_a.sql"]);
    superuser.batch_execute("drop schema rowhouse cascade").await.unwrap();
    let planned = plan(&client, &platform_migrations(), &files).await.unwrap();
    assert_eq!(planned.pending().count(), platform_migrations().len() + 1);
    let there = "select exists (select from pg_namespace where nspname = 'rowhouse')";
    assert!(!client.query_one(there, &[]).await.unwrap().get::<_, bool>(0));
}

#[tokio::test]
async fn changed_migration_is_refused_by_the_plan_too() {
    let db = TestDatabase::create().await;
    let client = client(&db).await;
    apply_project(&client, &project(&[("20260101000000_a.sql", "create table public.a ()")])).await.unwrap();
    let changed = project(&[("20260101000000_a.sql", "create table public.b ()")]);
    let error = plan(&client, &platform_migrations(), &changed).await.unwrap_err();
    assert!(matches!(error, MigrateError::Drift { .. }), "{error}");
}

#[tokio::test]
async fn extension_that_only_a_superuser_may_create_is_asked_for_by_name() {
    let db = TestDatabase::create().await;
    let client = client(&db).await;
    // The extension's objects are found without the name of its schema.
    let sql = "-- rowhouse: extension pg_buffercache\nselect 'pg_buffercache_pages'::regproc";
    let files = project(&[("20260101000000_a.sql", sql)]);
    let planned = plan(&client, &platform_migrations(), &files).await.unwrap();
    assert_eq!(planned.extensions, ["pg_buffercache"]);
    let error = apply_project(&client, &files).await.unwrap_err().to_string();
    assert!(error.contains("create extension if not exists \"pg_buffercache\""), "{error}");
    rowhouse_db::migrate::create_extensions(&db.superuser().await, &files).await.unwrap();
    assert_eq!(apply_project(&client, &files).await.unwrap().len(), 1);
}

#[tokio::test]
async fn migration_without_a_lock_is_retried_and_lets_others_proceed() {
    let db = TestDatabase::create().await;
    let (holder, observer) = (client(&db).await, db.superuser().await);
    let files = project(&[("20260101000000_a.sql", "create table public.a ()")]);
    apply_project(&holder, &files).await.unwrap();
    holder.batch_execute("begin; set role rowhouse_project; lock table public.a").await.unwrap();
    let more = project(&[
        ("20260101000000_a.sql", "create table public.a ()"),
        ("20260102000000_b.sql", "alter table public.a add n int"),
    ]);
    let runner = client(&db).await;
    let applying = tokio::spawn(async move { apply_project(&runner, &more).await.map(|steps| steps.len()) });
    until_true(
        &observer,
        "exists (select from pg_stat_activity where query like 'select random()%' and state = 'idle')",
    )
    .await;
    holder.batch_execute("commit").await.unwrap();
    assert_eq!(applying.await.unwrap().unwrap(), 1);
}

#[tokio::test]
async fn stopping_cancels_the_statement_and_waiting_runners_end() {
    let db = TestDatabase::create().await;
    let (runner, watcher, observer) = (client(&db).await, client(&db).await, db.superuser().await);
    let files = project(&[("20260101000000_a.sql", "create table public.a (); select pg_sleep(600)")]);
    let sleeping =
        "exists (select from pg_stat_activity where query = 'select pg_sleep(600)' and state = 'active')";
    let result =
        watched(&runner, &watcher, until_true(&observer, sleeping), apply_project(&runner, &files)).await;
    assert!(matches!(result, Err(MigrateError::Interrupted)), "{result:?}");
    let left = "to_regclass('public.a') is null and not exists (select from pg_stat_activity where query = 'select pg_sleep(600)' and state = 'active')";
    until_true(&observer, left).await;
    // Another runner holds the lock.
    let (holder, waiting) = (client(&db).await, client(&db).await);
    exclusive(&holder, async || {
        let polls = "exists (select from pg_stat_activity where query like '%pg_locks lock left join%' and pid <> pg_backend_pid())";
        let result =
            watched(&waiting, &watcher, until_true(&observer, polls), apply_project(&waiting, &files)).await;
        assert!(matches!(result, Err(MigrateError::Interrupted)), "{result:?}");
        Ok::<_, DbError>(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn security_definer_functions_are_closed_to_anon_unless_granted_by_name() {
    let db = TestDatabase::create().await;
    let client = client(&db).await;
    let files = project(&[(
        "20260101000000_a.sql",
        "create function public.plain() returns int language sql as 'select 1';
         create function public.closed() returns int language sql security definer as 'select 1';
         create function public.granted() returns int language sql security definer as 'select 1';
         grant execute on function public.granted() to anon;
         create function public.asked_by_policy() returns boolean language sql security definer as 'select true';
         create table public.a (n int);
         alter table public.a enable row level security;
         create policy a_all on public.a using ((select public.asked_by_policy()))",
    )]);
    apply_project(&client, &files).await.unwrap();
    let may = |role: &str, name: &str| {
        let question = format!("select has_function_privilege('{role}', 'public.{name}()', 'execute')");
        let client = &client;
        async move { client.query_one(&question, &[]).await.unwrap().get::<_, bool>(0) }
    };
    for (name, anon) in [("plain", true), ("closed", false), ("granted", true), ("asked_by_policy", true)] {
        assert_eq!((may("anon", name).await, may("authenticated", name).await), (anon, true), "{name}");
    }
}

#[tokio::test]
async fn text_of_the_project_decides_nothing_of_what_follows_and_defers_nothing_to_the_login() {
    let db = TestDatabase::create().await;
    let client = client(&db).await;
    let text = "create table seen (who text); create table t (a int); \
        create function note() returns trigger language plpgsql as \
          $$ begin insert into public.seen values (current_user); return null; end $$; \
        create constraint trigger at_commit after insert on t deferrable initially deferred \
          for each row execute function note(); \
        insert into t values (1); declare c cursor with hold for select 1; \
        set search_path = public; set statement_timeout = '7s'";
    apply_project(&client, &project(&[("20260101000000_a.sql", text)])).await.unwrap();
    let left = "select current_setting('search_path') || ' ' || current_setting('statement_timeout') || ' ' || \
        current_user || ' ' || (select count(*) from pg_cursors where name = 'c')";
    let left: String = client.query_one(left, &[]).await.unwrap().get(0);
    assert_eq!(left, "pg_catalog, pg_temp 0 rowhouse 0");
    let who: String = client.query_one("select who from public.seen", &[]).await.unwrap().get(0);
    assert_eq!(who, "rowhouse_project");
}
