//! Keys of an organization's services: made, used and revoked over the admin API.

mod reach;
mod unknown;

use futures_util::future::join_all;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::support::{SignedIn, TestApp, TestResponse, claims};

struct Harness {
    app: TestApp,
    client: Client,
    owner: SignedIn,
    organization: String,
}

async fn harness() -> Harness {
    let app = TestApp::start().await;
    let client = app.db.superuser().await;
    let owner = app.sign_up("owner@example.com").await;
    let organization = claims(&owner.token)["org_id"].as_str().unwrap().to_owned();
    Harness { app, client, owner, organization }
}

/// A key that has been made.
struct Made {
    id: String,
    key: String,
}

impl Harness {
    fn path(&self, rest: &str) -> String {
        format!("/admin/v1/organizations/{}{rest}", self.organization)
    }

    async fn create_by(&self, token: &str, body: Value) -> TestResponse {
        self.app.post(token, &self.path("/api-keys"), body).await
    }

    async fn made(&self, body: Value) -> Made {
        let answer = self.create_by(&self.owner.token, body).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
        let text = |name: &str| answer.json()[name].as_str().unwrap().to_owned();
        Made { id: text("id"), key: text("key") }
    }

    async fn with_scopes(&self, scopes: &[&str]) -> Made {
        self.made(json!({ "name": "service", "scopes": scopes })).await
    }

    async fn get(&self, key: &str, rest: &str) -> TestResponse {
        self.app.get(key, &self.path(rest)).await
    }

    async fn sql(&self, text: &str) {
        let text = text.replace("$ORGANIZATION", &format!("'{}'", self.organization));
        self.client
            .batch_execute(&text.replace("$TENANT", &format!("'{}'", self.owner.tenant)))
            .await
            .unwrap();
    }

    async fn member(&self, email: &str, role: &str) -> SignedIn {
        let user = self.app.sign_up(email).await;
        let sql = "insert into tenancy.organization_members (organization_id, user_id, role)
                   values ($1::text::uuid, $2::text::uuid, $3)";
        self.client.execute(sql, &[&self.organization, &user.id, &role]).await.unwrap();
        user
    }

    async fn count(&self, sql: &str) -> i64 {
        self.client.query_one(&format!("select count(*) from {sql}"), &[]).await.unwrap().get(0)
    }
}

fn refusal(answer: &TestResponse) -> (u16, String) {
    (answer.status.as_u16(), answer.code())
}

#[tokio::test]
async fn key_acts_by_its_scopes_and_is_named_in_the_audit_log() {
    let harness = harness().await;
    let made = harness.with_scopes(&["organization:view", "members:view", "tenant:create"]).await;
    assert!(made.key.starts_with("rhk_") && made.key.len() == 47, "{}", made.key);
    assert_eq!(harness.get(&made.key, "").await.status, StatusCode::OK);
    assert_eq!(harness.get(&made.key, "/members").await.status, StatusCode::OK);
    let created = harness.app.post(&made.key, &harness.path("/tenants"), json!({ "name": "Sales" })).await;
    assert_eq!(created.status, StatusCode::CREATED, "{}", created.text);
    let refused = harness.app.call(&made.key, Method::DELETE, &harness.path(""), None).await;
    assert_eq!(refusal(&refused), (403, "forbidden".to_owned()));
    let sql = "select actor from audit.entries where action = 'tenant_created'";
    let actor: String = harness.client.query_one(sql, &[]).await.unwrap().get(0);
    assert_eq!(actor, format!("api_key:{}", made.id));
}

#[tokio::test]
async fn key_is_shown_once_and_stored_as_a_digest() {
    let harness = harness().await;
    let post = async || {
        let request =
            harness.app.request(Method::POST, &harness.path("/api-keys")).bearer_auth(&harness.owner.token);
        let body = json!({ "name": "service", "scopes": ["organization:view"] });
        harness.app.send(request.header("idempotency-key", "once").json(&body)).await
    };
    let (first, again) = (post().await, post().await);
    let key = first.json()["key"].as_str().unwrap().to_owned();
    assert_eq!((again.status, &again.json()["key"]), (StatusCode::CREATED, &Value::Null), "{}", again.text);
    assert_eq!(again.json()["id"], first.json()["id"]);
    let listed = harness.get(&harness.owner.token, "/api-keys").await;
    assert!(!listed.text.contains(&key));
    let items = listed.json()["items"].as_array().unwrap().clone();
    assert_eq!(
        (items.len(), &items[0]["hint"], &items[0]["created_by"]),
        (1, &json!(&key[43..]), &json!(harness.owner.id))
    );
    for table in ["tenancy.api_keys", "audit.entries", "rowhouse.idempotency_keys"] {
        let found = format!("{table} t where strpos(t::text, '{key}') > 0");
        assert_eq!(harness.count(&found).await, 0, "{table}");
    }
    let digest = format!("tenancy.api_keys where digest = sha256('{key}')");
    assert_eq!(harness.count(&digest).await, 1);
}

#[tokio::test]
async fn revoked_expired_and_closed_keys_are_refused_at_the_next_request() {
    let harness = harness().await;
    let made = harness.with_scopes(&["organization:view"]).await;
    let works = async || harness.get(&made.key, "").await.status.as_u16();
    for (change, back) in [
        ("update tenancy.api_keys set expires_at = now()", "update tenancy.api_keys set expires_at = null"),
        (
            "update tenancy.organizations set status = 'suspended' where id = $ORGANIZATION",
            "update tenancy.organizations set status = 'active'",
        ),
    ] {
        assert_eq!(works().await, 200, "before {change}");
        harness.sql(change).await;
        assert_eq!(works().await, 401, "{change}");
        harness.sql(back).await;
    }
    assert_eq!(works().await, 200);
    let path = harness.path(&format!("/api-keys/{}", made.id));
    for _ in 0..2 {
        let revoked = harness.app.call(&harness.owner.token, Method::DELETE, &path, None).await;
        assert_eq!(revoked.status, StatusCode::NO_CONTENT);
        assert_eq!(works().await, 401);
    }
    assert_eq!(harness.count("audit.entries where action = 'api_key_revoked'").await, 1);
    let refused = harness.get(&made.key, "").await;
    assert!(refused.text.contains("API key is unknown, revoked or expired"), "{}", refused.text);
}

#[tokio::test]
async fn use_is_noted_once_a_minute_also_when_requests_come_together() {
    let harness = harness().await;
    let made = harness.with_scopes(&["organization:view"]).await;
    assert_eq!(harness.count("tenancy.api_keys where last_used_at is null").await, 1);
    let answers = join_all((0..8).map(|_| harness.get(&made.key, ""))).await;
    assert!(answers.iter().all(|answer| answer.status == StatusCode::OK));
    let noted = async || -> String {
        let sql = "select last_used_at::text from tenancy.api_keys";
        harness.client.query_one(sql, &[]).await.unwrap().get(0)
    };
    let first = noted().await;
    assert_eq!(harness.get(&made.key, "").await.status, StatusCode::OK);
    assert_eq!(noted().await, first);
    harness.sql("update tenancy.api_keys set last_used_at = last_used_at - interval '61 seconds'").await;
    let aged = noted().await;
    assert_eq!(harness.get(&made.key, "").await.status, StatusCode::OK);
    assert_ne!(noted().await, aged);
}

#[tokio::test]
async fn keys_that_cannot_be_made_are_refused() {
    let harness = harness().await;
    let stranger = harness.app.sign_up("stranger@example.com").await;
    let with = |more: Value| {
        let mut body = json!({ "name": "service", "scopes": ["organization:view"] });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    for (more, status) in [
        (json!({ "name": "" }), 422),
        (json!({ "scopes": [] }), 422),
        (json!({ "scopes": ["organization:view", "organization:view"] }), 422),
        (json!({ "scopes": ["everything"] }), 400),
        (json!({ "expires_at": "2020-01-01T00:00:00Z" }), 422),
        (json!({ "expires_at": "infinity" }), 422),
        (json!({ "tenant_id": stranger.tenant }), 422),
        (json!({ "tenant_id": "0198d5a1-0000-7000-8000-000000000001" }), 422),
        (json!({ "key": "rhk_mine" }), 400),
    ] {
        let answer = harness.create_by(&harness.owner.token, with(more.clone())).await;
        assert_eq!(answer.status.as_u16(), status, "{more}: {}", answer.text);
    }
    let foreign = format!(
        "insert into tenancy.api_keys (organization_id, tenant_id, name, hint, digest, scopes)
         values ('{}', '{}', 'x', 'xxxx', sha256('x'), array['tenant:view'])",
        harness.organization, stranger.tenant
    );
    assert!(harness.client.batch_execute(&foreign).await.is_err(), "the schema refuses it as well");
}
