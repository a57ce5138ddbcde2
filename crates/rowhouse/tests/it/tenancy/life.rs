//! The life cycle of organizations and tenants, and what a closed one refuses.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use rowhouse_module::Roles;
use rowhouse_tenancy::TenancySettings;
use rowhouse_testkit::{LIMIT, TestDatabase, until};
use serde_json::{Value, json};

use super::{Harness, harness, refusal, said};
use crate::support::{TestApp, settings};

/// What each surface answers to the owner.
async fn surfaces(harness: &Harness) -> [u16; 4] {
    let Harness { app, owner, .. } = harness;
    let refresh = json!({ "refresh_token": owner.refresh_token });
    let refreshed = app.post(&app.anon_key, "/auth/v1/token?grant_type=refresh_token", refresh).await;
    let tenant =
        crate::support::claims(refreshed.json()["access_token"].as_str().unwrap())["tenant_id"].clone();
    let keeps_tenant = if tenant == json!(owner.tenant) { 200 } else { 403 };
    [
        app.get(&owner.token, "/rest/v1/todos").await.status.as_u16(),
        app.post(&owner.token, "/auth/v1/tenant", json!({ "tenant_id": owner.tenant })).await.status.as_u16(),
        harness.get(&owner.token, "/tenants/$TENANT").await.status.as_u16(),
        keeps_tenant,
    ]
}

#[tokio::test]
async fn suspension_bites_on_every_surface_at_the_next_request() {
    let harness = harness().await;
    let service = &harness.app.service_key;
    for place in ["/tenants/$TENANT", "/organizations/$ORG"] {
        assert_eq!(surfaces(&harness).await, [200; 4], "{place}");
        let body = json!({ "reason": "unpaid" });
        let suspended = harness.post(service, &format!("{place}/suspend"), body.clone()).await;
        assert_eq!((suspended.status, &suspended.json()["status"]), (StatusCode::OK, &json!("suspended")));
        assert_eq!(suspended.json()["suspension_reason"], "unpaid");
        assert_eq!(surfaces(&harness).await, [403, 403, 401, 403], "{place}");
        let twice = harness.post(service, &format!("{place}/suspend"), body).await;
        assert_eq!(said(&twice), refusal(409, "wrong_status"));
        let open = harness.post(service, &format!("{place}/reactivate"), json!({})).await;
        assert_eq!((open.status, &open.json()["suspension_reason"]), (StatusCode::OK, &Value::Null));
    }
    assert_eq!(surfaces(&harness).await, [200; 4]);
}

/// Mail is sent for open tenants alone.
#[tokio::test]
async fn sender_of_a_suspended_tenant_is_refused() {
    let harness = harness().await;
    let ask = async || {
        let body = json!({ "tenant": harness.owner.tenant, "name": "shop.example" });
        harness.app.post(&harness.app.service_key, "/mail/v1/senders", body).await.status
    };
    harness.post(&harness.app.service_key, "/organizations/$ORG/suspend", json!({ "reason": "x" })).await;
    assert_eq!(ask().await, StatusCode::BAD_REQUEST);
    harness.post(&harness.app.service_key, "/organizations/$ORG/reactivate", json!({})).await;
    assert_eq!(ask().await, StatusCode::CREATED);
}

#[tokio::test]
async fn jobs_of_a_suspended_tenant_wait() {
    let app = TestApp::start_as(TestDatabase::create().await, settings(), Roles::ALL).await;
    let tenant = app.sign_up("a@example.com").await.tenant;
    let step = async |step: &str| {
        let path = format!("/admin/v1/tenants/{tenant}/{step}");
        let body = if step == "suspend" { json!({ "reason": "x" }) } else { json!({}) };
        assert!(app.post(&app.service_key, &path, body).await.status.is_success(), "{step}");
    };
    let enqueue = async |tenant: Option<&str>| {
        let body = json!({ "kind": "jobs.noop", "tenant": tenant });
        let answer = app.post(&app.service_key, "/admin/v1/jobs", body).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
        answer.json()["id"].as_i64().unwrap()
    };
    let state = async |id: i64| {
        app.get(&app.service_key, &format!("/admin/v1/jobs/{id}")).await.json()["state"].clone()
    };
    step("suspend").await;
    let (waiting, free) = (enqueue(Some(&tenant)).await, enqueue(None).await);
    until("the other job is done", LIMIT, async || state(free).await == "done").await;
    assert_eq!(state(waiting).await, "ready");
    step("reactivate").await;
    until("the tenant's job is done", LIMIT, async || state(waiting).await == "done").await;
}

#[tokio::test]
async fn owner_deletes_a_tenant_and_restores_it_within_the_window() {
    let harness = harness().await;
    let (token, service) = (&harness.owner.token, &harness.app.service_key);
    assert_eq!(harness.delete(token, "/tenants/$TENANT").await.status, StatusCode::NO_CONTENT);
    assert_eq!(surfaces_of_data(&harness).await, 403);
    // The token's own tenant is closed: a token of another one, or without one, goes on.
    let refresh = json!({ "refresh_token": harness.owner.refresh_token });
    let path = "/auth/v1/token?grant_type=refresh_token";
    let fresh = harness.app.post(&harness.app.anon_key, path, refresh).await.json();
    let token = fresh["access_token"].as_str().unwrap();
    let listed = harness.get(token, "/organizations/$ORG/tenants?status=deleted").await.json();
    assert_eq!(listed["items"][0]["id"], json!(harness.owner.tenant));
    let refused = harness.post(&harness.other.token, "/tenants/$TENANT/restore", json!({})).await;
    assert_eq!(said(&refused), refusal(403, "forbidden"));
    let restored = harness.post(token, "/tenants/$TENANT/restore", json!({})).await;
    assert_eq!((restored.status, &restored.json()["status"]), (StatusCode::OK, &json!("active")));
    assert_eq!(surfaces_of_data(&harness).await, 200);
    let again = harness.post(service, "/tenants/$TENANT/restore", json!({})).await;
    assert_eq!(said(&again), refusal(409, "wrong_status"));
    assert_eq!(harness.actions().await, ["tenant_deleted", "tenant_restored"]);
}

async fn surfaces_of_data(harness: &Harness) -> u16 {
    harness.app.get(&harness.owner.token, "/rest/v1/todos").await.status.as_u16()
}

#[tokio::test]
async fn deletion_is_not_taken_back_after_the_window() {
    let mut settings = settings();
    settings.update(|tenancy: &mut TenancySettings| tenancy.restore_window = Duration::from_hours(1));
    let app = TestApp::start_with(settings).await;
    let client = app.db.superuser().await;
    let tenant = app.sign_up("a@example.com").await.tenant;
    let path = format!("/admin/v1/tenants/{tenant}");
    assert_eq!(app.call(&app.service_key, Method::DELETE, &path, None).await.status, StatusCode::NO_CONTENT);
    let age =
        "update tenancy.tenants set deleted_at = now() - interval '61 minutes' where deleted_at is not null";
    client.batch_execute(age).await.unwrap();
    let late = app.post(&app.service_key, &format!("{path}/restore"), json!({})).await;
    assert_eq!(said(&late), refusal(409, "too_late"));
}

#[tokio::test]
async fn suspension_is_not_lifted_by_deleting_and_restoring() {
    let harness = harness().await;
    let service = &harness.app.service_key;
    harness.post(service, "/tenants/$TENANT/suspend", json!({ "reason": "abuse" })).await;
    harness.delete(service, "/tenants/$TENANT").await;
    let restored = harness.post(service, "/tenants/$TENANT/restore", json!({})).await.json();
    assert_eq!((&restored["status"], &restored["suspension_reason"]), (&json!("suspended"), &json!("abuse")));
}

#[tokio::test]
async fn reactivation_leads_back_to_a_trial_that_has_not_ended() {
    let harness = harness().await;
    let service = &harness.app.service_key;
    for (end, status) in [("now() + interval '1 day'", "trial"), ("now() - interval '1 day'", "active")] {
        harness
            .sql(&format!(
                "update tenancy.tenants set status = 'suspended', trial_ends_at = {end} where id = $TENANT"
            ))
            .await;
        let open = harness.post(service, "/tenants/$TENANT/reactivate", json!({})).await.json();
        assert_eq!(open["status"], status);
        assert_eq!(surfaces_of_data(&harness).await, 200, "{status}");
    }
}

/// No status beside trial and active opens anything.
#[tokio::test]
async fn tenant_is_open_in_two_statuses() {
    let harness = harness().await;
    for status in ["suspended", "cancelled", "deleted", "trial", "active"] {
        let is_open = ["trial", "active"].contains(&status);
        for table in ["tenants", "organizations"] {
            harness.sql(&format!("update tenancy.{table} set status = '{status}'")).await;
            assert_eq!(surfaces_of_data(&harness).await == 200, is_open, "{table} {status}");
            harness.sql(&format!("update tenancy.{table} set status = 'active'")).await;
        }
    }
}
