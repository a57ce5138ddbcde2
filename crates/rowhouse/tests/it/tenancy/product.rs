//! Products: made by operators, seen by all, enabled for tenants.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Harness, harness, refusal, said};

impl Harness {
    /// Makes a product by the service key.
    pub(super) async fn product(&self, slug: &str) {
        let body = json!({ "slug": slug, "name": slug.to_uppercase() });
        let made = self.post(&self.app.service_key, "/products", body).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    }

    /// The same, enabled for the owner's tenant.
    pub(super) async fn enabled_product(&self, slug: &str) {
        self.product(slug).await;
        let path = format!("/tenants/$TENANT/products/{slug}/production");
        let enabled = self.put(&self.owner.token, &path, json!({})).await;
        assert_eq!(enabled.status, StatusCode::OK, "{}", enabled.text);
    }

    /// An application that an administrator, or anybody, has registered.
    pub(super) async fn application(&self, id: &str, registration: &str) {
        let sql = "insert into auth.oauth_clients
              (id, registration_type, redirect_uris, grant_types, client_type, token_endpoint_auth_method)
            values ('$ID', '$KIND', 'https://a.example/cb,https://b.example/cb', 'authorization_code,refresh_token',
              'public', 'none')";
        self.sql(&sql.replace("$ID", id).replace("$KIND", registration)).await;
    }
}

const APPLICATION: &str = "0198d5a1-0000-7000-8000-00000000000a";

#[tokio::test]
async fn products_are_made_by_super_admins_and_the_service_key_alone() {
    let harness = harness().await;
    let body = |slug: &str| json!({ "slug": slug, "name": "CRM" });
    let refused = harness.post(&harness.owner.token, "/products", body("crm")).await;
    assert_eq!(said(&refused), refusal(403, "forbidden"));
    harness
        .sql("insert into tenancy.operators (user_id, role, reason) values ($OTHER, 'support', 'test')")
        .await;
    let support = harness.post(&harness.other.token, "/products", body("crm")).await;
    assert_eq!(said(&support), refusal(403, "forbidden"), "support sees only");
    harness.sql("update tenancy.operators set role = 'super_admin'").await;
    let made = harness.post(&harness.other.token, "/products", body("crm")).await;
    assert_eq!(
        (made.status, &made.json()["status"]),
        (StatusCode::CREATED, &json!("active")),
        "{}",
        made.text
    );
    let again = harness.post(&harness.app.service_key, "/products", body("crm")).await;
    assert_eq!(said(&again), refusal(409, "slug_taken"));
    for (field, value) in [
        ("slug", json!("-x")),
        ("name", json!("")),
        ("icon_url", json!("javascript:alert(1)")),
        ("launcher_url", json!("ftp://a.example")),
        ("scopes", json!(["email", "email"])),
        ("scopes", json!(["two words"])),
        ("oauth_client_id", json!(APPLICATION)),
    ] {
        let mut body = body("other");
        body[field] = value;
        let refused = harness.post(&harness.app.service_key, "/products", body.clone()).await;
        assert_eq!(said(&refused), refusal(422, "invalid"), "{body}");
    }
    let deleted = harness.delete(&harness.owner.token, "/products/crm").await;
    assert_eq!(said(&deleted), refusal(403, "forbidden"));
    assert_eq!(
        harness.delete(&harness.app.service_key, "/products/crm").await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(harness.actions().await, ["product_created", "product_deleted"]);
}

#[tokio::test]
async fn product_is_changed_by_who_has_seen_it_and_retired_for_all_but_operators() {
    let harness = harness().await;
    harness.product("crm").await;
    let key = &harness.app.service_key;
    let path = harness.path("/products/crm");
    let seen = harness.get(&harness.owner.token, "/products/crm").await;
    assert_eq!((seen.status, &seen.json()["name"]), (StatusCode::OK, &json!("CRM")));
    let change = async |tag: Option<&str>, body: Value| {
        let request = harness.app.request(Method::PATCH, &path).bearer_auth(key).json(&body);
        harness.app.send(tag.into_iter().fold(request, |request, tag| request.header("if-match", tag))).await
    };
    assert_eq!(said(&change(None, json!({})).await), refusal(428, "if_match_required"));
    let tag = seen.headers["etag"].to_str().unwrap().to_owned();
    let body = json!({ "launcher_url": "https://crm.example", "description": "Customers" });
    let changed = change(Some(&tag), body).await.json();
    assert_eq!((&changed["launcher_url"], &changed["name"]), (&json!("https://crm.example"), &json!("CRM")));
    assert_eq!(said(&change(Some(&tag), json!({})).await), refusal(412, "changed"));
    let cleared = change(Some("*"), json!({ "launcher_url": null })).await.json();
    assert_eq!((&cleared["launcher_url"], &cleared["description"]), (&Value::Null, &json!("Customers")));
    change(Some("*"), json!({ "status": "retired" })).await;
    let hidden = harness.get(&harness.owner.token, "/products/crm").await;
    assert_eq!(said(&hidden), refusal(404, "not_found"));
    let listed = async |token: &str| harness.get(token, "/products").await.json()["items"].clone();
    assert_eq!(listed(&harness.owner.token).await, json!([]));
    assert_eq!(listed(key).await[0]["status"], "retired");
}

#[tokio::test]
async fn product_that_is_made_twice_with_one_key_exists_once() {
    let harness = harness().await;
    let send = async || {
        let request = harness.app.request(Method::POST, &harness.path("/products"));
        let request = request.bearer_auth(&harness.app.service_key).header("idempotency-key", "crm");
        harness.app.send(request.json(&json!({ "slug": "crm", "name": "CRM" }))).await
    };
    let (first, again) = (send().await, send().await);
    assert_eq!((first.status, again.status), (StatusCode::CREATED, StatusCode::CREATED), "{}", again.text);
    assert_eq!(first.json(), again.json());
    assert_eq!(again.headers["idempotency-replayed"], "true");
    assert_eq!(harness.actions().await, ["product_created"]);
}

#[tokio::test]
async fn application_belongs_to_one_product_which_shows_its_redirects() {
    let harness = harness().await;
    harness.application(APPLICATION, "manual").await;
    let create = async |slug: &str, application: &str| {
        let body = json!({ "slug": slug, "name": "CRM", "oauth_client_id": application });
        harness.post(&harness.app.service_key, "/products", body).await
    };
    let made = create("crm", APPLICATION).await.json();
    assert_eq!(made["redirect_uris"], json!(["https://a.example/cb", "https://b.example/cb"]), "{made}");
    assert_eq!(said(&create("erp", APPLICATION).await), refusal(409, "application_taken"));
    let dynamic = "0198d5a1-0000-7000-8000-00000000000b";
    harness.application(dynamic, "dynamic").await;
    assert_eq!(
        said(&create("erp", dynamic).await),
        refusal(422, "invalid"),
        "anybody may have registered it"
    );
}

#[tokio::test]
async fn tenant_enables_a_product_for_environments() {
    let harness = harness().await;
    harness.product("crm").await;
    harness
        .sql("insert into tenancy.memberships (tenant_id, user_id, role) values ($TENANT, $OTHER, 'member')")
        .await;
    let (owner, member) = (&harness.owner.token, &harness.other.token);
    let production = "/tenants/$TENANT/products/crm/production";
    assert_eq!(said(&harness.put(member, production, json!({})).await), refusal(403, "forbidden"));
    let first = harness.put(owner, production, json!({})).await;
    assert_eq!((first.status, &first.json()["enabled_by"]), (StatusCode::OK, &json!(harness.owner.id)));
    let again = harness.put(&harness.app.service_key, production, json!({})).await;
    assert_eq!(again.json(), first.json(), "it stays as it is");
    harness.put(owner, "/tenants/$TENANT/products/crm/staging", json!({})).await;
    let unknown = harness.put(owner, "/tenants/$TENANT/products/crm/moon", json!({})).await;
    assert_eq!(unknown.status.as_u16(), 400);
    let nothing = harness.put(owner, "/tenants/$TENANT/products/erp/staging", json!({})).await;
    assert_eq!(said(&nothing), refusal(404, "not_found"));
    let listed = async |query: &str| {
        let page = harness.get(member, &format!("/tenants/$TENANT/products{query}")).await.json();
        let names: Vec<Value> =
            page["items"].as_array().unwrap().iter().map(|one| one["environment"].clone()).collect();
        (names, page["next"].as_str().map(str::to_owned))
    };
    let (first, next) = listed("?limit=1").await;
    assert_eq!(first, ["production"]);
    assert_eq!(listed(&format!("?cursor={}", next.unwrap())).await, (vec![json!("staging")], None));
    let in_use = harness.delete(&harness.app.service_key, "/products/crm").await;
    assert_eq!(said(&in_use), refusal(409, "product_in_use"));
    assert_eq!(said(&harness.delete(member, production).await), refusal(403, "forbidden"));
    assert_eq!(harness.delete(owner, production).await.status, StatusCode::NO_CONTENT);
    assert_eq!(said(&harness.delete(owner, production).await), refusal(404, "not_found"));
    harness.sql("update tenancy.products set status = 'retired'").await;
    assert_eq!(said(&harness.put(owner, production, json!({})).await), refusal(409, "product_retired"));
    let actions = ["product_created", "product_enabled", "product_enabled", "product_disabled"];
    assert_eq!(harness.actions().await, actions);
    assert_eq!(harness.events().await, actions.map(|action| format!("tenancy.{action}")));
}
