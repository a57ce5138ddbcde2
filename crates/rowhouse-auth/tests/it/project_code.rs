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

/// Defers what follows to the commit, however often it is brought forward.
const REDEFER: &str = "create table public.later (n int); \
    create function public.begin_later() returns trigger language plpgsql as \
    $$ begin set constraints all deferred; insert into public.later values (9); return null; end $$; \
    create constraint trigger redefer after insert or delete on public.profiles deferrable initially deferred \
      for each row execute function public.begin_later(); \
    create function public.late() returns trigger language plpgsql as \
    $$ begin insert into public.seen values (tg_name, current_user); set constraints all deferred; \
      if new.n > 0 then insert into public.later values (new.n - 1); end if; return null; end $$; \
    create constraint trigger late after insert on public.later deferrable initially deferred \
      for each row execute function public.late()";

#[tokio::test]
async fn trigger_that_is_deferred_to_the_commit_refuses_writes_of_accounts() {
    let (app, client) = world(PROFILES).await;
    let person = app.sign_up("a@example.com").await;
    let redefer = format!("set role rowhouse_project; {REDEFER}; reset role; delete from public.seen");
    client.batch_execute(&redefer).await.unwrap();
    let body = serde_json::json!({ "email": "b@example.com", "password": "long enough 1" });
    let refused = app.post("/signup", body).await;
    assert_eq!(refused.status.as_u16(), 500);
    let path = format!("/admin/users/{}", person.id());
    let refused = app.send(Method::DELETE, &path, Some(&app.service_key), "").await;
    assert_eq!(refused.status.as_u16(), 500);
    assert_eq!(seen(&client).await, [""; 0]);
    client.batch_execute("drop trigger redefer on public.profiles").await.unwrap();
    app.send(Method::DELETE, &path, Some(&app.service_key), "").await.ok();
    app.sign_up("b@example.com").await;
}

#[tokio::test]
async fn cursor_that_a_trigger_holds_is_not_run_at_commit() {
    let held = "create function public.note_now() returns text language plpgsql as \
          $$ begin insert into public.seen values ('cursor', current_user); return ''; end $$; \
        create function public.hold() returns trigger language plpgsql as $$ begin \
          execute 'declare held cursor with hold for select public.note_now()'; return null; end $$; \
        create trigger hold after insert on auth.users for each row execute function public.hold()";
    let (app, client) = world(held).await;
    app.sign_up("a@example.com").await;
    assert_eq!(seen(&client).await, [""; 0]);
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
