//! Jobs: only the platform may use their tables and functions, and a tenant's job is confined to its tenant.

use reqwest::{Method, StatusCode};
use rowhouse_module::Roles;
use rowhouse_testkit::{LIMIT, TestDatabase, until, until_true};
use serde_json::json;
use tokio_postgres::Client;

use crate::support::{PROJECT, TestApp, settings};

/// Functions of the schema that a role may execute; all others are the platform's.
const OPEN: [(&str, &[&str]); 6] = [
    ("anon", &[]),
    // Calls functions for jobs and completes those; it takes the numbers of a lease, which are random.
    ("authenticator", &["call_for_project", "call_statement", "complete_call"]),
    ("authenticator_service", &[]),
    // The first says how a tenant's job calls what is allowed.
    ("authenticated", &["call_statement", "once"]),
    ("service_role", &["enqueue", "enqueue_many", "enqueue_parent", "once", "set_progress", "write_log"]),
    (
        "rowhouse_project",
        &[
            "allow_function",
            "call_for_project",
            "call_statement",
            "disallow_function",
            "enqueue",
            "enqueue_many",
            "enqueue_parent",
            "is_call",
            "once",
            "set_progress",
            "write_log",
        ],
    ),
];

const PROJECT_FUNCTIONS: &str = "set role rowhouse_project; \
    create table public.notes (id bigint generated always as identity, body text not null); \
    select tenancy.protect('public.notes'); \
    grant select, insert on public.notes to authenticated; \
    create function public.leave_note(body text) returns bigint language sql as \
    'insert into notes (body) values (body); select count(*) from notes'; \
    select jobs.allow_function('public.leave_note'); \
    create function public.ask(body text, tenant uuid) returns bigint \
    language sql security definer set search_path = '' as \
    $$select jobs.enqueue('jobs.sql', jsonb_build_object('function', 'public.leave_note', \
      'args', jsonb_build_object('body', body)), tenant => tenant, unique_key => 'one')$$; \
    reset role; notify pgrst";

async fn start(roles: Roles) -> (TestApp, Client) {
    let db = TestDatabase::create().await;
    db.migrate(PROJECT).await;
    let client = db.superuser().await;
    client.batch_execute(PROJECT_FUNCTIONS).await.unwrap();
    (TestApp::start_as(db, settings(), roles).await, client)
}

async fn names(client: &Client, sql: &str, role: &str) -> Vec<String> {
    client.query(sql, &[&role]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn only_the_owner_can_access_the_tables_of_jobs() {
    let db = TestDatabase::create().await;
    let client = db.superuser().await;
    let open_tables = "select relname::text from pg_class where relnamespace = 'jobs'::regnamespace and relkind = 'r' \
        and not (relrowsecurity and relforcerowsecurity and (select array_agg(polname::text || polroles::text) from pg_policy \
          where polrelid = pg_class.oid) = array['owner_all{' || to_regrole($1)::oid || '}'])";
    assert_eq!(names(&client, open_tables, "rowhouse_owner").await, Vec::<String>::new());
    let reached = "select relname::text from pg_class where relnamespace = 'jobs'::regnamespace \
        and case relkind when 'r' then has_any_column_privilege($1, oid, 'select,insert,update,references') \
          or has_table_privilege($1, oid, 'delete,truncate,trigger') \
        when 'S' then has_sequence_privilege($1, oid, 'usage,select,update') else false end";
    let called = "select distinct proname::text from pg_proc where pronamespace = 'jobs'::regnamespace \
        and has_function_privilege($1, oid, 'execute') order by 1";
    for (role, open) in OPEN {
        assert_eq!(names(&client, reached, role).await, Vec::<String>::new(), "{role}");
        assert_eq!(names(&client, called, role).await, open, "{role}");
    }
    // The control plane may give a function to the callers' role, and has none of that role's rights.
    let rights = "select format('%s %s', pg_has_role('rowhouse', 'authenticated', 'member'), \
        pg_has_role('rowhouse', 'authenticated', 'usage')) where $1 <> ''";
    assert_eq!(names(&client, rights, "-").await, ["t f"]);
}

#[tokio::test]
async fn jobs_are_not_served_by_the_data_api() {
    let (app, client) = start(Roles { api: true, worker: false }).await;
    let user = app.sign_up("a@example.com").await;
    let tables = "select relname::text from pg_class where relnamespace = 'jobs'::regnamespace and relkind = 'r' and $1 <> ''";
    let tables = names(&client, tables, "-").await;
    assert!(tables.len() > 15, "{tables:?}");
    for token in [&app.anon_key, &user.token, &app.service_key] {
        for (method, path) in tables.iter().map(|table| (Method::GET, format!("/rest/v1/{table}"))).chain(
            ["enqueue", "once", "call_statement", "find"]
                .map(|name| (Method::POST, format!("/rest/v1/rpc/{name}"))),
        ) {
            let request = app.request(method, &path).bearer_auth(token).header("apikey", token);
            let request = request.header("accept-profile", "jobs").header("content-profile", "jobs");
            let answer = app.send(request.json(&json!({}))).await;
            assert_eq!(answer.status, StatusCode::NOT_ACCEPTABLE, "{path}: {}", answer.text);
        }
    }
}

#[tokio::test]
async fn job_enqueued_by_a_caller_acts_in_the_callers_tenant_only() {
    let (app, client) = start(Roles::ALL).await;
    let (one, two) = (app.sign_up("one@example.com").await, app.sign_up("two@example.com").await);
    let ask = async |token: &str, tenant: &str| {
        app.post(token, "/rest/v1/rpc/ask", json!({ "body": "mine", "tenant": tenant })).await
    };
    // Each names the other's tenant. Until the schema is read again the function is unknown.
    let known = async || ask(&one.token, &two.tenant).await.status != StatusCode::NOT_FOUND;
    until("the function is known", LIMIT, known).await;
    let asked = ask(&two.token, &one.tenant).await;
    assert_eq!(asked.status, StatusCode::OK, "{}", asked.text);
    until_true(&client, "(select count(distinct tenant_id) from public.notes) = 2").await;
    for user in [&one, &two] {
        let notes = app.get(&user.token, "/rest/v1/notes?select=tenant_id").await.json();
        let notes = notes.as_array().unwrap();
        assert!(
            !notes.is_empty() && notes.iter().all(|note| note["tenant_id"] == user.tenant.as_str()),
            "{notes:?}"
        );
    }
    // A caller without a tenant gets no rights.
    client.batch_execute("grant execute on function public.ask to anon").await.unwrap();
    let refused = ask(&app.anon_key, &one.tenant).await;
    assert_eq!(refused.code(), "42501", "{}", refused.text);
}
