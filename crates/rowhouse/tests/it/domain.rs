//! Domains of tenants and organizations over HTTP, with a name server that says what a test tells it.

mod joining;
mod letter;

use reqwest::{Method, StatusCode};
use rowhouse_domain::DomainSettings;
use rowhouse_testkit::NameServer;
use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::support::{SignedIn, TestApp, TestResponse, claims, settings};

struct Harness {
    app: TestApp,
    client: Client,
    names: NameServer,
    owner: SignedIn,
}

async fn harness() -> Harness {
    let names = NameServer::start();
    let mut settings = settings();
    settings.update(|domains: &mut DomainSettings| {
        domains.name_server = Some(names.address.to_string());
        domains.per_tenant = 3;
    });
    let app = TestApp::start_with(settings).await;
    let client = app.db.superuser().await;
    let owner = app.sign_up("owner@example.com").await;
    Harness { app, client, names, owner }
}

fn of_tenant(user: &SignedIn) -> String {
    format!("/admin/v1/tenants/{}/domains", user.tenant)
}

fn of_organization(user: &SignedIn) -> String {
    let organization = claims(&user.token)["org_id"].as_str().unwrap().to_owned();
    format!("/admin/v1/organizations/{organization}/domains")
}

fn refusal(answer: &TestResponse) -> (u16, String) {
    (answer.status.as_u16(), answer.code())
}

impl Harness {
    async fn claim_at(&self, user: &SignedIn, path: &str, name: &str, proof: &str) -> TestResponse {
        self.app.post(&user.token, path, json!({ "name": name, "proof": proof })).await
    }

    async fn claim(&self, user: &SignedIn, name: &str, proof: &str) -> TestResponse {
        self.claim_at(user, &of_tenant(user), name, proof).await
    }

    /// Looks for the proof, however short ago it was looked for.
    async fn verify_at(&self, user: &SignedIn, path: &str, domain: &Value, body: Value) -> TestResponse {
        let sql = "update domains.claims set checked_at = checked_at - interval '1 minute'";
        self.client.batch_execute(sql).await.unwrap();
        let path = format!("{path}/{}/verify", domain["id"].as_str().unwrap());
        self.app.post(&user.token, &path, body).await
    }

    async fn verify(&self, user: &SignedIn, domain: &Value) -> TestResponse {
        self.verify_at(user, &of_tenant(user), domain, json!({})).await
    }

    /// Publishes what a domain's challenge asks for.
    fn publish(&self, domain: &Value) {
        let text = |name: &str| domain["challenge"][name].as_str().unwrap().to_owned();
        self.names.set(&text("name"), &text("kind"), &[&text("value")]);
    }

    async fn owner_of(&self, host: &str) -> Option<String> {
        let sql = "select domains.owner_of($1)::text";
        self.client.query_one(sql, &[&host]).await.unwrap().get(0)
    }
}

#[tokio::test]
async fn tenant_proves_a_domain_by_a_record_and_gives_it_up() {
    let harness = harness().await;
    let (owner, path) = (&harness.owner, of_tenant(&harness.owner));
    let made = harness.claim(owner, " Shop.Bücher.example. ", "dns_txt").await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    let domain = made.json();
    let name = "shop.xn--bcher-kva.example";
    assert_eq!((&domain["name"], &domain["status"]), (&json!(name), &json!("pending")));
    assert_eq!(domain["challenge"]["name"], json!(format!("_rowhouse-domain.{name}")));
    let early = harness.verify(owner, &domain).await;
    assert_eq!(
        (early.status, &early.json()["status"]),
        (StatusCode::OK, &json!("pending")),
        "{}",
        early.text
    );
    assert_eq!(early.json()["last_error"], json!(format!("_rowhouse-domain.{name} has no TXT record")));
    let path_of_it = format!("{path}/{}", domain["id"].as_str().unwrap());
    let again = harness.app.post(&owner.token, &format!("{path_of_it}/verify"), json!({})).await;
    assert_eq!(refusal(&again), (429, "too_soon".to_owned()));
    harness.publish(&domain);
    let proved = harness.verify(owner, &domain).await;
    assert_eq!(proved.json()["status"], json!("verified"), "{}", proved.text);
    assert_eq!(harness.owner_of("SHOP.xn--bcher-kva.example").await, Some(owner.tenant.clone()));
    assert_eq!(refusal(&harness.claim(owner, name, "http").await), (409, "domain_verified".to_owned()));
    let listed = harness.app.get(&owner.token, &path).await.json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    assert_eq!(harness.app.get(&owner.token, &path_of_it).await.json(), listed["items"][0]);
    for _ in 0..2 {
        let released = harness.app.call(&owner.token, Method::DELETE, &path_of_it, None).await;
        assert_eq!(released.status, StatusCode::NO_CONTENT);
    }
    assert_eq!(harness.owner_of(name).await, None);
    assert_eq!(harness.app.get(&owner.token, &path).await.json()["items"], json!([]));
    let released = harness.app.get(&owner.token, &format!("{path}?status=released")).await.json();
    assert_eq!(released["items"][0]["name"], json!(name));
    let sql = "select string_agg(action, ' ' order by occurred_at, id) from audit.entries
               where source = 'domains' and actor = $1 and tenant_id::text = $2";
    let log: String = harness.client.query_one(sql, &[&owner.id, &owner.tenant]).await.unwrap().get(0);
    assert_eq!(log, "domain_claimed domain_verified domain_released");
}

#[tokio::test]
async fn alias_proves_a_domain_too() {
    let harness = harness().await;
    let domain = harness.claim(&harness.owner, "shop.example", "dns_cname").await.json();
    let value = domain["challenge"]["value"].as_str().unwrap();
    assert!(value.ends_with(".domains.rowhouse.test"), "{value}");
    harness.publish(&domain);
    assert_eq!(harness.verify(&harness.owner, &domain).await.json()["status"], json!("verified"));
}

#[tokio::test]
async fn name_has_one_owner_and_nobody_learns_who_it_is() {
    let harness = harness().await;
    let stranger = harness.app.sign_up("stranger@example.com").await;
    let mine = harness.claim(&harness.owner, "shop.example", "dns_txt").await.json();
    harness.publish(&mine);
    assert_eq!(harness.verify(&harness.owner, &mine).await.json()["status"], json!("verified"));
    // A claim says the same whether somebody has the name or not.
    let theirs = harness.claim(&stranger, "shop.example", "dns_txt").await;
    let free = harness.claim(&stranger, "free.example", "dns_txt").await;
    assert_eq!((theirs.status, free.status), (StatusCode::CREATED, StatusCode::CREATED));
    let without = |answer: &TestResponse| {
        let mut shown = answer.json();
        for name in ["id", "name", "created_at", "challenge"] {
            shown[name] = Value::Null;
        }
        shown
    };
    assert_eq!(without(&theirs), without(&free));
    let unproved = harness.verify(&stranger, &theirs.json()).await;
    assert_eq!(unproved.json()["last_error"], json!("_rowhouse-domain.shop.example has another TXT record"));
    harness.publish(&theirs.json());
    let taken = harness.verify(&stranger, &theirs.json()).await;
    assert_eq!(refusal(&taken), (409, "domain_taken".to_owned()));
    assert!(!taken.text.contains(&harness.owner.tenant), "{}", taken.text);
    assert_eq!(harness.owner_of("shop.example").await, Some(harness.owner.tenant.clone()));
    let sql = "update tenancy.tenants set status = 'deleted' where id::text = $1";
    harness.client.execute(sql, &[&harness.owner.tenant]).await.unwrap();
    assert_eq!(harness.verify(&stranger, &theirs.json()).await.json()["status"], json!("verified"));
    assert_eq!(harness.owner_of("shop.example").await, Some(stranger.tenant.clone()));
}

#[tokio::test]
async fn names_that_nobody_can_own_and_too_many_are_refused() {
    let harness = harness().await;
    for name in ["localhost", "127.0.0.1", "com", "co.uk", "*.shop.example", "[::1]", "x.internal"] {
        let refused = harness.claim(&harness.owner, name, "http").await;
        assert_eq!(refusal(&refused), (422, "invalid".to_owned()), "{name}");
    }
    for name in ["rowhouse.test", "x.rowhouse.test"] {
        let refused = harness.claim(&harness.owner, name, "http").await;
        assert_eq!(refusal(&refused), (422, "domain_reserved".to_owned()), "{name}");
    }
    for number in 0..3 {
        let made = harness.claim(&harness.owner, &format!("{number}.shop.example"), "dns_txt").await;
        assert_eq!(made.status, StatusCode::CREATED);
    }
    let one_more = harness.claim(&harness.owner, "more.shop.example", "dns_txt").await;
    assert_eq!(refusal(&one_more), (409, "too_many".to_owned()));
    let other_proof = harness.claim(&harness.owner, "0.shop.example", "dns_cname").await;
    assert_eq!(
        (other_proof.status, &other_proof.json()["proof"]),
        (StatusCode::CREATED, &json!("dns_cname"))
    );
    let unknown = harness.claim(&harness.owner, "9.shop.example", "sms").await;
    assert_eq!(unknown.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn domain_of_another_tenant_is_not_found() {
    let harness = harness().await;
    let stranger = harness.app.sign_up("stranger@example.com").await;
    let mine = harness.claim(&harness.owner, "shop.example", "dns_txt").await.json();
    let theirs = format!("{}/{}", of_tenant(&stranger), mine["id"].as_str().unwrap());
    for (method, path) in [
        (Method::GET, theirs.clone()),
        (Method::DELETE, theirs.clone()),
        (Method::POST, format!("{theirs}/verify")),
    ] {
        let body = (method == Method::POST).then(|| json!({}));
        let answer = harness.app.call(&stranger.token, method, &path, body).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
    }
}
