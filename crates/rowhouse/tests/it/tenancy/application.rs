//! In which tenant a product's application has its sessions.

use serde_json::json;

use super::{Harness, harness};

const APPLICATION: &str = "0198d5a1-0000-7000-8000-00000000000a";
const SESSION: &str = "0198d5a1-0000-7000-8000-00000000000c";

impl Harness {
    /// The tenant, as the text of its id, that a query of the authorization server's answers.
    async fn tenant_of(&self, sql: &str) -> Option<String> {
        let sql = self.filled(sql).replace("$APPLICATION", APPLICATION).replace("$SESSION", SESSION);
        self.client.query_one(&sql, &[]).await.unwrap().get(0)
    }

    /// Of a session that the application opens for the other user.
    async fn opened(&self) -> Option<String> {
        self.sql("delete from auth.sessions where oauth_client_id is not null").await;
        let open = "select tenant_id::text from auth.open_client_session('$SESSION', $OTHER, '$APPLICATION', 'email', null, now(),
            null, null, 9, gen_random_uuid())";
        self.tenant_of(open).await
    }
}

#[tokio::test]
async fn application_of_a_product_has_sessions_only_in_tenants_where_the_user_is_entitled() {
    let harness = harness().await;
    harness.application(APPLICATION, "manual").await;
    harness.enabled_product("crm").await;
    harness.sql("insert into tenancy.memberships (tenant_id, user_id) values ($TENANT, $OTHER)").await;
    let (entitled, oldest) = (Some(harness.owner.tenant.clone()), Some(harness.other.tenant.clone()));
    assert_eq!(harness.opened().await, oldest, "the application of no product");
    let path = "/tenants/$TENANT/entitlements/crm/$OTHER";
    harness.put(&harness.owner.token, path, json!({ "role": "EDITOR" })).await;
    harness.sql(&format!("update tenancy.products set oauth_client_id = '{APPLICATION}'")).await;
    assert_eq!(harness.opened().await, entitled);
    let own = harness.other.tenant.clone();
    harness.sql(&format!("update auth.sessions set tenant_id = '{own}' where id = '{SESSION}'")).await;
    let refresh = "select tenant_id::text from auth.refresh_session('$SESSION', 1, now(), now(), null, null, null, false, null, null)";
    assert_eq!(harness.tenant_of(refresh).await, entitled, "one of before goes on there");
    // Entitled in the oldest one, too.
    harness
        .sql(&format!(
            "insert into tenancy.tenant_products (tenant_id, product_id, environment)
               select '{own}', id, 'production' from tenancy.products;
             insert into tenancy.entitlements (tenant_id, product_id, role) select '{own}', id, 'VIEWER' from tenancy.products"
        ))
        .await;
    harness.delete(&harness.owner.token, path).await;
    let left: i64 = harness
        .client
        .query_one("select count(*) from auth.sessions where oauth_client_id is not null", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(left, 0, "what he has in another tenant does not keep a session in this one");
    assert_eq!(harness.opened().await, oldest);
}
