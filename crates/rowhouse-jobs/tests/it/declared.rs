//! Kinds that the file declares with `handler = "sql"`: from the settings to the effect in the database.

use std::sync::Arc;

use rowhouse_db::{Control, DbSettings};
use rowhouse_jobs::config::{Declarations, sync};
use rowhouse_jobs::schedule;
use rowhouse_kernel::{Clock, SharedClock, SharedRng, SystemClock, SystemRng};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Harness, database, declared, settings, text};

const FILE: &str = r#"
[jobs.kinds."shop.tally"]
handler = "sql"
function = "public.tally"
max_attempts = 1
[jobs.kinds."shop.stamp"]
handler = "sql"
function = "public.stamp"
max_attempts = 1
[jobs.kinds."shop.closed"]
handler = "sql"
function = "public.closed"
max_attempts = 1
[jobs.schedules.tally]
cron = "@daily"
kind = "shop.tally"
payload = { by = 3 }
[jobs.schedules.stamp]
cron = "@daily"
kind = "shop.stamp"
"#;

const PROJECT: &str = r#"
set role rowhouse_project;
create table public.tallies (id bigint generated always as identity, n bigint);
select tenancy.protect('public.tallies');
grant select, insert on public.tallies to authenticated;
create function public.tally(by bigint) returns text language sql as
  'insert into tallies (n) values (by); select current_user::text';
create function public.stamp(scheduled_at timestamptz) returns timestamptz language sql as 'select scheduled_at';
create function public.closed() returns int language sql as 'select 1';
select jobs.allow_function('public.tally'), jobs.allow_function('public.stamp');
reset role;
"#;

/// A project with these functions and kinds.
async fn harness() -> Harness {
    let db = database().await;
    let client = db.superuser().await;
    client.batch_execute(PROJECT).await.unwrap();
    let settings = settings(FILE);
    let registry = declared(&db, &settings, false);
    let control = Control::open(&db.urls.control, &DbSettings::default()).unwrap();
    let declarations =
        Declarations { settings: &settings, registry: &registry, built_in: &[], release: "1.0.0" };
    let (clock, rng) = (Arc::new(SystemClock) as SharedClock, Arc::new(SystemRng) as SharedRng);
    sync(&control, &declarations, &clock, &rng).await.unwrap();
    Harness { db, client, registry }
}

#[tokio::test]
async fn payload_of_a_declared_kind_holds_the_arguments_of_its_function() {
    let harness = harness().await;
    let tenant = Uuid::from_u128(7);
    harness
        .client
        .batch_execute(&format!(
            "insert into tenancy.organizations (id, name, slug) values ('{tenant}', 'x', 'x'); \
             insert into tenancy.tenants (id, organization_id, name, slug) values ('{tenant}', '{tenant}', 'x', 'x')"
        ))
        .await
        .unwrap();
    assert_eq!(
        text(
            &harness.client,
            "select string_agg(distinct handler, ',') from jobs.kinds where name like 'shop.%'"
        )
        .await,
        "sql"
    );
    let done = harness.call("shop.tally", json!({ "by": 5 }), Some(tenant)).await;
    assert_eq!(done, Ok(json!("authenticated")));
    let tallies = "select string_agg(tenant_id || ' ' || n, ',') from public.tallies";
    assert_eq!(text(&harness.client, tallies).await, format!("{tenant} 5"));
}

#[tokio::test]
async fn declaring_a_kind_allows_no_function_and_its_job_names_none() {
    let harness = harness().await;
    for (kind, payload, says) in [
        (
            "shop.closed",
            json!({}),
            "jobs may not call the function public.closed (42501); select jobs.allow_function",
        ),
        ("shop.tally", json!({ "times": 2 }), "public.tally does not take these arguments: times"),
        (
            "shop.tally",
            json!({ "function": "public.closed", "args": {} }),
            "does not take these arguments: args, function",
        ),
        ("shop.tally", json!({ "by": "many" }), "invalid input syntax"),
    ] {
        let error = harness.call(kind, payload.clone(), None).await.unwrap_err();
        assert!(error.contains(says), "{kind} {payload}: {error}");
    }
    assert_eq!(text(&harness.client, "select count(*)::text from public.tallies").await, "0");
}

#[tokio::test]
async fn schedule_calls_a_function_and_passes_the_scheduled_time() {
    let harness = harness().await;
    for name in ["tally", "stamp"] {
        // A tenant's default is missing for a schedule, which has none.
        harness
            .client
            .batch_execute("alter table public.tallies alter tenant_id set default gen_random_uuid()")
            .await
            .unwrap();
        schedule::run(&harness.client, SystemClock.now(), name).await.unwrap().unwrap();
    }
    harness.work().await;
    let listed = schedule::list(&harness.client).await.unwrap();
    let results: Vec<Value> = listed.iter().map(|s| s.last_result.clone().unwrap_or_default()).collect();
    assert_eq!(
        (&results[0]["state"], &results[1]["state"], &results[1]["result"]),
        (&json!("done"), &json!("done"), &json!("rowhouse_project")),
        "{results:?}"
    );
    assert!(results[0]["result"].as_str().is_some_and(|at| at.starts_with("20")), "{results:?}");
}
