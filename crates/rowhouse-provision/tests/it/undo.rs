//! Provisioning that is rolled back.

use rowhouse_provision::ProvisionSettings;
use serde_json::json;

use crate::support::{CRASHES, Harness, settings};

#[tokio::test]
async fn step_that_fails_for_good_leaves_nothing() {
    let harness = Harness::new(ProvisionSettings { max_attempts: 3, ..settings() }).await;
    harness.sql("insert into public.mood values ('{\"error\": {\"message\": \"no room\"}}')").await;
    let tenant = harness.tenant(true).await;
    harness.work().await;
    let (status, steps) = harness.state(tenant).await;
    assert_eq!(status, "undone");
    // The hook was never done, and the letter not written.
    assert_eq!(steps, ["undone", "undone", "undone", "undone", "pending", "pending"]);
    let run = harness.shown(tenant).await;
    assert_eq!((&run["error"], &run["attempts"]), (&json!("hook: the hook refuses: no room"), &json!(3)));
    assert_eq!(harness.leftovers(tenant).await, "0");
    assert_eq!(harness.text("select count(*)::text from mail.messages").await, "0");
    let log = "select string_agg(action, ' ' order by occurred_at, id) from audit.entries
               where source = 'provisioning' and action not like '%step%'";
    assert_eq!(harness.text(log).await, "provisioning_started provisioning_failed provisioning_undone");
    // The name in URLs is free again.
    harness.sql("delete from public.mood").await;
    let again = harness.tenant(true).await;
    harness.work().await;
    assert_eq!(harness.state(again).await.0, "done");
}

#[tokio::test]
async fn failure_that_stays_is_not_tried_again() {
    let harness = Harness::new(settings()).await;
    harness
        .sql("insert into public.mood values ('{\"error\": {\"message\": \"never\", \"fatal\": true}}')")
        .await;
    let tenant = harness.tenant(true).await;
    harness.work().await;
    assert_eq!(
        (harness.state(tenant).await.0, harness.shown(tenant).await["attempts"].clone()),
        ("undone".to_owned(), json!(1))
    );
}

/// The last step never succeeds, and every compensation is cut off once before its commit.
#[tokio::test]
async fn rollback_that_is_cut_off_after_each_step_leaves_nothing() {
    let harness = Harness::new(ProvisionSettings { max_attempts: 8, ..settings() }).await;
    harness.sql(CRASHES).await;
    harness.sql("create function public.no_letters() returns trigger language plpgsql as
                 $$begin raise exception 'no letters today'; end$$;
                 create trigger no_letters before insert on mail.messages for each row execute function public.no_letters()").await;
    let tenant = harness.tenant(true).await;
    harness.work().await;
    assert_eq!(harness.state(tenant).await.0, "undone");
    assert_eq!(harness.leftovers(tenant).await, "0");
    // Calls whose transaction was cut off are not seen: one in each direction is left.
    assert_eq!(harness.calls().await, "provision undo");
}

#[tokio::test]
async fn rollback_on_request_stops_the_run() {
    let harness = Harness::new(settings()).await;
    let tenant = harness.tenant(true).await;
    let undo = format!("select provisioning.undo('{tenant}', 'asked for')::text");
    assert_eq!(
        (harness.text(&undo).await, harness.text(&undo).await),
        ("true".to_owned(), "false".to_owned())
    );
    assert!(!harness.provision(tenant, false).await, "it is being rolled back");
    harness.work().await;
    assert_eq!(harness.state(tenant).await.0, "undone");
    assert_eq!((harness.leftovers(tenant).await, harness.calls().await), ("0".to_owned(), String::new()));
}

#[tokio::test]
async fn tenant_that_was_there_before_stays_as_it_was() {
    let harness = Harness::new(ProvisionSettings { max_attempts: 1, ..settings() }).await;
    harness.sql("insert into public.mood values ('{\"error\": {}}')").await;
    let tenant = harness.tenant(false).await;
    harness.work().await;
    assert_eq!(harness.state(tenant).await.0, "undone");
    let sql = "select status || ' ' || coalesce(plan, 'none') from tenancy.tenants where slug = 'sales'";
    assert_eq!(harness.text(sql).await, "active none");
    assert_eq!(harness.leftovers(tenant).await, "1");
    harness.sql("delete from public.mood").await;
    assert!(harness.provision(tenant, false).await, "it can be done again");
    harness.work().await;
    assert_eq!(harness.state(tenant).await.0, "done");
}

#[tokio::test]
async fn tenant_that_somebody_works_in_is_deleted_as_people_delete_it() {
    let harness = Harness::new(ProvisionSettings { max_attempts: 1, ..settings() }).await;
    harness
        .db
        .migrate(
            "create table public.notes (id int, tenant_id uuid not null default auth.tenant_id());
                        select tenancy.protect('public.notes')",
        )
        .await;
    harness.sql("insert into public.mood values ('{\"error\": {}}')").await;
    let tenant = harness.tenant(true).await;
    harness.sql(&format!("insert into public.notes values (1, '{tenant}')")).await;
    harness.work().await;
    assert_eq!(harness.state(tenant).await.0, "undone");
    let sql = "select status || ' ' || (slug like 'undone-%') from tenancy.tenants where status = 'deleted'";
    assert_eq!(harness.text(sql).await, "deleted true");
    assert_eq!(harness.text("select count(*)::text from public.notes").await, "1", "to be restored");
}

#[tokio::test]
async fn tenant_that_was_suspended_meanwhile_stays_and_can_be_provisioned_later() {
    let harness = Harness::new(settings()).await;
    let tenant = harness.tenant(true).await;
    harness.sql("update tenancy.tenants set status = 'suspended' where slug = 'sales'").await;
    harness.work().await;
    assert_eq!(harness.state(tenant).await.0, "undone");
    assert_eq!(harness.text("select status from tenancy.tenants where slug = 'sales'").await, "suspended");
    harness.sql("update tenancy.tenants set status = 'active' where slug = 'sales'").await;
    assert!(harness.provision(tenant, false).await);
    harness.work().await;
    assert_eq!(harness.state(tenant).await.0, "done");
}
