//! Entitlements: only for members, for enabled products, never across organizations, and nobody rises.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::sql::seen;
use super::{Harness, harness, refusal, said};
use crate::support::{SignedIn, TestResponse};

/// With the product `crm` enabled, and the other user a member of the tenant in this role.
async fn with_member(role: &str) -> Harness {
    let harness = harness().await;
    harness.enabled_product("crm").await;
    let sql = "insert into tenancy.memberships (tenant_id, user_id, role) values ($TENANT, $OTHER, '$ROLE')";
    harness.sql(&sql.replace("$ROLE", role)).await;
    harness
}

impl Harness {
    async fn grant(&self, token: &str, user: &str, role: &str) -> TestResponse {
        let path = format!("/tenants/$TENANT/entitlements/crm/{user}");
        self.put(token, &path, json!({ "role": role })).await
    }

    async fn revoke(&self, token: &str, user: &str) -> TestResponse {
        self.delete(token, &format!("/tenants/$TENANT/entitlements/crm/{user}")).await
    }

    /// The other user's role in the product as a policy sees it.
    async fn role(&self) -> Value {
        let member = SignedIn { tenant: self.owner.tenant.clone(), ..self.other.clone() };
        let asked =
            "select auth.product_role('crm') as role, auth.has_entitlement('crm', 'EDITOR') as is_editor,
            (select string_agg(role, ' ') from tenancy.my_products) as shown";
        let mut row = seen(&self.client, &member, asked).await[0].take();
        assert_eq!(row["is_editor"], row["role"] == "EDITOR", "{row}");
        assert_eq!(row["shown"], row["role"], "the view shows the same");
        row["role"].take()
    }
}

#[tokio::test]
async fn role_in_a_product_is_given_changed_and_taken() {
    let harness = with_member("member").await;
    let owner = &harness.owner.token;
    assert_eq!(harness.role().await, Value::Null);
    let given = harness.grant(owner, "$OTHER", "EDITOR").await;
    let shown = given.json();
    assert_eq!(
        (&shown["product"], &shown["role"], &shown["email"], &shown["granted_by"], &shown["expires_at"]),
        (
            &json!("crm"),
            &json!("EDITOR"),
            &json!("other@example.com"),
            &json!(harness.owner.id),
            &Value::Null
        ),
        "{}",
        given.text
    );
    assert_eq!(harness.role().await, "EDITOR");
    harness.grant(owner, "all", "VIEWER").await;
    assert_eq!(harness.role().await, "EDITOR", "the own one counts");
    assert_eq!(harness.grant(owner, "$OTHER", "ANALYST").await.json()["id"], shown["id"]);
    assert_eq!(harness.role().await, "ANALYST");
    let list = async |query: &str| {
        let page = harness.get(&harness.other.token, &format!("/tenants/$TENANT/entitlements{query}")).await;
        page.json()["items"].as_array().unwrap().len()
    };
    let narrowed = format!("?user_id={}", harness.other.id);
    assert_eq!((list("").await, list(&narrowed).await, list("?product=erp").await), (2, 1, 0));
    assert_eq!(harness.revoke(owner, "$OTHER").await.status, StatusCode::NO_CONTENT);
    assert_eq!(harness.role().await, "VIEWER", "what all members have");
    assert_eq!(said(&harness.revoke(owner, "$OTHER").await), refusal(404, "not_found"));
    assert_eq!(harness.revoke(owner, "all").await.status, StatusCode::NO_CONTENT);
    assert_eq!(harness.role().await, Value::Null);
    assert_eq!(
        harness.actions().await[2..],
        [
            "entitlement_granted",
            "entitlement_granted",
            "entitlement_changed",
            "entitlement_revoked",
            "entitlement_revoked"
        ]
    );
}

#[tokio::test]
async fn entitlement_is_for_members_of_the_tenant_and_enabled_products_alone() {
    let harness = harness().await;
    harness.enabled_product("crm").await;
    let stranger = harness.app.sign_up("stranger@example.com").await;
    let owner = &harness.owner.token;
    for user in ["$OTHER", &stranger.id, "0198d5a1-0000-7000-8000-000000000001"] {
        assert_eq!(said(&harness.grant(owner, user, "EDITOR").await), refusal(404, "not_found"), "{user}");
    }
    // An administrator of another organization, for his own user in a foreign tenant, and the other way round.
    assert_eq!(
        said(&harness.grant(&stranger.token, &stranger.id, "EDITOR").await),
        refusal(403, "forbidden")
    );
    let foreign = format!("/tenants/{}/entitlements/crm/$OWNER", stranger.tenant);
    assert_eq!(
        said(&harness.put(owner, &foreign, json!({ "role": "EDITOR" })).await),
        refusal(403, "forbidden")
    );
    let theirs = format!("/tenants/{}/entitlements/crm/{}", stranger.tenant, stranger.id);
    let disabled = harness.put(&stranger.token, &theirs, json!({ "role": "EDITOR" })).await;
    assert_eq!(said(&disabled), refusal(409, "not_enabled"));
    for (body, status) in [
        (json!({ "role": "editor" }), 400),
        (json!({}), 400),
        (json!({ "role": "EDITOR", "expires_at": "2020-01-01T00:00:00Z" }), 422),
        (json!({ "role": "EDITOR", "expires_at": "soon" }), 422),
    ] {
        let refused = harness.put(owner, "/tenants/$TENANT/entitlements/crm/$OWNER", body.clone()).await;
        assert_eq!(refused.status.as_u16(), status, "{body}: {}", refused.text);
    }
    harness.sql("update tenancy.products set status = 'retired'").await;
    assert_eq!(said(&harness.grant(owner, "$OWNER", "EDITOR").await), refusal(409, "product_retired"));
    let by_hand = async |user: &str, tenant: &str| {
        let sql = "insert into tenancy.entitlements (tenant_id, product_id, user_id, role)
            select '$T', id, '$U', 'EDITOR' from tenancy.products";
        let error = harness.client.batch_execute(&sql.replace("$T", tenant).replace("$U", user)).await;
        error.unwrap_err().code().unwrap().code().to_owned()
    };
    assert_eq!(by_hand(&harness.other.id, &harness.owner.tenant).await, "23503", "no member");
    assert_eq!(by_hand(&stranger.id, &stranger.tenant).await, "23503", "not enabled");
}

#[tokio::test]
async fn what_has_ended_gives_nothing_at_once() {
    let harness = with_member("member").await;
    harness.grant(&harness.owner.token, "$OTHER", "EDITOR").await;
    for (end, back) in [
        ("tenancy.entitlements set expires_at = now()", "tenancy.entitlements set expires_at = null"),
        ("tenancy.products set status = 'retired'", "tenancy.products set status = 'active'"),
        ("tenancy.tenants set status = 'suspended'", "tenancy.tenants set status = 'active'"),
        ("tenancy.organizations set status = 'cancelled'", "tenancy.organizations set status = 'active'"),
        (
            "tenancy.organization_members set status = 'suspended' where user_id = $OTHER",
            "tenancy.organization_members set status = 'active'",
        ),
    ] {
        assert_eq!(harness.role().await, "EDITOR", "before {end}");
        harness.sql(&format!("update {end}")).await;
        assert_eq!(harness.role().await, Value::Null, "after {end}");
        harness.sql(&format!("update {back}")).await;
    }
    let production = "/tenants/$TENANT/products/crm/production";
    harness.delete(&harness.owner.token, production).await;
    assert_eq!(harness.role().await, Value::Null, "disabled");
    harness.put(&harness.owner.token, production, json!({})).await;
    assert_eq!(harness.role().await, "EDITOR");
    harness.sql("delete from tenancy.memberships where user_id = $OTHER and tenant_id = $TENANT").await;
    harness
        .sql("insert into tenancy.memberships (tenant_id, user_id, role) values ($TENANT, $OTHER, 'member')")
        .await;
    assert_eq!(harness.role().await, Value::Null, "who left lost it");
}

#[tokio::test]
async fn environment_of_a_product_can_be_asked_for() {
    let harness = with_member("member").await;
    harness.grant(&harness.owner.token, "$OTHER", "EDITOR").await;
    let member = SignedIn { tenant: harness.owner.tenant.clone(), ..harness.other.clone() };
    let asked = "select auth.product_role('crm', 'production') as p, auth.product_role('crm', 'staging') as s,
        auth.product_role('crm', 'moon') as m, auth.product_role('erp') as e, (select environments from tenancy.my_products) as all";
    let expected = json!([{ "p": "EDITOR", "s": null, "m": null, "e": null, "all": ["production"] }]);
    assert_eq!(seen(&harness.client, &member, asked).await, expected);
    let elsewhere = "select auth.product_role('crm') as p";
    assert_eq!(
        seen(&harness.client, &harness.other, elsewhere).await,
        json!([{ "p": null }]),
        "another tenant"
    );
}

#[tokio::test]
async fn nobody_gives_or_takes_what_is_above_himself() {
    let harness = with_member("manager").await;
    let (owner, manager) = (&harness.owner.token, &harness.other.token);
    let forbidden = refusal(403, "forbidden");
    assert_eq!(harness.grant(manager, "$OTHER", "EDITOR").await.status, StatusCode::OK);
    assert_eq!(said(&harness.grant(manager, "$OTHER", "ADMIN").await), forbidden, "permissions:modify");
    assert_eq!(said(&harness.grant(manager, "$OTHER", "OWNER").await), refusal(403, "owners_only"));
    harness.grant(owner, "$OWNER", "ADMIN").await;
    for took in [harness.grant(manager, "$OWNER", "VIEWER").await, harness.revoke(manager, "$OWNER").await] {
        assert_eq!(said(&took), forbidden);
    }
    // Who is above in the product gives what he has.
    harness.grant(owner, "$OTHER", "ADMIN").await;
    assert_eq!(harness.grant(manager, "all", "ADMIN").await.status, StatusCode::OK);
    harness.sql("update tenancy.memberships set role = 'admin' where user_id = $OTHER").await;
    assert_eq!(said(&harness.grant(manager, "$OTHER", "OWNER").await), refusal(403, "owners_only"));
    harness.grant(owner, "$OWNER", "OWNER").await;
    assert_eq!(said(&harness.revoke(manager, "$OWNER").await), refusal(403, "owners_only"));
    harness.grant(owner, "$OTHER", "OWNER").await;
    assert_eq!(harness.revoke(manager, "$OWNER").await.status, StatusCode::NO_CONTENT);
    harness.sql("update tenancy.memberships set role = 'member' where user_id = $OTHER").await;
    assert_eq!(
        said(&harness.grant(manager, "all", "VIEWER").await),
        forbidden,
        "an OWNER without tenant:apps"
    );
}

/// A user's own entitlement takes the place of what all members have, and its end gives that back.
#[tokio::test]
async fn nobody_takes_or_regains_by_an_own_entitlement_what_all_have_above_him() {
    let harness = with_member("manager").await;
    let (owner, manager) = (&harness.owner.token, &harness.other.token);
    let forbidden = refusal(403, "forbidden");
    harness.grant(owner, "all", "ADMIN").await;
    harness.grant(owner, "$OTHER", "VIEWER").await;
    assert_eq!(said(&harness.revoke(manager, "$OTHER").await), forbidden, "back to ADMIN");
    let soon = json!({ "role": "VIEWER", "expires_at": "2099-01-01T00:00:00Z" });
    let ending = harness.put(manager, "/tenants/$TENANT/entitlements/crm/$OTHER", soon).await;
    assert_eq!(said(&ending), forbidden, "the same, later");
    assert_eq!(said(&harness.grant(manager, "$OWNER", "VIEWER").await), forbidden, "an ADMIN");
    assert_eq!(harness.role().await, "VIEWER");
    assert_eq!(harness.grant(manager, "$OTHER", "EDITOR").await.status, StatusCode::OK);
    harness.sql("update tenancy.entitlements set expires_at = now() where user_id is null").await;
    assert_eq!(harness.grant(manager, "$OWNER", "VIEWER").await.status, StatusCode::OK, "it has ended");
    assert_eq!(harness.revoke(manager, "$OTHER").await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn key_gives_roles_within_its_scopes() {
    let harness = with_member("member").await;
    let key = async |scopes: Value| {
        let body = json!({ "name": "service", "scopes": scopes });
        let made = harness.post(&harness.owner.token, "/organizations/$ORG/api-keys", body).await.json();
        made["key"].as_str().unwrap().to_owned()
    };
    let apps = key(json!(["tenant:apps"])).await;
    assert_eq!(harness.grant(&apps, "$OTHER", "EDITOR").await.status, StatusCode::OK);
    assert_eq!(said(&harness.grant(&apps, "$OTHER", "ADMIN").await), refusal(403, "forbidden"));
    let able = key(json!(["tenant:apps", "permissions:modify"])).await;
    assert_eq!(harness.grant(&able, "$OTHER", "ADMIN").await.status, StatusCode::OK);
    assert_eq!(said(&harness.grant(&able, "$OTHER", "OWNER").await), refusal(403, "owners_only"));
    let viewer = key(json!(["permissions:view"])).await;
    assert_eq!(said(&harness.grant(&viewer, "$OTHER", "VIEWER").await), refusal(403, "forbidden"));
    let listed = harness.get(&viewer, "/tenants/$TENANT/entitlements").await;
    assert_eq!(listed.json()["items"][0]["role"], "ADMIN");
}

/// A token lasts no longer than the entitlement through which it was given.
#[tokio::test]
async fn sessions_of_the_application_end_with_the_entitlement() {
    let harness = with_member("member").await;
    let application = "0198d5a1-0000-7000-8000-00000000000a";
    harness.application(application, "manual").await;
    harness
        .sql(&format!(
            "update tenancy.products set oauth_client_id = '{application}';
             create function pg_temp.sign_in() returns void language sql as $$
               insert into auth.sessions (id, user_id, created_at, oauth_client_id)
               values (gen_random_uuid(), $OTHER, now(), '{application}') $$"
        ))
        .await;
    let sessions = async || -> i64 {
        let sql = "select count(*) from auth.sessions where oauth_client_id is not null";
        harness.client.query_one(sql, &[]).await.unwrap().get(0)
    };
    let (owner, all) = (&harness.owner.token, "/tenants/$TENANT/entitlements/crm/all");
    let retire = json!({ "status": "retired" });
    for round in 0..3 {
        harness.sql("update tenancy.products set status = 'active'; select pg_temp.sign_in()").await;
        harness.grant(owner, "$OTHER", "EDITOR").await;
        harness.put(owner, all, json!({ "role": "VIEWER" })).await;
        harness.revoke(owner, "$OTHER").await;
        assert_eq!(sessions().await, 1, "what all members have is left");
        match round {
            0 => drop(harness.delete(owner, all).await),
            1 => drop(harness.delete(owner, "/tenants/$TENANT/products/crm/production").await),
            _ => {
                harness.put(owner, "/tenants/$TENANT/products/crm/production", json!({})).await;
                harness.patch(&harness.app.service_key, "/products/crm", retire.clone()).await;
            }
        }
        assert_eq!(sessions().await, 0, "round {round}");
        harness
            .sql(
                "insert into tenancy.tenant_products (tenant_id, product_id, environment)
                  select $TENANT, id, 'production' from tenancy.products on conflict do nothing",
            )
            .await;
    }
}
