//! How far a key reaches: not beyond its maker, its organization, its tenant and the admin API.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use rowhouse_http::ServerSettings;
use rowhouse_kernel::settings::Settings;
use serde_json::{Value, json};

use super::{Harness, harness, refusal};
use crate::support::{TestApp, claims};

#[tokio::test]
async fn nobody_makes_a_key_that_can_do_more_than_himself() {
    let harness = harness().await;
    let admin = harness.member("admin@example.com", "admin").await;
    let manager = harness.member("manager@example.com", "manager").await;
    let body = |scopes: Value| json!({ "name": "service", "scopes": scopes });
    let beyond = harness.create_by(&admin.token, body(json!(["organization:delete"]))).await;
    assert_eq!(refusal(&beyond), (403, "beyond_own_permissions".to_owned()));
    let may_not = harness.create_by(&manager.token, body(json!(["members:view"]))).await;
    assert_eq!(refusal(&may_not), (403, "forbidden".to_owned()));
    let listed = harness.get(&manager.token, "/api-keys").await;
    assert_eq!(listed.status, StatusCode::OK, "managers see keys");
    // A key makes keys within its own scopes.
    let parent = harness.with_scopes(&["permissions:modify", "members:view"]).await;
    let child = harness.create_by(&parent.key, body(json!(["members:view"]))).await;
    assert_eq!(child.status, StatusCode::CREATED, "{}", child.text);
    assert_eq!(child.json()["created_by"], json!(format!("api_key:{}", parent.id)));
    let beyond = harness.create_by(&parent.key, body(json!(["members:manage"]))).await;
    assert_eq!(refusal(&beyond), (403, "beyond_own_permissions".to_owned()));
}

#[tokio::test]
async fn key_gives_no_role_that_can_do_more_than_itself() {
    let harness = harness().await;
    let member = harness.member("member@example.com", "member").await;
    let made = harness.with_scopes(&["members:manage", "members:view", "members:invite"]).await;
    let path = harness.path(&format!("/members/{}", member.id));
    for role in ["owner", "admin"] {
        let answer = harness.app.call(&made.key, Method::PUT, &path, Some(json!({ "role": role }))).await;
        assert_eq!(answer.status.as_u16(), 403, "{role}: {}", answer.text);
        let body = json!({ "email": "ada@example.com", "role": role });
        let answer = harness.app.post(&made.key, &harness.path("/invitations"), body).await;
        assert_eq!(answer.status.as_u16(), 403, "{role}: {}", answer.text);
    }
    let all = [
        "organization:view",
        "members:view",
        "tenant:view",
        "identity:read",
        "permissions:view",
        "members:invite",
    ];
    let able = harness.with_scopes(&all).await;
    let body = json!({ "email": "ada@example.com", "role": "member" });
    let answer = harness.app.post(&able.key, &harness.path("/invitations"), body).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
    assert_eq!(answer.json()["invited_by"], json!(format!("api_key:{}", able.id)));
}

#[tokio::test]
async fn invitation_ends_with_the_key_that_sent_it() {
    let harness = harness().await;
    let all = [
        "organization:view",
        "members:view",
        "tenant:view",
        "identity:read",
        "permissions:view",
        "members:invite",
    ];
    let made = harness.with_scopes(&all).await;
    let body = json!({ "email": "ada@example.com" });
    assert_eq!(
        harness.app.post(&made.key, &harness.path("/invitations"), body).await.status,
        StatusCode::CREATED
    );
    let may = "select tenancy.inviter_may(i) from tenancy.invitations i";
    assert!(harness.client.query_one(may, &[]).await.unwrap().get::<_, bool>(0));
    harness.sql("update tenancy.api_keys set revoked_at = now()").await;
    assert!(!harness.client.query_one(may, &[]).await.unwrap().get::<_, bool>(0));
}

#[tokio::test]
async fn key_of_a_tenant_reaches_that_tenant_only() {
    let harness = harness().await;
    let other =
        harness.app.post(&harness.owner.token, &harness.path("/tenants"), json!({ "name": "Other" })).await;
    let other = other.json()["id"].as_str().unwrap().to_owned();
    let body = json!({
        "name": "service", "scopes": ["tenant:view", "organization:view"], "tenant_id": harness.owner.tenant,
    });
    let made = harness.made(body).await;
    let tenant =
        async |id: &str| harness.app.get(&made.key, &format!("/admin/v1/tenants/{id}")).await.status.as_u16();
    assert_eq!((tenant(&harness.owner.tenant).await, tenant(&other).await), (200, 403));
    assert_eq!(harness.get(&made.key, "").await.status.as_u16(), 403, "nor the organization itself");
    // The owner's own session ends with the tenant.
    let whole = harness.with_scopes(&["tenant:view"]).await;
    harness.sql("update tenancy.tenants set status = 'suspended' where id = $TENANT").await;
    assert_eq!(tenant(&harness.owner.tenant).await, 401);
    let path = format!("/admin/v1/tenants/{other}");
    assert_eq!(harness.app.get(&whole.key, &path).await.status, StatusCode::OK);
}

/// Every operation of the admin API, with a key of another organization that has every scope.
#[tokio::test]
async fn key_of_another_organization_reaches_nothing() {
    let harness = harness().await;
    let rival = harness.app.sign_up("rival@example.com").await;
    let organization = claims(&rival.token)["org_id"].as_str().unwrap().to_owned();
    let scopes: Vec<&str> =
        rowhouse_tenancy::permission::Permission::ALL.iter().map(|one| one.as_str()).collect();
    let path = format!("/admin/v1/organizations/{organization}/api-keys");
    let body = json!({ "name": "rival", "scopes": scopes });
    let made = harness.app.post(&rival.token, &path, body).await.json();
    let key = made["key"].as_str().unwrap();
    let before = harness.dump().await;
    let mut tried = 0;
    for operation in harness.app.contract().await.operations() {
        let (path, method) = (operation.path.clone(), operation.method.to_uppercase());
        let is_public = path.starts_with("/branding/");
        if is_public || !path.contains("{organization}") && !path.contains("{tenant}") {
            continue;
        }
        let path =
            path.replace("{organization}", &harness.organization).replace("{tenant}", &harness.owner.tenant);
        let path: String = path
            .split('/')
            .map(|part| if part.starts_with('{') { harness.owner.id.as_str() } else { part })
            .collect::<Vec<_>>()
            .join("/");
        let request =
            harness.app.request(method.parse().unwrap(), &format!("/admin/v1{path}")).bearer_auth(key);
        let answer = harness.app.send(request.json(&json!({}))).await;
        assert!(
            matches!(answer.status.as_u16(), 400 | 403 | 404 | 422),
            "{method} {path}: {} {}",
            answer.status,
            answer.text
        );
        tried += 1;
    }
    assert!(tried > 10, "{tried}");
    assert_eq!(harness.dump().await, before);
}

impl Harness {
    /// Everything of the organization.
    async fn dump(&self) -> String {
        let sql = format!(
            "select coalesce(string_agg(t, E'\\n' order by t), '') from (
               select o::text from tenancy.organizations o where o.id = '{0}'
               union all select t::text from tenancy.tenants t where t.organization_id = '{0}'
               union all select m::text from tenancy.organization_members m where m.organization_id = '{0}'
               union all select i::text from tenancy.invitations i where i.organization_id = '{0}'
               union all select k::text from tenancy.api_keys k where k.organization_id = '{0}') all_of_it (t)",
            self.organization
        );
        self.client.query_one(&sql, &[]).await.unwrap().get(0)
    }
}

/// Operations for users, operators and the service key only.
#[tokio::test]
async fn operations_of_the_installation_are_refused_to_keys() {
    let harness = harness().await;
    let scopes: Vec<&str> =
        rowhouse_tenancy::permission::Permission::ALL.iter().map(|one| one.as_str()).collect();
    let made = harness.with_scopes(&scopes).await;
    let installation = [
        (Method::GET, "/admin/v1/jobs".to_owned(), None),
        (Method::GET, "/admin/v1/organizations".to_owned(), None),
        (Method::GET, "/admin/v1/tenants".to_owned(), None),
        (Method::POST, "/admin/v1/organizations".to_owned(), Some(json!({ "name": "New" }))),
        (Method::POST, harness.path("/suspend"), Some(json!({ "reason": "x" }))),
        (
            Method::POST,
            "/admin/v1/organizations/join".to_owned(),
            Some(json!({ "organization_id": harness.organization })),
        ),
    ];
    for (method, path, body) in installation {
        let answer = harness.app.call(&made.key, method.clone(), &path, body).await;
        assert_eq!(answer.status.as_u16(), 403, "{method} {path}: {}", answer.text);
    }
}

#[tokio::test]
async fn other_surfaces_refuse_keys_in_their_own_words() {
    let harness = harness().await;
    let made = harness.with_scopes(&["organization:view"]).await;
    for (path, hint) in [
        ("/rest/v1/todos", "no JWT"),
        ("/auth/v1/user", "below /admin/v1 only"),
        ("/mail/v1/messages/1", "a service_role key is needed"),
    ] {
        let answer = harness.app.get(&made.key, path).await;
        assert!(matches!(answer.status.as_u16(), 401 | 403), "{path}: {} {}", answer.status, answer.text);
        assert!(answer.text.contains(hint), "{path}: {}", answer.text);
    }
    let rest = harness.app.get(&made.key, "/rest/v1/todos").await;
    assert_eq!(refusal(&rest), (401, "PGRST301".to_owned()));
}

/// A tenth of them is enough: unknown keys count like invalid tokens, and known ones pass.
#[tokio::test]
async fn guessed_keys_count_as_invalid_tokens() {
    let mut settings: Settings = crate::support::settings();
    settings.update(|server: &mut ServerSettings| server.bad_token_rate_per_5min = 5);
    let app = TestApp::start_with(settings).await;
    let owner = app.sign_up("owner@example.com").await;
    let organization = claims(&owner.token)["org_id"].as_str().unwrap().to_owned();
    let path = format!("/admin/v1/organizations/{organization}");
    let body = json!({ "name": "service", "scopes": ["organization:view"] });
    let made = app.post(&owner.token, &format!("{path}/api-keys"), body).await.json();
    let ask =
        async |key: &str| app.send(app.request(Method::GET, &path).bearer_auth(key)).await.status.as_u16();
    let guess = format!("rhk_{}A", "B".repeat(42));
    for _ in 0..5 {
        assert_eq!(ask(&guess).await, 401);
    }
    assert_eq!((ask(&guess).await, ask("rhk_short").await), (429, 429));
    assert_eq!(ask(made["key"].as_str().unwrap()).await, 200);
}

/// Idempotency keys of two API keys of one organization are apart.
#[tokio::test]
async fn answers_kept_for_one_key_are_not_given_to_another() {
    let harness = harness().await;
    let (one, two) =
        (harness.with_scopes(&["tenant:create"]).await, harness.with_scopes(&["tenant:create"]).await);
    let post = async |key: &str, name: &str| {
        let request = harness.app.request(Method::POST, &harness.path("/tenants")).bearer_auth(key);
        let request = request.header("idempotency-key", "same").timeout(Duration::from_secs(20));
        harness.app.send(request.json(&json!({ "name": name }))).await
    };
    let (first, second) = (post(&one.key, "First").await, post(&two.key, "Second").await);
    assert_eq!((first.status, second.status), (StatusCode::CREATED, StatusCode::CREATED), "{}", second.text);
    assert_ne!(first.json()["id"], second.json()["id"]);
}

#[tokio::test]
async fn key_makes_none_that_outlives_it() {
    let harness = harness().await;
    let body = |end: Value| json!({ "name": "service", "scopes": ["permissions:modify"], "expires_at": end });
    let parent = harness.made(body(json!("2099-01-01T00:00:00Z"))).await;
    let make = async |end: Value| harness.create_by(&parent.key, body(end)).await;
    for end in [Value::Null, json!("2099-01-01T00:00:00.000001Z")] {
        let refused = make(end.clone()).await;
        assert_eq!(refusal(&refused), (422, "invalid".to_owned()), "{end}");
        assert!(refused.text.contains("expires_at"), "{}", refused.text);
    }
    for end in ["2099-01-01T00:00:00Z", "2098-01-01T00:00:00Z"] {
        let made = make(json!(end)).await;
        assert_eq!(made.status, StatusCode::CREATED, "{end}: {}", made.text);
    }
}

#[tokio::test]
async fn keys_that_ended_long_ago_are_removed() {
    let harness = harness().await;
    let mut made = Vec::new();
    for _ in 0..4 {
        made.push(harness.with_scopes(&["organization:view"]).await.id);
    }
    for (id, change) in made.iter().zip([
        "revoked_at = now() - interval '91 days'",
        "expires_at = now() - interval '91 days'",
        "revoked_at = now() - interval '89 days', expires_at = now() + interval '1 day'",
    ]) {
        harness.sql(&format!("update tenancy.api_keys set {change} where id = '{id}'")).await;
    }
    // What the hourly job calls.
    let prune = "select tenancy.prune_api_keys(interval '90 days')";
    assert_eq!(harness.client.query_one(prune, &[]).await.unwrap().get::<_, i64>(0), 2);
    let left = "select count(*) from tenancy.api_keys";
    assert_eq!(harness.client.query_one(left, &[]).await.unwrap().get::<_, i64>(0), 2);
}
