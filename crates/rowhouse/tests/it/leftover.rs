//! Session state that a request leaves never reaches the next caller.

use reqwest::StatusCode;
use rowhouse_db::DbSettings;
use rowhouse_testkit::TestDatabase;
use serde_json::json;

use crate::support::{TestApp, settings};

/// What a function leaves, and a query by which the next caller would see it; 0 is nothing.
const KINDS: [(&str, &str, &str); 8] = [
    (
        "cursor WITH HOLD",
        "declare held cursor with hold for select title from public.todos",
        "select count(*) from pg_cursors where name <> ''",
    ),
    (
        "temporary table",
        "create temp table kept as select title from public.todos",
        "select count(*) from pg_class where relname = 'kept'",
    ),
    (
        "setting",
        "select set_config('response.headers', '[{\"x-note\": \"mine\"}]', false)",
        "select coalesce(length(current_setting('response.headers', true)), 0)",
    ),
    (
        "read-only session",
        "set default_transaction_read_only = on",
        "select (current_setting('default_transaction_read_only') = 'on')::int",
    ),
    (
        "prepared statement",
        "prepare kept as select 1",
        "select count(*) from pg_prepared_statements where from_sql",
    ),
    (
        "advisory lock",
        "select pg_advisory_lock(7)",
        "select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()",
    ),
    ("channel", "listen kept", "select count(*) from pg_listening_channels()"),
    ("value of a sequence", "select nextval('public.numbers')", "select public.last_number()"),
];

const SCHEMA: &str =
    "create table public.todos (title text); grant all on public.todos to anon, authenticated;
    create sequence public.numbers; grant all on public.numbers to public;
    create function public.leave(sql text) returns void language plpgsql as $$ begin execute sql; end $$;
    create function public.leave_and_fail(sql text) returns void language plpgsql as $$
      begin execute sql; raise exception 'failed'; end $$;
    create function public.find(sql text) returns text language plpgsql as $$
      declare found text; begin execute sql into found; return found; end $$;
    create function public.last_number() returns text language plpgsql as $$
      begin return lastval(); exception when object_not_in_prerequisite_state then return 0; end $$;";

#[tokio::test]
async fn no_session_state_reaches_the_next_caller() {
    let db = TestDatabase::create().await;
    db.migrate(SCHEMA).await;
    let admin = db.superuser().await;
    let name: String = admin.query_one("select current_database()", &[]).await.unwrap().get(0);
    admin.batch_execute(&format!("grant temporary on database \"{name}\" to public")).await.unwrap();
    let mut settings = settings();
    // All callers share one session.
    settings.update(|db: &mut DbSettings| db.data_pool_size = 1);
    let app = TestApp::start_on(db, settings).await;
    let (one, other) = (app.sign_up("one@example.com").await, app.sign_up("other@example.com").await);
    for (kind, leave, find) in KINDS {
        for (function, status) in
            [("leave", StatusCode::NO_CONTENT), ("leave_and_fail", StatusCode::BAD_REQUEST)]
        {
            for next in [&other.token, &app.anon_key] {
                let path = format!("/rest/v1/rpc/{function}");
                let left = app.post(&one.token, &path, json!({ "sql": leave })).await;
                assert_eq!(left.status, status, "{kind}: {}", left.text);
                let found = app.post(next, "/rest/v1/rpc/find", json!({ "sql": find })).await;
                assert_eq!(
                    (found.status, found.text.as_str()),
                    (StatusCode::OK, "\"0\""),
                    "{kind}, {function}"
                );
                assert!(!found.headers.contains_key("x-note"));
                let written = app.post(next, "/rest/v1/todos", json!({ "title": "of the next" })).await;
                assert_eq!(written.status, StatusCode::CREATED, "{kind}: {}", written.text);
            }
        }
    }
}
