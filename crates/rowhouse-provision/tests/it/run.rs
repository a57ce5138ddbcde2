//! Provisioning that succeeds, sooner or later.

use std::time::Duration;

use rowhouse_provision::ProvisionSettings;
use serde_json::json;

use crate::support::{CRASHES, Harness, settings};

const ALL_DONE: [&str; 6] = ["done"; 6];
const AUDIT: &str =
    "select string_agg(action || coalesce(' ' || (details ->> 'step'), ''), ', ' order by occurred_at, id)
    from audit.entries where source = 'provisioning'";

#[tokio::test]
async fn new_tenant_gets_everything_once() {
    let mut settings = ProvisionSettings { trial: Duration::from_secs(86_400), ..settings() };
    settings.plan = Some("pro".to_owned());
    let harness = Harness::new(settings).await;
    harness.sql("insert into tenancy.plans (name) values ('pro') on conflict do nothing").await;
    let tenant = harness.tenant(true).await;
    harness.work().await;
    assert_eq!(harness.state(tenant).await, ("done".to_owned(), ALL_DONE.map(str::to_owned).to_vec()));
    let run = harness.shown(tenant).await;
    assert_eq!((&run["steps_done"], &run["attempts"], &run["error"]), (&json!(6), &json!(1), &json!(null)));
    let sql = "select string_agg(m.user_id || ' ' || m.role, ',') from tenancy.memberships m
               join tenancy.tenants t on t.id = m.tenant_id where t.slug = 'sales'";
    assert_eq!(harness.text(sql).await, format!("{} owner", harness.owner));
    let sql = "select status || ' ' || plan || ' ' || (trial_ends_at > now() + interval '23 hours')
               from tenancy.tenants where slug = 'sales'";
    assert_eq!(harness.text(sql).await, "trial pro true");
    assert_eq!(
        harness.text("select prefix from provisioning.storage_prefixes").await,
        format!("tenants/{tenant}/")
    );
    assert_eq!(harness.calls().await, "provision");
    let event = "select (event #- '{tenant,id}' #- '{tenant,organization_id}')::text from public.calls";
    let event: serde_json::Value = serde_json::from_str(&harness.text(event).await).unwrap();
    let told = json!({ "type": "provision", "tenant": { "name": "Sales", "slug": "sales", "plan": "pro", "is_new": true } });
    assert_eq!(event, told);
    assert_eq!(harness.text("select subject from mail.messages").await, "Sales is ready");
    let steps = ["records", "roles", "defaults", "storage", "hook", "welcome"];
    let steps = steps.map(|step| format!("provisioning_step_done {step}")).join(", ");
    assert_eq!(harness.text(AUDIT).await, format!("provisioning_started, {steps}, provisioning_done"));
    assert!(!harness.provision(tenant, false).await, "it is done");
    harness.work().await;
    assert_eq!(harness.calls().await, "provision");
}

/// As if the process had been killed after each step and before its commit.
#[tokio::test]
async fn run_that_is_cut_off_after_each_step_does_each_once() {
    let harness = Harness::new(settings()).await;
    harness.sql(CRASHES).await;
    let tenant = harness.tenant(true).await;
    harness.work().await;
    assert_eq!(harness.state(tenant).await, ("done".to_owned(), ALL_DONE.map(str::to_owned).to_vec()));
    assert_eq!(harness.shown(tenant).await["attempts"], json!(7));
    for (sql, count) in [
        ("select count(*)::text from public.spaces", "1"),
        ("select count(*)::text from public.calls", "1"),
        ("select count(*)::text from mail.messages", "1"),
        ("select count(*)::text from provisioning.storage_prefixes", "1"),
        ("select count(*)::text from audit.entries where action = 'provisioning_step_done'", "6"),
    ] {
        assert_eq!(harness.text(sql).await, count, "{sql}");
    }
}

/// The job is gone without a trace, as after a restore of the queue, or in a process that knew no such jobs.
#[tokio::test]
async fn run_without_a_job_is_found_by_the_sweep() {
    let harness = Harness::new(settings()).await;
    harness.sql("delete from jobs.kinds where name = 'provision.run'").await;
    let tenant = harness.tenant(true).await;
    harness.sql("insert into jobs.kinds (name) values ('provision.run')").await;
    harness.work().await;
    assert_eq!(harness.state(tenant).await.0, "pending");
    let sweep = "select provisioning.sweep(array[60, 1e9])::text";
    assert_eq!(harness.text(sweep).await, "0", "it has just been asked for");
    harness.sql("update provisioning.runs set updated_at = now() - interval '2 minutes'").await;
    assert_eq!((harness.text(sweep).await, harness.text(sweep).await), ("1".to_owned(), "0".to_owned()));
    harness.work().await;
    assert_eq!(harness.state(tenant).await.0, "done");
}

#[tokio::test]
async fn tenant_that_is_closed_is_not_provisioned() {
    let harness = Harness::new(settings()).await;
    let tenant = harness.tenant(true).await;
    harness.sql("delete from provisioning.runs; update tenancy.tenants set status = 'suspended' where slug = 'sales'").await;
    assert!(!harness.provision(tenant, false).await);
    assert_eq!(harness.shown(tenant).await, json!(null));
}
