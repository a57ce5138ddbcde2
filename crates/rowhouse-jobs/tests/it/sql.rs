//! Jobs that call functions of the project.

use std::sync::Arc;
use std::time::Duration;

use rowhouse_jobs::sql_handler::SqlHandler;
use rowhouse_jobs::{Handler, Job, JobError, JobKind, JobsSettings, Lease, Registry};
use rowhouse_kernel::TenantId;
use rowhouse_kernel::settings::{GroupSpec, Settings, Sources};
use rowhouse_testkit::until_true;
use serde_json::{Value, json};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::support::{Harness, count, database, functions, idle, text};

const PROJECT: &str = r#"
set role rowhouse_project;
create table public.counters (name text primary key, n bigint not null default 0);
insert into public.counters (name) values ('a');
create table public.notes (id bigint generated always as identity, body text);
select tenancy.protect('public.notes');
grant select, insert on public.notes to authenticated;
create function public.bump(by bigint default 1, name text default 'a') returns bigint language sql as
  'update counters set n = n + bump.by where counters.name = bump.name returning n';
create function public.bump(by bigint, name text, twice boolean) returns bigint language sql as 'select 2';
create function public.note(body text) returns void language sql as 'insert into notes (body) values (note.body)';
create function public.who() returns jsonb language sql as
  $$select jsonb_build_object('user', current_user, 'tenant', auth.tenant_id(), 'notes', (select count(*) from notes))$$;
create function public.types(a int[], b jsonb, c timestamptz, "Odd name" text) returns setof text language sql as
  $$select unnest(array[a::text, b ->> 'x', to_char(c at time zone 'UTC', 'YYYY'), "Odd name"])$$;
create function public.fail() returns void language plpgsql as $$begin update counters set n = 100; raise 'out of paper'; end$$;
create function public.escape(how text) returns text language plpgsql as $$begin execute how; return current_user; end$$;
create function public.large() returns text language sql as $$select repeat('x', 70000)$$;
create function public.sleeps() returns void language sql as $$select pg_advisory_lock(77)$$;
create function public.variadic(variadic a int[]) returns int language sql as 'select 1';
create function public.unnamed(int) returns int language sql as 'select 1';
create function public.secret() returns int language sql as 'select 1';
select jobs.allow_function(f) from unnest(array['public.bump(bigint,text)', 'public.bump(bigint,text,boolean)', 'public.note',
  'public.who', 'public.types', 'public.fail', 'public.escape', 'public.large', 'public.sleeps']) f;
reset role;
"#;

/// A project with these functions.
async fn harness() -> Harness {
    let db = database().await;
    let client = db.superuser().await;
    client.batch_execute(PROJECT).await.unwrap();
    client.batch_execute("insert into jobs.kinds (name, handler) values ('jobs.sql', 'sql')").await.unwrap();
    let mut registry = Registry::new();
    let kind =
        JobKind { backoff: Duration::from_millis(1), growth: 100, max_attempts: 2, ..SqlHandler::kind() };
    registry.add(kind, functions(&db));
    Harness { db, client, registry }
}

async fn call_function(harness: &Harness, payload: Value, tenant: Option<Uuid>) -> Result<Value, String> {
    harness.call("jobs.sql", payload, tenant).await
}

async fn counter(harness: &Harness) -> i64 {
    harness.client.query_one("select n from public.counters", &[]).await.unwrap().get(0)
}

fn bump(args: impl Into<Value>) -> Value {
    let args: Value = args.into();
    json!({ "function": "public.bump", "args": args })
}

#[tokio::test]
async fn function_is_called_by_name_and_its_result_stored() {
    let harness = harness().await;
    assert_eq!(call_function(&harness, bump(json!({ "by": 2 })), None).await, Ok(json!(2)));
    assert_eq!(
        call_function(&harness, json!({ "function": "public.bump(bigint,text)" }), None).await,
        Ok(json!(3))
    );
    assert_eq!(
        call_function(&harness, bump(json!({ "by": 1, "name": "a", "twice": true })), None).await,
        Ok(json!(2))
    );
    assert_eq!(counter(&harness).await, 3);
    let args = json!({ "a": [1, 2], "b": { "x": "y" }, "c": "2026-05-04T12:00:00Z", "Odd name": "'); drop table counters; --" });
    let typed =
        call_function(&harness, json!({ "function": "public.types", "args": args }), None).await.unwrap();
    assert_eq!(typed, json!(["{1,2}", "y", "2026", "'); drop table counters; --"]));
}

#[tokio::test]
async fn invalid_calls_are_dead_at_once_with_the_reason() {
    let harness = harness().await;
    for (payload, says) in [
        (json!({}), "names no function"),
        (json!({ "function": "public.bump", "by": 2 }), "unknown key \"by\""),
        (json!({ "function": "public.bump", "args": [1] }), "not an object"),
        (json!({ "function": "public.secret" }), "jobs may not call the function public.secret"),
        (json!({ "function": "pg_catalog.pg_sleep", "args": { "seconds": 1 } }), "jobs may not call"),
        (json!({ "function": "public.note; drop table x" }), "string is not a valid identifier"),
        (bump(json!({ "times": 2 })), "does not take these arguments: times"),
        (json!({ "function": "public.note" }), "does not take these arguments: none"),
    ] {
        let error = call_function(&harness, payload.clone(), None).await.unwrap_err();
        assert!(error.contains(says), "{payload}: {error}");
    }
    assert_eq!(text(&harness.client, "select max((job).attempt)::text from jobs.dead").await, "1");
}

#[tokio::test]
async fn dropped_function_fails_clearly_and_its_replacement_is_allowed() {
    let harness = harness().await;
    let (one, _) = tenants(&harness).await;
    harness.client.batch_execute("drop function public.note").await.unwrap();
    let payload = json!({ "function": "public.note", "args": { "body": "x" } });
    let error = call_function(&harness, payload.clone(), Some(one)).await.unwrap_err();
    assert!(error.contains("public.note does not exist any more"), "{error}");
    let again = "set role rowhouse_project; create function public.note(body text) returns void language sql as ''; reset role";
    harness.client.batch_execute(again).await.unwrap();
    call_function(&harness, payload.clone(), None).await.unwrap();
    let taken: bool =
        harness.client.query_one("select jobs.disallow_function('public.note')", &[]).await.unwrap().get(0);
    assert!(taken);
    assert!(call_function(&harness, payload, None).await.unwrap_err().contains("may not call"));
}

#[tokio::test]
async fn functions_that_cannot_be_called_by_name_cannot_be_allowed() {
    let harness = harness().await;
    for (function, says) in [
        ("public.variadic", "cannot be called by name"),
        ("public.unnamed", "cannot be called by name"),
        ("pg_catalog.array_append", "cannot be called by name"),
        ("public.nothing", "there is no function"),
        ("bump", "there is no function"),
        ("public.bump", "there are several functions"),
        ("pg_catalog.max(int)", "is not a plain function"),
        ("tenancy.on_auth_user_created", "is not a plain function"),
    ] {
        let sql = format!("select jobs.allow_function('{function}')");
        let error = harness.client.batch_execute(&sql).await.unwrap_err();
        assert!(error.as_db_error().unwrap().message().contains(says), "{function}: {error:?}");
    }
    let denied = "set role authenticated; select jobs.allow_function('public.secret')";
    assert_eq!(harness.client.batch_execute(denied).await.unwrap_err().code().unwrap().code(), "42501");
}

/// Two tenants with one note each.
async fn tenants(harness: &Harness) -> (Uuid, Uuid) {
    let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
    for id in [one, two] {
        let sql = format!(
            "insert into tenancy.organizations (id, name, slug) values ('{id}', 'x', 'o-{id}'); \
             insert into tenancy.tenants (id, organization_id, name, slug) values ('{id}', '{id}', 'x', 'x')"
        );
        harness.client.batch_execute(&sql).await.unwrap();
        let note = json!({ "function": "public.note", "args": { "body": "x" } });
        call_function(harness, note, Some(id)).await.unwrap();
    }
    (one, two)
}

#[tokio::test]
async fn job_of_a_tenant_is_confined_to_the_tenant() {
    let harness = harness().await;
    let (one, two) = tenants(&harness).await;
    let filled = "select string_agg(tenant_id::text, ' ' order by id) from public.notes";
    assert_eq!(text(&harness.client, filled).await, format!("{one} {two}"));
    let who = call_function(&harness, json!({ "function": "public.who" }), Some(two)).await.unwrap();
    assert_eq!(who, json!({ "user": "authenticated", "tenant": two, "notes": 1 }));
    let who = call_function(&harness, json!({ "function": "public.who" }), None).await.unwrap();
    assert_eq!(who, json!({ "user": "rowhouse_project", "tenant": null, "notes": 2 }));
}

#[tokio::test]
async fn job_of_a_suspended_tenant_waits_without_counting_attempts() {
    let harness = harness().await;
    let (one, _) = tenants(&harness).await;
    harness.client.batch_execute("update tenancy.organizations set status = 'suspended'").await.unwrap();
    let note = json!({ "function": "public.note", "args": { "body": "y" } });
    let id: i64 = harness
        .client
        .query_one("select jobs.enqueue('jobs.sql', $1, tenant => $2)", &[&note, &one])
        .await
        .unwrap()
        .get(0);
    let running = harness.worker().await;
    // Others go on meanwhile.
    harness
        .client
        .batch_execute("select jobs.enqueue('jobs.sql', '{\"function\": \"public.bump\"}')")
        .await
        .unwrap();
    until_true(&harness.client, "(select n from public.counters) = 1").await;
    let waits = format!("select attempt::text from jobs.ready where id = {id}");
    assert_eq!(text(&harness.client, &waits).await, "0");
    // A worker that does not know of it yet is refused by the function.
    let handler = functions(&harness.db);
    let mut job = job(Lease { id: 1, worker: one }, id, &note);
    job.tenant = Some(TenantId(one));
    assert!(matches!(handler.run(&job).await, Err(JobError::Snooze(..))));
    harness.client.batch_execute("update tenancy.organizations set status = 'active'").await.unwrap();
    idle(&harness.client).await;
    assert_eq!(text(&harness.client, "select count(*)::text from public.notes").await, "3");
    running.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn function_cannot_change_its_role_or_leave_session_state() {
    let harness = harness().await;
    let (one, _) = tenants(&harness).await;
    for how in [
        "reset role",
        "set role rowhouse",
        "set local role rowhouse_owner",
        "set session authorization rowhouse",
        "select set_config('role', 'rowhouse_owner', false)",
        "select * from auth.users",
        "select * from jobs.ready",
        "commit",
    ] {
        for tenant in [None, Some(one)] {
            let call = json!({ "function": "public.escape", "args": { "how": how } });
            let ended = call_function(&harness, call, tenant).await;
            // A tenant's job runs on a login that may do nothing.
            let is_powerless = tenant.is_some() && ended == Ok(json!("authenticator"));
            assert!(ended.is_err() || is_powerless, "{how}: {ended:?}");
        }
    }
    let sticky = json!({ "function": "public.escape", "args": { "how": "select set_config('search_path', 'evil', false)" } });
    assert_eq!(call_function(&harness, sticky, None).await, Ok(json!("rowhouse_project")));
    assert_eq!(call_function(&harness, bump(json!({})), None).await, Ok(json!(1)));
}

#[tokio::test]
async fn large_result_is_dropped_and_the_job_is_done() {
    let harness = harness().await;
    let ended = call_function(&harness, json!({ "function": "public.large" }), None).await;
    assert_eq!(ended, Ok(Value::Null));
}

/// What a function leaves in a session, and how the next call would notice.
const LEFTOVERS: &[(&str, &str)] = &[
    (
        "declare held cursor with hold for select public.note_role()",
        "select count(*) from pg_cursors where name = 'held'",
    ),
    ("create temporary table leftover (n int)", "select count(*) from pg_class where relname = 'leftover'"),
    (
        "select set_config('response.headers', 'x', false)",
        "select length(current_setting('response.headers', true))",
    ),
    ("prepare leftover as select 1", "select count(*) from pg_prepared_statements where name = 'leftover'"),
    (
        "select pg_advisory_lock(4711)",
        "select count(*) from pg_locks where locktype = 'advisory' and objid = 4711",
    ),
    ("listen leftover", "select count(*) from pg_listening_channels()"),
];

#[tokio::test]
async fn session_state_does_not_reach_the_next_call_or_run_as_the_platform() {
    let harness = harness().await;
    let (one, two) = tenants(&harness).await;
    let setup = "create table public.trail (who text); grant insert on public.trail to public; \
        create function public.note_role() returns int language plpgsql as \
          $$begin insert into public.trail values (current_user); return 1; end$$; \
        create function public.look(how text) returns bigint language plpgsql as \
          $$declare n bigint; begin execute how into n; return n; end$$; \
        select jobs.allow_function('public.look')";
    harness.client.batch_execute(setup).await.unwrap();
    for (leave, look) in LEFTOVERS {
        for tenant in [Some(one), None] {
            let call = json!({ "function": "public.escape", "args": { "how": leave } });
            let _left = call_function(&harness, call, tenant).await;
            for next in [Some(two), None] {
                let call = json!({ "function": "public.look", "args": { "how": look } });
                let found = call_function(&harness, call, next).await.unwrap();
                assert!(found == json!(0) || found.is_null(), "{leave}: {found}");
            }
        }
    }
    let who = "select coalesce(string_agg(distinct who, ' ' order by who), '') from public.trail \
               where who in ('rowhouse', 'rowhouse_owner', 'postgres')";
    assert_eq!(text(&harness.client, who).await, "");
    let owned = "select coalesce(string_agg(proname, ' '), '') from pg_proc where pronamespace = 'jobs'::regnamespace \
                 and pg_get_userbyid(proowner) in ('anon', 'authenticated')";
    assert_eq!(text(&harness.client, owned).await, "");
}

#[tokio::test]
async fn numbers_keep_their_digits_on_the_way_to_a_function_and_back() {
    let harness = harness().await;
    let same = "create function public.same(n numeric) returns numeric language sql as 'select n'; \
                select jobs.allow_function('public.same')";
    harness.client.batch_execute(same).await.unwrap();
    let n = "12345678901234567890.1234567890123456789012345";
    let sql = format!(
        "select jobs.enqueue('jobs.sql', '{{\"function\": \"public.same\", \"args\": {{\"n\": {n}}}}}')"
    );
    harness.client.batch_execute(&sql).await.unwrap();
    let running = harness.worker().await;
    idle(&harness.client).await;
    assert_eq!(text(&harness.client, "select result::text from jobs.results").await, n);
    running.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn failed_function_is_rolled_back_and_retried() {
    let harness = harness().await;
    let error = call_function(&harness, json!({ "function": "public.fail" }), None).await.unwrap_err();
    assert!(error.contains("out of paper"), "{error}");
    assert_eq!(counter(&harness).await, 0);
    assert_eq!(count(&harness.client, "log").await, 2);
}

fn job(lease: Lease, id: i64, payload: &Value) -> Job {
    Job {
        id,
        kind: "jobs.sql".into(),
        queue: "default".into(),
        tenant: None::<TenantId>,
        attempt: 1,
        max_attempts: 20,
        timeout: Duration::from_secs(60),
        payload: payload.as_object().unwrap().clone(),
        payload_json: payload.to_string().into(),
        enqueued_at: OffsetDateTime::UNIX_EPOCH,
        request_id: None,
        lease,
    }
}

#[tokio::test]
async fn effect_is_rolled_back_if_the_job_was_taken_over() {
    let harness = harness().await;
    let sql = "select jobs.enqueue('jobs.sql', '{\"function\": \"public.bump\"}')";
    let id: i64 = harness.client.query_one(sql, &[]).await.unwrap().get(0);
    let claim = "with gone as (delete from jobs.ready r returning row(r.partition, r.position, r.id, r.enqueued_at, r.attempt, r.payload, r.options)::jobs.ready as job) \
                 insert into jobs.leases (id, worker, jobs) select 7, $1, array_agg(job) from gone returning id";
    let (mine, theirs) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let lease: i64 = harness.client.query_one(claim, &[&theirs]).await.unwrap().get(0);
    let handler = functions(&harness.db);
    let run = async |worker| handler.run(&job(Lease { id: lease, worker }, id, &bump(json!({})))).await;
    let refused = run(mine).await.unwrap_err();
    assert!(matches!(&refused, JobError::Retry(why) if why.contains("taken the job over")), "{refused}");
    assert_eq!((counter(&harness).await, count(&harness.client, "leases").await), (0, 1));
    run(theirs).await.unwrap();
    assert_eq!(
        (
            counter(&harness).await,
            count(&harness.client, "leases").await,
            count(&harness.client, "done").await
        ),
        (1, 0, 1)
    );
    assert!(run(theirs).await.is_err());
    assert_eq!(counter(&harness).await, 1);
}

#[tokio::test]
async fn cancelled_run_stops_its_statement() {
    let harness = harness().await;
    harness.client.batch_execute("select pg_advisory_lock(77); select jobs.enqueue('jobs.sql', '{\"function\": \"public.sleeps\"}')").await.unwrap();
    let running = Arc::new(harness.worker().await);
    let waits = "exists (select from pg_locks where locktype = 'advisory' and objid = 77 and not granted)";
    until_true(&harness.client, waits).await;
    let watcher = harness.db.superuser().await;
    watcher
        .batch_execute("select jobs.cancel(id) from (select (unnest(jobs)).id from jobs.leases) j")
        .await
        .unwrap();
    running.look_for_cancellations().await;
    until_true(&watcher, "exists (select from jobs.dead where state = 'cancelled')").await;
    until_true(&watcher, &format!("not {waits}")).await;
}

#[tokio::test]
async fn functions_that_jobs_would_not_find_are_named() {
    let harness = harness().await;
    let kind =
        |name, function| format!("[jobs.kinds.\"a.{name}\"]\nhandler = \"sql\"\nfunction = \"{function}\"\n");
    let toml = ["public.bump", "public.note(text)", "public.nobody", "public.secret", "public.a b"];
    let toml: String = toml.iter().zip('a'..).map(|(function, name)| kind(name, function)).collect();
    let settings = Settings::load(&[GroupSpec::of::<JobsSettings>()], &mut Sources::new(&toml, [])).unwrap();
    let settings = settings.get::<JobsSettings>();
    let found = rowhouse_jobs::sql_handler::mistakes(&harness.client, &settings).await.unwrap();
    let starts = [
        "jobs.kinds.\"a.c\".function: there is no function public.nobody",
        "jobs.kinds.\"a.d\".function: jobs may not call public.secret",
        "jobs.kinds.\"a.e\".function: ",
    ];
    let is_named = found.iter().zip(starts).all(|(found, start)| found.starts_with(start));
    assert!(found.len() == starts.len() && is_named, "{found:#?}");
}
