//! `tenancy.protect` and `tenancy.share`.

use rowhouse_db::DbError;
use rowhouse_kernel::Caller;

use crate::support::{Harness, one_connection, service};

const TABLES: &str = "
create table public.lists (id bigint generated always as identity primary key, name text not null);
create table public.todos (id bigint generated always as identity primary key, title text not null, list_id bigint references public.lists (id));
select tenancy.protect('public.lists'), tenancy.protect('public.todos');
grant all on public.lists, public.todos to authenticated;
";

async fn harness() -> (Harness, Caller, Caller) {
    let harness = Harness::new(one_connection()).await;
    harness.db.migrate(TABLES).await;
    let a = harness.sign_up("a@example.com").await;
    let b = harness.sign_up("b@example.com").await;
    (harness, a, b)
}

fn code(result: Result<String, DbError>) -> String {
    result.unwrap_err().code().unwrap_or("none").to_owned()
}

#[tokio::test]
async fn protect_is_idempotent() {
    let (harness, ..) = harness().await;
    let client = harness.db.superuser().await;
    let shape = "select string_agg(x, ',' order by x) from (
        select polname::text || pg_get_expr(polqual, polrelid) from pg_policy where polrelid = 'public.todos'::regclass
        union all select tgname::text from pg_trigger where tgrelid = 'public.todos'::regclass
        union all select indexrelid::regclass::text from pg_index where indrelid = 'public.todos'::regclass
        union all select attname || attnum from pg_attribute where attrelid = 'public.todos'::regclass) as t (x)";
    let before: String = client.query_one(shape, &[]).await.unwrap().get(0);
    harness.db.migrate("select tenancy.protect('public.todos')").await;
    let after: String = client.query_one(shape, &[]).await.unwrap().get(0);
    assert_eq!(before, after);
}

#[tokio::test]
async fn tenants_see_and_change_only_their_own_rows() {
    let (harness, a, b) = harness().await;
    harness.text(&a, "insert into public.todos (title) values ('of a')").await.unwrap();
    harness.text(&b, "insert into public.todos (title) values ('of b')").await.unwrap();
    assert_eq!(harness.text(&b, "select string_agg(title, ',') from public.todos").await.unwrap(), "of b");
    assert_eq!(harness.text(&b, "with w as (update public.todos set title = 'stolen' returning 1) select count(*)::text from w").await.unwrap(), "1");
    assert_eq!(
        harness
            .text(&b, "with w as (delete from public.todos returning 1) select count(*)::text from w")
            .await
            .unwrap(),
        "1"
    );
    assert_eq!(harness.text(&a, "select string_agg(title, ',') from public.todos").await.unwrap(), "of a");
    let foreign =
        format!("insert into public.todos (title, tenant_id) values ('x', '{}')", a.tenant.unwrap());
    assert_eq!(code(harness.text(&b, &foreign).await), "42501");
    let moved = format!("update public.todos set tenant_id = '{}'", b.tenant.unwrap());
    assert_eq!(code(harness.text(&a, &moved).await), "42501");
    assert_eq!(harness.text(&service(), "select count(*)::text from public.todos").await.unwrap(), "1");
}

#[tokio::test]
async fn anonymous_caller_sees_nothing_even_with_a_grant() {
    let (harness, a, _) = harness().await;
    harness.db.migrate("grant select on public.todos to anon").await;
    harness.text(&a, "insert into public.todos (title) values ('of a')").await.unwrap();
    assert_eq!(
        harness.text(&Caller::anonymous(), "select count(*)::text from public.todos").await.unwrap(),
        "0"
    );
}

#[tokio::test]
async fn reference_to_another_tenants_row_reads_like_a_missing_one() {
    let (harness, a, b) = harness().await;
    let list =
        harness.text(&a, "insert into public.lists (name) values ('of a') returning id::text").await.unwrap();
    let foreign = harness
        .text(&b, &format!("insert into public.todos (title, list_id) values ('x', {list})"))
        .await
        .unwrap_err();
    let missing =
        harness.text(&b, "insert into public.todos (title, list_id) values ('x', 987654)").await.unwrap_err();
    assert_eq!((foreign.code(), foreign.constraint()), (missing.code(), missing.constraint()));
    assert_eq!(foreign.code(), Some("23503"));
    assert_eq!(foreign.to_string(), missing.to_string());
    harness
        .text(&a, &format!("insert into public.todos (title, list_id) values ('mine', {list})"))
        .await
        .unwrap();
    let moved = format!("update public.todos set list_id = {list} where title = 'of b'");
    harness.text(&b, "insert into public.todos (title) values ('of b')").await.unwrap();
    assert_eq!(code(harness.text(&b, &moved).await), "23503");
}

#[tokio::test]
async fn foreign_key_added_later_is_checked_after_a_refresh() {
    let (harness, a, b) = harness().await;
    harness
        .db
        .migrate("alter table public.todos add column other_id bigint references public.lists (id)")
        .await;
    let client = harness.db.superuser().await;
    let added: i32 = client.query_one("select tenancy.refresh_references()", &[]).await.unwrap().get(0);
    assert_eq!(added, 1);
    let list =
        harness.text(&a, "insert into public.lists (name) values ('of a') returning id::text").await.unwrap();
    assert_eq!(
        code(
            harness
                .text(&b, &format!("insert into public.todos (title, other_id) values ('x', {list})"))
                .await
        ),
        "23503"
    );
}

#[tokio::test]
async fn redefined_foreign_key_is_checked_again() {
    let (harness, a, b) = harness().await;
    let other = "create table public.boards (id bigint generated always as identity primary key, name text);
        select tenancy.protect('public.boards');
        grant all on public.boards to authenticated;
        alter table public.todos drop constraint todos_list_id_fkey,
          add constraint todos_list_id_fkey foreign key (list_id) references public.boards (id);
        select tenancy.protect('public.todos')";
    harness.db.migrate(other).await;
    let board = harness
        .text(&a, "insert into public.boards (name) values ('of a') returning id::text")
        .await
        .unwrap();
    assert_eq!(
        code(
            harness
                .text(&b, &format!("insert into public.todos (title, list_id) values ('x', {board})"))
                .await
        ),
        "23503"
    );
}

#[tokio::test]
async fn references_with_long_names_are_each_checked() {
    let (harness, a, b) = harness().await;
    let name = "a_constraint_name_that_is_almost_as_long_as_postgres_allows_";
    harness.db.migrate(&format!("alter table public.todos add column x bigint constraint {name}x references public.lists (id), add column y bigint constraint {name}y references public.lists (id); select tenancy.protect('public.todos')")).await;
    let list =
        harness.text(&a, "insert into public.lists (name) values ('of a') returning id::text").await.unwrap();
    for column in ["x", "y"] {
        assert_eq!(
            code(
                harness
                    .text(&b, &format!("insert into public.todos (title, {column}) values ('x', {list})"))
                    .await
            ),
            "23503",
            "{column}"
        );
    }
}

#[tokio::test]
async fn check_is_dropped_with_its_reference() {
    let (harness, a, _) = harness().await;
    harness.db.migrate("alter table public.todos drop column list_id; drop table public.lists; select tenancy.refresh_references()").await;
    assert_eq!(
        harness
            .text(&a, "insert into public.todos (title) values ('still works') returning title")
            .await
            .unwrap(),
        "still works"
    );
}

#[tokio::test]
async fn project_cannot_use_the_platform_s_rights_through_the_check() {
    let (harness, a, _) = harness().await;
    harness.db.migrate("create trigger evil after insert on public.todos for each row execute function tenancy.refuse_foreign_reference('x', 'x', 'with w as (update auth.users set email = ''stolen'' returning id) select id from w')").await;
    assert_eq!(code(harness.text(&a, "insert into public.todos (title) values ('x')").await), "42501");
}

#[tokio::test]
async fn table_with_rows_is_refused_with_the_remedy() {
    let harness = Harness::new(one_connection()).await;
    harness.db.migrate("create table public.old (n int); insert into public.old values (1)").await;
    let client = harness.db.superuser().await;
    let error = client.execute("select tenancy.protect('public.old')", &[]).await.unwrap_err();
    assert!(error.as_db_error().unwrap().hint().unwrap().contains("call tenancy.protect again"));
}

#[tokio::test]
async fn backfill_in_a_migration_sees_every_row() {
    let (harness, a, b) = harness().await;
    harness.text(&a, "insert into public.todos (title) values ('of a')").await.unwrap();
    harness.text(&b, "insert into public.todos (title) values ('of b')").await.unwrap();
    harness.db.migrate("update public.todos set title = upper(title)").await;
    assert_eq!(harness.text(&b, "select title from public.todos").await.unwrap(), "OF B");
}

#[tokio::test]
async fn shared_table_is_read_only_for_tenants() {
    let (harness, a, _) = harness().await;
    harness.db.migrate("create table public.countries (code text primary key); insert into public.countries values ('NL'); select tenancy.share('public.countries'), tenancy.share('public.countries'); grant all on public.countries to authenticated").await;
    assert_eq!(harness.text(&a, "select code from public.countries").await.unwrap(), "NL");
    assert_eq!(code(harness.text(&a, "insert into public.countries values ('DE')").await), "42501");
    assert_eq!(
        harness
            .text(&a, "with w as (delete from public.countries returning 1) select count(*)::text from w")
            .await
            .unwrap(),
        "0"
    );
}

/// A view reads with its owner's rights, and the owner's migrations see every row.
#[tokio::test]
async fn view_over_a_tenant_table_shows_each_tenant_its_own_rows() {
    let (harness, a, b) = harness().await;
    let view = "create view public.titles as select id, title, tenant_id from public.todos;
        grant all on public.titles to authenticated, anon";
    harness.db.migrate(view).await;
    harness.text(&a, "insert into public.todos (title) values ('of a')").await.unwrap();
    harness.text(&b, "insert into public.titles (title) values ('of b')").await.unwrap();
    let seen = "select string_agg(title, ',' order by title) from public.titles";
    assert_eq!(harness.text(&a, seen).await.unwrap(), "of a");
    assert_eq!(harness.text(&b, seen).await.unwrap(), "of b");
    assert_eq!(harness.text(&Caller::anonymous(), seen).await.unwrap(), "");
    assert_eq!(harness.text(&service(), seen).await.unwrap(), "of a,of b");
    let stolen = "with w as (update public.titles set title = 'stolen' where title = 'of a' returning 1) select count(*)::text from w";
    assert_eq!(harness.text(&b, stolen).await.unwrap(), "0");
    let moved = format!("update public.titles set tenant_id = '{}'", a.tenant.unwrap());
    assert_eq!(code(harness.text(&b, &moved).await), "42501");
}
