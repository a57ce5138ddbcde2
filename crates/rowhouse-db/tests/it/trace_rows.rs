//! The rows on which migrations are traced.

use rowhouse_db::migrate::{Migration, copy_rows};
use rowhouse_db::scratch::Scratch;
use rowhouse_db::{connect, prepare_scratch};
use rowhouse_kernel::Secret;
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
    let (from, to) =
        (connect(&live.urls.control).await.unwrap(), connect(&scratch.urls.control).await.unwrap());
    let file = Migration::new("20260101000000_a.sql", "select tenancy.protect('public.todos');");
    let copied = copy_rows(&from, &to, std::slice::from_ref(&file), 10).await.unwrap();
    let told: Vec<_> = copied.iter().map(|c| (c.table.as_str(), c.rows, c.live_rows)).collect();
    assert_eq!(told, [("public.lists", 3, 3), ("public.todos", 10, 30)]);
    let again = copy_rows(&from, &to, std::slice::from_ref(&file), 10).await.unwrap();
    assert!(again.iter().all(|copied| copied.rows == 0 && copied.error.is_some()), "{again:#?}");
}

#[tokio::test]
async fn checks_run_as_the_login_though_a_superuser_owns_the_database() {
    let tables = "set role rowhouse_project;
        create table public.lists (id int primary key);
        create function public.tell(id int) returns boolean language plpgsql as
          $$ begin execute 'reset role'; raise exception 'as %', current_user; end $$;
        create table public.notes (list_id int references public.lists (id));
        create table public.todos (id int constraint todos_id_check check (public.tell(id)));
        reset role";
    let live = TestDatabase::create().await;
    live.migrate(tables).await;
    let rows = "set session_replication_role = replica; insert into public.notes values (7);
        alter table public.todos drop constraint todos_id_check; insert into public.todos values (1);
        create table public.seen (id int); alter table public.seen rename to old; create view public.seen as select 1 as id";
    live.superuser().await.batch_execute(rows).await.unwrap();
    let owner = Secret::new(live.urls.control.expose().replacen("//rowhouse:", "//postgres:", 1));
    let scratch = Scratch::create(&owner, &live.urls.control).await.unwrap();
    prepare_scratch(&scratch.connect_as_owner().await.unwrap()).await.unwrap();
    let made = scratch.connect().await.unwrap();
    made.batch_execute(tables).await.unwrap();
    made.batch_execute("set role rowhouse_project; create table public.seen (id int)").await.unwrap();
    let file = [Migration::new("20260101000000_a.sql", "select from notes, todos, seen;")];
    let (from, to) = (connect(&live.urls.control).await.unwrap(), scratch.connect_for_rows().await.unwrap());
    let copied = copy_rows(&from, &to, &file, 1000).await.unwrap();
    let told: Vec<_> = copied.iter().map(|c| (c.table.as_str(), c.rows)).collect();
    // The note's list is missing, and a view is no table.
    assert_eq!(told, [("public.lists", 0), ("public.notes", 1), ("public.todos", 0)], "{copied:#?}");
    assert!(copied[2].error.as_deref().is_some_and(|error| error.contains("as rowhouse")), "{copied:#?}");
    let (superuser, to) = (connect(&owner).await.unwrap(), scratch.connect_for_rows().await.unwrap());
    let refused = copy_rows(&superuser, &to, &file, 1000).await.unwrap();
    let is_named = |error: &str| error.contains("superuser");
    assert!(refused.iter().all(|copied| copied.error.as_deref().is_some_and(is_named)), "{refused:#?}");
    scratch.remove().await.unwrap();
}
