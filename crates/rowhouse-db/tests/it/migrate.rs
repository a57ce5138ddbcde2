//! The migration runner: once, in order, unchanged.

use rowhouse_db::migrate::{MigrateError, Migration, apply_platform, apply_project, apply_seed};
use rowhouse_testkit::TestDatabase;

use crate::support::platform_migrations;

fn project(files: &[(&str, &str)]) -> Vec<Migration> {
    files.iter().map(|(name, sql)| Migration { name: (*name).to_owned(), sql: (*sql).to_owned() }).collect()
}

async fn client(db: &TestDatabase) -> tokio_postgres::Client {
    let (client, connection) =
        tokio_postgres::connect(db.urls.control.expose(), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

#[tokio::test]
async fn any_number_of_starters_apply_each_migration_once() {
    let db = TestDatabase::create(platform_migrations()).await;
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
    let db = TestDatabase::create(platform_migrations()).await;
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
async fn failed_migration_names_file_and_line_and_leaves_nothing() {
    let db = TestDatabase::create(platform_migrations()).await;
    let client = client(&db).await;
    let files = project(&[("20260101000000_a.sql", "create table public.a ();\nselect no_such_column;\n")]);
    let error = apply_project(&client, &files).await.unwrap_err().to_string();
    assert!(error.contains("20260101000000_a.sql") && error.contains("line 2"), "{error}");
    let fixed = project(&[("20260101000000_a.sql", "create table public.a ();")]);
    assert_eq!(apply_project(&client, &fixed).await.unwrap().len(), 1);
}

#[tokio::test]
async fn project_migrations_own_what_they_create_and_cannot_touch_the_platform() {
    let db = TestDatabase::create(platform_migrations()).await;
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
    let db = TestDatabase::create(platform_migrations()).await;
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
    let db = TestDatabase::create(platform_migrations()).await;
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
    let db = TestDatabase::create(platform_migrations()).await;
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
