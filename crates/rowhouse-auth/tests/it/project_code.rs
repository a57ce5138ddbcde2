//! Code of the project that runs in transactions of accounts: it has the project's rights, and what it leaves leads no
//! statement of the program to the project.

use http::Method;
use tokio_postgres::Client;

use crate::app::App;

/// Whom a function of the project runs as, said by the function `note`.
const SEEN: &str = "create table public.seen (what text, who text); \
    create function public.note() returns trigger language plpgsql as \
    $$ begin insert into public.seen values (tg_name, current_user); return coalesce(new, old); end $$; ";

/// A table that refers to users and is filled by a trigger on them.
const PROFILES: &str = "create table public.profiles (id uuid primary key references auth.users on delete cascade); \
    create function public.add_profile() returns trigger language plpgsql as \
    $$ begin insert into profiles values (new.id); return new; end $$; \
    create trigger add_profile after insert on auth.users for each row execute function public.add_profile(); \
    create constraint trigger at_commit after insert or delete on public.profiles deferrable initially deferred \
      for each row execute function public.note(); \
    create trigger cascaded after delete on public.profiles for each row execute function public.note(); \
    create trigger before_it before delete on public.profiles for each row execute function public.note()";

async fn seen(client: &Client) -> Vec<String> {
    let sql = "select what || ' ' || who from public.seen order by 1";
    client.query(sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

async fn world(sql: &str) -> (App, Client) {
    let app = App::start().await;
    let schema = "create schema theirs authorization rowhouse_project";
    app.sql().await.batch_execute(schema).await.unwrap();
    app.db.migrate(&format!("{SEEN}{sql}")).await;
    let client = app.sql().await;
    client.query_one("select auth.confine_triggers()", &[]).await.unwrap();
    (app, client)
}

#[tokio::test]
async fn deferred_and_cascaded_triggers_of_its_tables_run_as_the_project() {
    let (app, client) = world(PROFILES).await;
    let person = app.sign_up("a@example.com").await;
    assert_eq!(seen(&client).await, ["at_commit rowhouse_project"]);
    client.batch_execute("delete from public.seen").await.unwrap();
    app.send(Method::DELETE, &format!("/admin/users/{}", person.id()), Some(&app.service_key), "").await.ok();
    let all = ["at_commit rowhouse_project", "before_it rowhouse_project", "cascaded rowhouse_project"];
    assert_eq!(seen(&client).await, all);
    let left = "select (select count(*) from public.profiles) + (select count(*) from auth.deletions)";
    assert_eq!(client.query_one(left, &[]).await.unwrap().get::<_, i64>(0), 0);
}

#[tokio::test]
async fn project_deletes_no_user_that_the_platform_does_not_delete() {
    let (app, client) = world("").await;
    app.sign_up("a@example.com").await;
    let sql = "set role rowhouse_project; select auth.delete_as_project((select id from auth.users limit 1))";
    assert!(client.batch_execute(sql).await.is_err(), "it cannot even read them");
    client.batch_execute("reset role").await.unwrap();
    let id: uuid::Uuid = client.query_one("select id from auth.users", &[]).await.unwrap().get(0);
    client.batch_execute("set role rowhouse_project").await.unwrap();
    let deleted = client.query_one("select auth.delete_as_project($1)", &[&id]).await.unwrap();
    assert!(!deleted.get::<_, bool>(0));
    for sql in ["delete from auth.users", "insert into auth.deletions (user_id) values (gen_random_uuid())"] {
        assert_eq!(client.batch_execute(sql).await.unwrap_err().code().unwrap().code(), "42501", "{sql}");
    }
}

#[tokio::test]
async fn search_path_that_a_trigger_leaves_is_followed_by_no_statement_of_the_program() {
    // What compares ids and texts, and what every statement calls, records who has called it.
    let theirs = "create function theirs.same(uuid, uuid) returns boolean language plpgsql as \
          $$ begin insert into public.seen values ('uuid', current_user); return $1::text = $2::text; end $$; \
        create function theirs.same(text, text) returns boolean language plpgsql as \
          $$ begin insert into public.seen values ('text', current_user); return $1 operator(pg_catalog.=) $2; end $$; \
        create operator theirs.= (function = theirs.same, leftarg = uuid, rightarg = uuid); \
        create operator theirs.= (function = theirs.same, leftarg = text, rightarg = text); \
        create function theirs.now() returns timestamptz language plpgsql as \
          $$ begin insert into public.seen values ('now', current_user); return pg_catalog.now(); end $$; \
        create function public.lead() returns trigger language plpgsql as \
          $$ begin perform pg_catalog.set_config('search_path', 'theirs, pg_catalog', false); return null; end $$; \
        create trigger lead after insert or update or delete on auth.users for each row execute function public.lead(); \
        create trigger zz after insert or update or delete on auth.users for each statement execute function public.lead()";
    let (app, client) = world(theirs).await;
    let person = app.sign_up("a@example.com").await;
    for _ in 0..3 {
        let session = app.sign_in("a@example.com").await;
        app.refresh(session.refresh_token()).await.ok();
        app.get("/user", session.token()).await.ok();
    }
    app.send(Method::DELETE, &format!("/admin/users/{}", person.id()), Some(&app.service_key), "").await.ok();
    app.sign_up("b@example.com").await;
    assert_eq!(seen(&client).await, [""; 0]);
}
