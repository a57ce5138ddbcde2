//! `/admin/v1/me`: what a launcher shows.

use reqwest::StatusCode;
use rowhouse_tenancy::TenancySettings;
use serde_json::{Value, json};

use super::{Harness, harness};
use crate::support::{TestApp, claims};

async fn me(harness: &Harness, token: &str) -> Value {
    let answer = harness.get(token, "/me").await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    answer.json()
}

#[tokio::test]
async fn launcher_shows_products_counts_and_what_has_happened() {
    let harness = harness().await;
    harness.enabled_product("crm").await;
    harness.enabled_product("erp").await;
    harness.sql("update tenancy.products set launcher_url = 'https://crm.example' where slug = 'crm'").await;
    harness
        .sql("insert into tenancy.memberships (tenant_id, user_id, role) values ($TENANT, $OTHER, 'member')")
        .await;
    let owner = &harness.owner.token;
    harness.put(owner, "/tenants/$TENANT/entitlements/crm/$OTHER", json!({ "role": "EDITOR" })).await;
    harness.sql("update tenancy.entitlements set last_used_at = '2027-01-01T00:00:00Z'").await;
    harness.put(owner, "/tenants/$TENANT/entitlements/erp/all", json!({ "role": "VIEWER" })).await;
    harness.sql("update tenancy.entitlements set last_used_at = now() where user_id is null").await;
    harness.put(owner, "/tenants/$TENANT/members/$OTHER", json!({ "role": "manager" })).await;
    let shown = me(&harness, &harness.other.token).await;
    let product = |slug: &str, role: &str, launcher: Value, used: Value| {
        json!({
            "tenant_id": harness.owner.tenant, "product": slug, "name": slug.to_uppercase(), "description": "",
            "icon_url": null, "launcher_url": launcher, "role": role, "environments": ["production"],
            "expires_at": null, "last_used_at": used,
        })
    };
    let crm = product("crm", "EDITOR", json!("https://crm.example"), json!("2027-01-01T00:00:00Z"));
    let erp = product("erp", "VIEWER", Value::Null, Value::Null);
    assert_eq!(shown["products"], json!([crm, erp]), "{shown}");
    let tenants = shown["tenants"].as_array().unwrap();
    let shared = tenants.iter().find(|tenant| tenant["id"] == harness.owner.tenant.as_str()).unwrap();
    assert_eq!((&shared["member_count"], &shared["product_count"]), (&json!(2), &json!(2)));
    let news = shown["notifications"].as_array().unwrap();
    let kinds: Vec<&str> = news.iter().map(|one| one["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["member_role_changed", "entitlement_granted"]);
    assert_eq!(news[1]["details"]["product"], "crm");
    assert_eq!((&shown["impersonation"], &shown["support_links"]), (&Value::Null, &json!([])));
    let own = me(&harness, owner).await;
    assert_eq!(own["notifications"], json!([]), "what one does oneself is no news");
    assert_eq!(own["products"].as_array().unwrap().len(), 1, "what all members have");
}

#[tokio::test]
async fn launcher_shows_sessions_and_what_the_caller_may_change() {
    let harness = harness().await;
    let token = &harness.owner.token;
    let login = json!({ "email": "owner@example.com", "password": "correct horse" });
    let again = harness.app.post(&harness.app.anon_key, "/auth/v1/token?grant_type=password", login).await;
    assert_eq!(again.status, StatusCode::OK, "{}", again.text);
    let own = me(&harness, token).await;
    let sessions = own["sessions"].as_array().unwrap();
    let current: Vec<&Value> = sessions.iter().filter(|one| one["is_current"] == true).collect();
    assert_eq!((sessions.len(), current.len()), (2, 1), "{own}");
    assert_eq!(current[0]["id"], claims(token)["session_id"]);
    assert_eq!(own["admin_actions"].as_array().unwrap().len(), 12, "all but the five that only see: {own}");
    harness
        .sql("update tenancy.organization_members set role = 'member'; update tenancy.memberships set role = 'member'")
        .await;
    assert_eq!(me(&harness, token).await["admin_actions"], json!([]));
    harness
        .sql("insert into tenancy.operators (user_id, role, reason) values ($OWNER, 'auditor', 'test')")
        .await;
    assert_eq!(me(&harness, token).await["admin_actions"], json!(["identity:audit"]));
    let session = claims(token)["session_id"].as_str().unwrap().to_owned();
    harness.sql(&format!("update auth.sessions set not_after = now() where id <> '{session}'")).await;
    assert_eq!(me(&harness, token).await["sessions"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn launcher_shows_invitations_to_the_confirmed_address_and_support_links() {
    let mut settings = crate::support::settings();
    settings.update(|tenancy: &mut TenancySettings| {
        tenancy.support_links = vec!["Help=https://help.example/?a=b".to_owned()];
    });
    let app = TestApp::start_with(settings).await;
    let (owner, ada) = (app.sign_up("owner@example.com").await, app.sign_up("ada@example.com").await);
    let organization = claims(&owner.token)["org_id"].as_str().unwrap().to_owned();
    let path = format!("/admin/v1/organizations/{organization}/invitations");
    let body = json!({ "email": "ada@example.com", "role": "manager" });
    assert_eq!(app.post(&owner.token, &path, body).await.status, StatusCode::CREATED);
    let me = async || app.get(&ada.token, "/admin/v1/me").await.json();
    let shown = me().await;
    assert_eq!(shown["support_links"], json!([{ "title": "Help", "url": "https://help.example/?a=b" }]));
    let invitation = &shown["notifications"][0];
    assert_eq!(
        (&invitation["kind"], &invitation["details"]["organization_name"], &invitation["details"]["role"]),
        (&json!("invitation"), &json!("owner"), &json!("manager")),
        "{shown}"
    );
    let client = app.db.superuser().await;
    client.batch_execute("update auth.users set email_confirmed_at = null").await.unwrap();
    assert_eq!(me().await["notifications"], json!([]), "not to who has not proved to own it");
}
