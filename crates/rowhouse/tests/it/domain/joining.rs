//! Domains by which people join an organization, proved like those of tenants.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Harness, harness, of_organization, refusal};
use crate::support::{SignedIn, TestResponse};

impl Harness {
    async fn joinable(&self, user: &SignedIn) -> Value {
        self.app.get(&user.token, "/admin/v1/organizations/joinable").await.json()["items"].clone()
    }

    async fn set_joining(&self, user: &SignedIn, path: &str, body: Value) -> TestResponse {
        let request = self.app.request(Method::PATCH, path).bearer_auth(&user.token).header("if-match", "*");
        self.app.send(request.json(&body)).await
    }

    /// A verified domain of the owner's organization; its path.
    async fn joined_by(&self, name: &str) -> String {
        let path = of_organization(&self.owner);
        let made = self.claim_at(&self.owner, &path, name, "dns_txt").await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
        self.publish(&made.json());
        let proved = self.verify_at(&self.owner, &path, &made.json(), json!({})).await;
        assert_eq!(proved.json()["status"], json!("verified"), "{}", proved.text);
        format!("{path}/{}", made.json()["id"].as_str().unwrap())
    }
}

#[tokio::test]
async fn people_join_by_a_domain_while_it_is_proved() {
    let harness = harness().await;
    let ada = harness.app.sign_up("ada@acme.example").await;
    let path = harness.joined_by("acme.example").await;
    assert_eq!(harness.joinable(&ada).await, json!([]), "nobody joins unless the organization lets them");
    let set = harness.set_joining(&harness.owner, &path, json!({ "auto_join": true })).await;
    assert_eq!((set.status, &set.json()["auto_join"]), (StatusCode::OK, &json!(true)), "{}", set.text);
    assert_eq!(harness.joinable(&ada).await[0]["role"], json!("member"));
    let unseen = harness.app.request(Method::PATCH, &path).bearer_auth(&harness.owner.token);
    let unseen = harness.app.send(unseen.json(&json!({ "auto_join": false }))).await;
    assert_eq!(unseen.status.as_u16(), 428);
    // The domain is served for no tenant by that.
    assert_eq!(harness.owner_of("acme.example").await, None);
    // As the schedule does, once the proof has been missing for long enough.
    let sql = "update domains.claims set failures = 9, failing_since = now() - interval '9 days'";
    harness.client.batch_execute(sql).await.unwrap();
    let miss = "select domains.miss(id, 'gone', true, '1 hour', 3, '1 day', '9 days') from domains.claims";
    assert_eq!(harness.client.query_one(miss, &[]).await.unwrap().get::<_, String>(0), "failed");
    assert_eq!(harness.joinable(&ada).await, json!([]));
    let released = harness.app.call(&harness.owner.token, Method::DELETE, &path, None).await;
    assert_eq!(released.status, StatusCode::NO_CONTENT);
    let left = "select count(*) from tenancy.organization_domains";
    assert_eq!(harness.client.query_one(left, &[]).await.unwrap().get::<_, i64>(0), 0);
}

#[tokio::test]
async fn nobody_lets_others_join_above_himself() {
    let harness = harness().await;
    let path = harness.joined_by("acme.example").await;
    let clerk = harness.app.sign_up("clerk@example.com").await;
    let organization = path.split('/').nth(4).unwrap();
    let sql = format!(
        "insert into tenancy.roles (organization_id, name) values ('{organization}', 'clerk');
         insert into tenancy.role_permissions values ('{organization}', 'clerk', 'organization:view'),
           ('{organization}', 'clerk', 'organization:update');
         insert into tenancy.organization_members (organization_id, user_id, role) values ('{organization}', '{}', 'clerk')",
        clerk.id
    );
    harness.client.batch_execute(&sql).await.unwrap();
    let give = async |user: &SignedIn, role: &str| {
        refusal_or_ok(&harness.set_joining(user, &path, json!({ "auto_join_role": role })).await)
    };
    // Who joins is invited by this.
    assert_eq!(give(&clerk, "clerk").await, (403, "forbidden".to_owned()));
    let invite =
        format!("insert into tenancy.role_permissions values ('{organization}', 'clerk', 'members:invite')");
    harness.client.batch_execute(&invite).await.unwrap();
    assert_eq!(give(&clerk, "clerk").await, (200, String::new()));
    assert_eq!(give(&clerk, "manager").await, (403, "beyond_own_permissions".to_owned()));
    assert_eq!(give(&harness.owner, "manager").await, (200, String::new()));
    // Opening the door to a role that another one has set is giving it, too.
    let open = harness.set_joining(&clerk, &path, json!({ "auto_join": true })).await;
    assert_eq!(refusal(&open), (403, "beyond_own_permissions".to_owned()));
    assert_eq!(give(&harness.owner, "owner").await, (422, "invalid".to_owned()));
    assert_eq!(give(&harness.owner, "nobody").await, (422, "no_such_role".to_owned()));
}

fn refusal_or_ok(answer: &TestResponse) -> (u16, String) {
    if answer.status == StatusCode::OK { (200, String::new()) } else { refusal(answer) }
}

#[tokio::test]
async fn domain_that_another_organization_has_is_neither_joined_nor_served() {
    let harness = harness().await;
    harness.joined_by("acme.example").await;
    let stranger = harness.app.sign_up("stranger@example.com").await;
    for path in [super::of_tenant(&stranger), of_organization(&stranger)] {
        let theirs = harness.claim_at(&stranger, &path, "acme.example", "dns_txt").await;
        assert_eq!(theirs.status, StatusCode::CREATED, "{}", theirs.text);
        harness.publish(&theirs.json());
        let taken = harness.verify_at(&stranger, &path, &theirs.json(), json!({})).await;
        assert_eq!(refusal(&taken), (409, "domain_taken".to_owned()), "{path}");
    }
    // One's own tenant may be served where one's people join.
    let mine = harness.claim(&harness.owner, "acme.example", "dns_txt").await.json();
    harness.publish(&mine);
    assert_eq!(harness.verify(&harness.owner, &mine).await.json()["status"], json!("verified"));
}
