//! The rows on which migrations are traced.

use rowhouse_db::connect;
use rowhouse_db::migrate::{Migration, copy_rows};
use rowhouse_testkit::TestDatabase;

const TABLES: &str = "create table public.lists (id bigint generated always as identity primary key, name text);
    create table public.todos (id bigint generated always as identity primary key, list_id bigint references public.lists (id),
      title text, length int generated always as (length(title)) stored);
    create table public.other (id bigint);
    create index on public.todos (list_id);
    select tenancy.protect('public.lists'); select tenancy.protect('public.todos')";
const ROWS: &str = "insert into public.lists (name, tenant_id) select 'list ' || n, gen_random_uuid() from generate_series(1, 3) n;
    insert into public.todos (list_id, title, tenant_id) select l.id, 'todo', l.tenant_id from public.lists l, generate_series(1, 10);
    analyze public.todos, public.lists";

async fn pair() -> (TestDatabase, TestDatabase) {
    let (live, scratch) = (TestDatabase::create().await, TestDatabase::create().await);
    live.migrate(TABLES).await;
    scratch.migrate(TABLES).await;
    live.superuser().await.batch_execute(ROWS).await.unwrap();
    (live, scratch)
}

#[tokio::test]
async fn login_that_is_no_superuser_copies_tables_with_those_that_they_refer_to() {
    let (live, scratch) = pair().await;
    let (from, to) =
        (connect(&live.urls.control).await.unwrap(), connect(&scratch.urls.control).await.unwrap());
    let file = Migration::new("20260101000000_a.sql", "alter table todos add column note text;");
    let copied = copy_rows(&from, &to, std::slice::from_ref(&file), 1000).await.unwrap();
    let told: Vec<_> =
        copied.iter().map(|c| (c.table.as_str(), c.rows, c.live_rows, c.error.as_deref())).collect();
    assert_eq!(told, [("public.lists", 3, 3, None), ("public.todos", 30, 30, None)]);
    // The next row gets an id of its own.
    let next = "with made as (insert into public.todos (title, tenant_id) values ('next', gen_random_uuid()) returning id) select id from made";
    let next: i64 = scratch.superuser().await.query_one(next, &[]).await.unwrap().get(0);
    assert_eq!(next, 31);
}

#[tokio::test]
async fn part_of_the_rows_is_copied_where_there_are_more_and_what_fails_is_named() {
    let (live, scratch) = pair().await;
    let (from, to) = (live.superuser().await, scratch.superuser().await);
    let file = Migration::new("20260101000000_a.sql", "select tenancy.protect('public.todos');");
    let copied = copy_rows(&from, &to, std::slice::from_ref(&file), 10).await.unwrap();
    let told: Vec<_> = copied.iter().map(|c| (c.table.as_str(), c.rows, c.live_rows)).collect();
    assert_eq!(told, [("public.lists", 3, 3), ("public.todos", 10, 30)]);
    let again = copy_rows(&from, &to, std::slice::from_ref(&file), 10).await.unwrap();
    assert!(again.iter().all(|copied| copied.rows == 0 && copied.error.is_some()), "{again:#?}");
}
