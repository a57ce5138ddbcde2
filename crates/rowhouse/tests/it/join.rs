//! Joining an organization by the verified domain of one's address.

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
    let owner = app.sign_up("owner@acme.example").await;
    let organization = claims(&owner.token)["org_id"].as_str().unwrap().to_owned();
    let harness = Harness { app, client, owner, organization };
    harness
        .sql(
            "insert into tenancy.organization_domains (organization_id, domain, verified_at, auto_join)
              values ($ORGANIZATION, 'acme.example', now(), true)",
        )
        .await;
    harness
}

impl Harness {
    async fn sql(&self, text: &str) {
        let text = text.replace("$ORGANIZATION", &format!("'{}'", self.organization));
        self.client.batch_execute(&text).await.unwrap();
    }

    async fn joinable(&self, user: &SignedIn) -> Value {
        self.app.get(&user.token, "/admin/v1/organizations/joinable").await.json()["items"].clone()
    }

    async fn join(&self, token: &str) -> TestResponse {
        let body = json!({ "organization_id": self.organization });
        self.app.post(token, "/admin/v1/organizations/join", body).await
    }
}

#[tokio::test]
async fn users_of_the_domain_join_and_others_do_not() {
    let harness = harness().await;
    let ada = harness.app.sign_up("ada@acme.example").await;
    let eve = harness.app.sign_up("eve@evil.example").await;
    let sub = harness.app.sign_up("sub@mail.acme.example").await;
    let expected = json!({
        "organization_id": harness.organization, "name": "owner", "domain": "acme.example", "role": "member",
    });
    assert_eq!(harness.joinable(&ada).await, json!([expected]));
    let refused = (403, "not_joinable".to_owned());
    for other in [&eve, &sub, &harness.owner] {
        assert_eq!(harness.joinable(other).await, json!([]));
        let answer = harness.join(&other.token).await;
        assert_eq!((answer.status.as_u16(), answer.code()), refused);
    }
    let joined = harness.join(&ada.token).await;
    assert_eq!((joined.status, joined.json()), (StatusCode::OK, expected), "{}", joined.text);
    let again = harness.join(&ada.token).await;
    assert_eq!((again.status.as_u16(), again.code()), refused, "a member does not join");
    let sql = "select details ->> 'domain' from audit.entries where action = 'member_added' and actor = $1";
    let domain: String = harness.client.query_one(sql, &[&ada.id]).await.unwrap().get(0);
    assert_eq!(domain, "acme.example");
    let path = format!("/admin/v1/organizations/{}/members", harness.organization);
    assert_eq!(harness.app.get(&ada.token, &path).await.status, StatusCode::OK);
}

#[tokio::test]
async fn nothing_less_than_a_confirmed_address_and_a_verified_domain_lets_anybody_in() {
    let harness = harness().await;
    let ada = harness.app.sign_up("ada@acme.example").await;
    for (change, back) in [
        (
            "update auth.users set email_confirmed_at = null where email = 'ada@acme.example'",
            "update auth.users set email_confirmed_at = now()",
        ),
        (
            "update tenancy.organization_domains set verified_at = null",
            "update tenancy.organization_domains set verified_at = now()",
        ),
        (
            "update tenancy.organization_domains set auto_join = false",
            "update tenancy.organization_domains set auto_join = true",
        ),
        (
            "update tenancy.organizations set status = 'suspended' where id = $ORGANIZATION",
            "update tenancy.organizations set status = 'active'",
        ),
    ] {
        harness.sql(change).await;
        let answer = harness.join(&ada.token).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (403, "not_joinable".to_owned()), "{change}");
        harness.sql(back).await;
    }
    assert_eq!(harness.join(&ada.token).await.status, StatusCode::OK);
}

#[tokio::test]
async fn suspended_members_stay_out_and_a_domain_has_one_owner() {
    let harness = harness().await;
    let ada = harness.app.sign_up("ada@acme.example").await;
    assert_eq!(harness.join(&ada.token).await.status, StatusCode::OK);
    harness.sql("update tenancy.organization_members set status = 'suspended' where role = 'member'").await;
    assert_eq!(harness.join(&ada.token).await.status.as_u16(), 403);
    let other = claims(&ada.token)["org_id"].as_str().unwrap().to_owned();
    let claim = |verified: &str| {
        format!(
            "insert into tenancy.organization_domains (organization_id, domain, verified_at) values ('{other}', 'acme.example', {verified})"
        )
    };
    assert!(harness.client.batch_execute(&claim("now()")).await.is_err(), "verified by another one");
    harness.client.batch_execute(&claim("null")).await.unwrap();
    for domain in ["ACME.example", "acme", "acme.example.", "*.acme.example", "acme..example"] {
        let sql = format!(
            "insert into tenancy.organization_domains (organization_id, domain) values ('{other}', '{domain}')"
        );
        assert!(harness.client.batch_execute(&sql).await.is_err(), "{domain}");
    }
    let nobody = harness
        .app
        .call(&harness.app.service_key, Method::GET, "/admin/v1/organizations/joinable", None)
        .await;
    assert_eq!(nobody.json()["items"], json!([]));
}
