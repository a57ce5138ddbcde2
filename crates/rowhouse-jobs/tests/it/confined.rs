//! What callers of the data API and tenants' jobs may do with jobs: nothing by themselves, and their own tenant's through
//! functions of the project.

use rowhouse_testkit::TestDatabase;
use tokio_postgres::Client;
use uuid::Uuid;

use crate::support::{count, database, text};

/// Functions with which a project lets its callers enqueue: they have their owner's rights.
const ENQUEUE_FUNCTIONS: &str = "set role rowhouse_project; \
    create function public.one(kind text, tenant uuid default null) returns bigint \
    language sql security definer set search_path = '' as \
    $$select jobs.enqueue(kind, tenant => tenant, unique_key => 'one')$$; \
    create function public.many(kind text, tenant uuid default null) returns setof bigint \
    language sql security definer set search_path = '' as \
    $$select jobs.enqueue_many(kind, '{\"{}\"}', tenant => tenant)$$; \
    create function public.family(tenant uuid) returns bigint \
    language sql security definer set search_path = '' as \
    $$select jobs.enqueue_parent(jsonb_build_object('kind', 'test.work', 'tenant', tenant), \
      array[jsonb_build_object('kind', 'test.work', 'tenant', tenant)])$$; \
    reset role; insert into jobs.kinds (name, handler) values ('test.sql', 'sql')";

const OWN: Uuid = Uuid::from_u128(1);
const FOREIGN: Uuid = Uuid::from_u128(2);

async fn scene() -> (TestDatabase, Client) {
    let db = database().await;
    let client = db.superuser().await;
    client.batch_execute(ENQUEUE_FUNCTIONS).await.unwrap();
    (db, client)
}

/// A transaction as a flight makes it: role and claims, then the statement. The code it is refused with, if it is.
async fn speak(client: &Client, role: &str, tenant: Option<Uuid>, sql: &str) -> Result<(), String> {
    let tenant = tenant.map(|tenant| format!(r#", "tenant_id": "{tenant}""#)).unwrap_or_default();
    let role_sql = if role == "none" { String::new() } else { format!("set local role {role};") };
    let all = format!(
        r#"begin; {role_sql} set local "request.jwt.claims" = '{{"role": "authenticated"{tenant}}}'; {sql}; commit"#
    );
    let ended = client.batch_execute(&all).await;
    client.batch_execute("rollback").await.unwrap();
    ended.map_err(|error| error.code().unwrap().code().to_owned())
}

async fn tenants_of_jobs(client: &Client) -> String {
    let sql =
        "select coalesce(string_agg(distinct coalesce(tenant::text, 'none'), ' '), '') from jobs.partitions";
    text(client, sql).await
}

#[tokio::test]
async fn callers_of_the_data_api_cannot_enqueue_by_themselves() {
    let (_db, client) = scene().await;
    for role in ["anon", "authenticated"] {
        for call in [
            "jobs.enqueue('test.work')",
            "jobs.enqueue_many('test.work', '{\"{}\"}')",
            "jobs.enqueue_parent('{\"kind\": \"test.work\"}', array['{\"kind\": \"test.work\"}']::jsonb[])",
            "jobs.enqueue_spec('{\"kind\": \"test.work\"}', null, null)",
            "jobs.allow_function('public.one')",
            "jobs.write_log(1, 'x')",
            "jobs.set_progress(1, 1)",
            "jobs.cancel(1)",
            "jobs.find(1)",
            "jobs.complete('00000000-0000-0000-0000-000000000001', '[]')",
        ] {
            let refused = speak(&client, role, Some(OWN), &format!("select {call}")).await;
            assert_eq!(refused, Err("42501".to_owned()), "{role}: {call}");
        }
    }
    assert_eq!(count(&client, "partitions").await, 0);
}

#[tokio::test]
async fn project_function_enqueues_for_the_callers_own_tenant_only() {
    let (_db, client) = scene().await;
    for call in ["one('test.work', ", "many('test.work', ", "family("] {
        let call = format!("select public.{call}'{FOREIGN}')");
        speak(&client, "authenticated", Some(OWN), &call).await.unwrap();
    }
    assert_eq!(tenants_of_jobs(&client).await, OWN.to_string());
    // Another tenant's key is another key.
    speak(&client, "authenticated", Some(FOREIGN), "select public.one('test.work')").await.unwrap();
    assert_eq!(count(&client, "unique_keys").await, 2);
    // The service key names for whom.
    let named = format!("select jobs.enqueue('test.work', tenant => '{}')", Uuid::from_u128(3));
    speak(&client, "service_role", None, &named).await.unwrap();
    assert!(tenants_of_jobs(&client).await.ends_with(&Uuid::from_u128(3).to_string()));
}

#[tokio::test]
async fn tenants_own_job_enqueues_for_that_tenant_only() {
    let (_db, client) = scene().await;
    let call = format!("select public.one('test.work', '{FOREIGN}')");
    speak(&client, "none", Some(OWN), &call).await.unwrap();
    assert_eq!(tenants_of_jobs(&client).await, OWN.to_string());
}

#[tokio::test]
async fn caller_without_a_tenant_cannot_ask_for_a_call_with_the_owners_rights() {
    let (_db, client) = scene().await;
    for role in ["anon", "authenticated", "none"] {
        for function in ["one", "many"] {
            let call = |kind: &str| format!("select public.{function}('{kind}', '{FOREIGN}')");
            assert_eq!(
                speak(&client, role, None, &call("test.sql")).await,
                Err("42501".to_owned()),
                "{role} {function}"
            );
            speak(&client, role, None, &call("test.work")).await.unwrap();
        }
    }
    assert_eq!(tenants_of_jobs(&client).await, "none");
    speak(&client, "authenticated", Some(OWN), "select public.one('test.sql')").await.unwrap();
    assert_eq!(tenants_of_jobs(&client).await, format!("{OWN} none"));
}

#[tokio::test]
async fn effects_of_one_tenant_are_not_those_of_another() {
    let (_db, client) = scene().await;
    let once = "do $$ begin if not jobs.once('invoice 7') then raise 'seen'; end if; end $$";
    for role in ["authenticated", "none"] {
        client.batch_execute("delete from jobs.effects").await.unwrap();
        for tenant in [OWN, FOREIGN] {
            speak(&client, role, Some(tenant), once).await.unwrap();
            assert_eq!(speak(&client, role, Some(tenant), once).await, Err("P0001".to_owned()), "{role}");
        }
    }
}

/// The login on which functions run can complete their jobs, and for that it needs numbers that it cannot learn.
#[tokio::test]
async fn login_of_functions_cannot_read_leases_and_completes_only_calls_whose_numbers_it_is_given() {
    const WORKER: &str = "00000000-0000-0000-0000-000000000001";
    let (db, client) = scene().await;
    let leased = format!(
        "insert into jobs.workers (id, release, host, pid) values ('{WORKER}', '1', 'h', 1); \
         select jobs.enqueue('test.work', tenant => '{OWN}'); \
         select jobs.claim('{WORKER}', array(select id from jobs.partitions), '{{0}}', '{{100}}', '{{1}}', '{{100}}', \
           100, 1000000, 7)"
    );
    client.batch_execute(&leased).await.unwrap();
    let login = rowhouse_db::connect(&db.urls.data.authenticator).await.unwrap();
    for role in ["none", "anon", "authenticated"] {
        for sql in [
            "select * from jobs.leases",
            "select * from jobs.workers",
            "select jobs.complete('00000000-0000-0000-0000-000000000001', '[]')",
            "select jobs.is_call('00000000-0000-0000-0000-000000000001', 7, 1, null)",
            "select * from jobs.ready",
        ] {
            assert_eq!(speak(&login, role, Some(OWN), sql).await, Err("42501".to_owned()), "{role}: {sql}");
        }
    }
    let id: i64 = client.query_one("select (jobs[1]).id from jobs.leases", &[]).await.unwrap().get(0);
    let complete = format!("select jobs.complete_call('{WORKER}', 7, {id}, null)");
    let call = format!("select jobs.call_for_project('{WORKER}', 7, {id}, 'public.one', '{{}}')");
    // Callers of the data API may not even with the right numbers.
    for role in ["anon", "authenticated"] {
        for sql in [&complete, &call] {
            assert_eq!(speak(&login, role, Some(OWN), sql).await, Err("42501".to_owned()), "{role}: {sql}");
        }
    }
    let completed = async |sql: &str| login.query_one(sql, &[]).await.unwrap().get::<_, Option<bool>>(0);
    assert_eq!(completed(&complete).await, None, "it calls no function");
    client.batch_execute("update jobs.partitions set kind = 'test.sql'").await.unwrap();
    assert_eq!(completed(&complete.replace(" 7,", " 8,")).await, None, "another lease");
    assert_eq!(completed(&complete.replace("0001'", "0002'")).await, None, "another worker");
    let refused = login.batch_execute(&call).await.unwrap_err();
    assert_eq!(refused.code().unwrap().code(), "P0002", "a tenant's job calls with the tenant's rights");
    assert_eq!(count(&client, "leases").await, 1);
    assert_eq!((completed(&complete).await, count(&client, "leases").await), (Some(true), 0));
}
