//! The tree of organizations over HTTP, SQL and the command line.

mod application;
mod branding;
mod command;
mod entitled;
mod entitlement;
mod erasure;
mod launcher;
mod life;
mod member;
mod model;
mod product;
mod quota;
mod role;
mod setting;
mod sql;

use futures_util::future::join_all;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{SignedIn, TestApp, TestResponse, claims};

/// An owner with an organization and a tenant, and a user who belongs to the organization alone.
struct Harness {
    app: TestApp,
    client: tokio_postgres::Client,
    owner: SignedIn,
    other: SignedIn,
    organization: String,
}

async fn harness() -> Harness {
    let app = TestApp::start().await;
    let client = app.db.superuser().await;
    let owner = app.sign_up("owner@example.com").await;
    let other = app.sign_up("other@example.com").await;
    let sql = "select organization_id::text from tenancy.tenants where id::text = $1";
    let organization = client.query_one(sql, &[&owner.tenant]).await.unwrap().get(0);
    let harness = Harness { app, client, owner, other, organization };
    harness
        .sql("insert into tenancy.organization_members (organization_id, user_id, role) values ($ORG, $OTHER, 'member')")
        .await;
    harness
}

impl Harness {
    /// Runs SQL with `$ORG`, `$TENANT`, `$OWNER` and `$OTHER`.
    async fn sql(&self, text: &str) {
        self.client.batch_execute(&self.filled(text)).await.unwrap();
    }

    fn filled(&self, text: &str) -> String {
        [
            ("$ORG", &self.organization),
            ("$TENANT", &self.owner.tenant),
            ("$OWNER", &self.owner.id),
            ("$OTHER", &self.other.id),
        ]
        .iter()
        .fold(text.to_owned(), |text, (name, id)| text.replace(name, &format!("'{id}'")))
    }

    fn path(&self, text: &str) -> String {
        let text = text.replace("$ORG", &self.organization).replace("$TENANT", &self.owner.tenant);
        format!("/admin/v1{}", text.replace("$OTHER", &self.other.id).replace("$OWNER", &self.owner.id))
    }

    async fn get(&self, token: &str, path: &str) -> TestResponse {
        self.app.get(token, &self.path(path)).await
    }

    async fn post(&self, token: &str, path: &str, body: Value) -> TestResponse {
        self.app.post(token, &self.path(path), body).await
    }

    async fn put(&self, token: &str, path: &str, body: Value) -> TestResponse {
        self.app.call(token, Method::PUT, &self.path(path), Some(body)).await
    }

    async fn delete(&self, token: &str, path: &str) -> TestResponse {
        self.app.call(token, Method::DELETE, &self.path(path), None).await
    }

    async fn patch(&self, token: &str, path: &str, body: Value) -> TestResponse {
        let request = self.app.request(Method::PATCH, &self.path(path)).bearer_auth(token);
        self.app.send(request.header("if-match", "*").json(&body)).await
    }

    /// The actions in the audit log, in order.
    async fn actions(&self) -> Vec<String> {
        let sql = "select action from audit.entries where source = 'tenancy' order by occurred_at";
        self.client.query(sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
    }

    /// The kinds of events, in order.
    async fn events(&self) -> Vec<String> {
        let sql = "select kind from events.outbox where kind like 'tenancy.%' order by id";
        self.client.query(sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
    }
}

fn said(answer: &TestResponse) -> (u16, String) {
    (answer.status.as_u16(), answer.code())
}

fn refusal(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

fn id(answer: &TestResponse) -> String {
    assert!(answer.status.is_success(), "{}", answer.text);
    answer.json()["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn user_makes_an_organization_with_tenants_and_finds_them() {
    let harness = harness().await;
    let token = &harness.owner.token;
    let made = harness.post(token, "/organizations", json!({ "name": "Acme Corp." })).await;
    assert_eq!(
        (made.status, &made.json()["slug"]),
        (StatusCode::CREATED, &json!("acme-corp")),
        "{}",
        made.text
    );
    let acme = id(&made);
    let again = harness.post(token, "/organizations", json!({ "name": "Acme Corp." })).await;
    assert_eq!(said(&again), refusal(409, "slug_taken"));
    let path = format!("/organizations/{acme}/tenants");
    let tenant = harness.post(token, &path, json!({ "name": "Sales" })).await;
    assert_eq!((tenant.status, &tenant.json()["organization_id"]), (StatusCode::CREATED, &json!(acme)));
    let entered = harness.app.post(token, "/auth/v1/tenant", json!({ "tenant_id": id(&tenant) })).await;
    assert_eq!(entered.status, StatusCode::OK, "the maker is a member: {}", entered.text);
    let listed = harness.get(token, "/organizations?q=ACME").await.json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 1, "{listed}");
    assert_eq!(harness.get(token, "/tenants?q=sal").await.json()["items"][0]["id"], tenant.json()["id"]);
    let seen = harness.get(&harness.other.token, "/organizations?q=acme").await.json();
    assert_eq!(seen["items"], json!([]), "not by others");
    assert_eq!(
        harness.get(&harness.other.token, &format!("/organizations/{acme}")).await.status.as_u16(),
        403
    );
    assert_eq!(harness.actions().await, ["organization_created", "tenant_created"]);
    assert_eq!(harness.events().await, ["tenancy.organization_created", "tenancy.tenant_created"]);
}

#[tokio::test]
async fn organization_of_another_is_made_by_operators_and_the_service_key_alone() {
    let harness = harness().await;
    let body = json!({ "name": "Theirs", "owner": harness.other.id });
    let refused = harness.post(&harness.owner.token, "/organizations", body.clone()).await;
    assert_eq!(said(&refused), refusal(403, "forbidden"));
    let made = harness.post(&harness.app.service_key, "/organizations", body).await;
    let theirs = id(&made);
    let shown = harness.get(&harness.other.token, &format!("/organizations/{theirs}")).await;
    assert_eq!(shown.status, StatusCode::OK);
    let all = harness.get(&harness.app.service_key, "/organizations").await.json();
    assert_eq!(all["items"].as_array().unwrap().len(), 3, "two personal ones and this: {all}");
}

#[tokio::test]
async fn launcher_shows_where_the_caller_is_a_member_and_nothing_else() {
    let harness = harness().await;
    let me = harness.get(&harness.other.token, "/me").await.json();
    assert_eq!(me["user"]["email"], "other@example.com");
    let roles = |list: &str| -> Vec<(String, String)> {
        let of = |item: &Value, name: &str| item[name].as_str().unwrap().to_owned();
        me[list].as_array().unwrap().iter().map(|item| (of(item, "name"), of(item, "role"))).collect()
    };
    let pair = |name: &str, role: &str| (name.to_owned(), role.to_owned());
    assert_eq!(roles("organizations"), [pair("other", "owner"), pair("owner", "member")]);
    assert_eq!(roles("tenants"), [pair("other", "owner")]);
    assert_eq!((&me["tenants"][0]["member_count"], &me["operator_role"]), (&json!(1), &Value::Null));
    let member = me["organizations"][1]["permissions"].as_array().unwrap();
    assert_eq!(member.len(), 5, "{member:?}");
    let service = harness.get(&harness.app.service_key, "/me").await.json();
    assert_eq!((&service["user"], &service["tenants"]), (&Value::Null, &json!([])));
}

#[tokio::test]
async fn user_owns_as_many_organizations_as_the_settings_allow() {
    let mut settings = crate::support::settings();
    settings.update(|tenancy: &mut rowhouse_tenancy::TenancySettings| tenancy.organizations_per_user = 2);
    let app = TestApp::start_with(settings).await;
    let user = app.sign_up("a@example.com").await;
    let make =
        async |name: &str| app.post(&user.token, "/admin/v1/organizations", json!({ "name": name })).await;
    let made = join_all(["One", "Two", "Three", "Four"].map(&make)).await;
    let is_made = |answer: &&TestResponse| answer.status == StatusCode::CREATED;
    assert_eq!(made.iter().filter(is_made).count(), 1, "however many ask at once");
    assert_eq!(said(&make("Five").await), refusal(409, "too_many"));
    let path = made.iter().find(is_made).unwrap().json()["id"].as_str().unwrap().to_owned();
    let path = format!("/admin/v1/organizations/{path}");
    let deleted = app.call(&user.token, Method::DELETE, &path, None).await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT, "{}", deleted.text);
    assert_eq!(said(&make("Six").await), refusal(409, "too_many"), "it can be restored");
    let old = "update tenancy.organizations set deleted_at = now() - interval '31 days' where deleted_at is not null";
    app.db.superuser().await.batch_execute(old).await.unwrap();
    assert_eq!(make("Seven").await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn organization_has_as_many_tenants_as_the_settings_allow() {
    let mut settings = crate::support::settings();
    settings.update(|tenancy: &mut rowhouse_tenancy::TenancySettings| tenancy.tenants_per_organization = 2);
    let app = TestApp::start_with(settings).await;
    let user = app.sign_up("a@example.com").await;
    let organization = claims(&user.token)["org_id"].as_str().unwrap().to_owned();
    let path = format!("/admin/v1/organizations/{organization}/tenants");
    let make = async |token: &str, name: &str| app.post(token, &path, json!({ "name": name })).await;
    let made = join_all(["One", "Two", "Three"].map(|name| make(&user.token, name))).await;
    let is_made = |answer: &&TestResponse| answer.status == StatusCode::CREATED;
    assert_eq!(made.iter().filter(is_made).count(), 1, "the first came with the account");
    let second = made.iter().find(is_made).unwrap().json();
    let second = format!("/admin/v1/tenants/{}", second["id"].as_str().unwrap());
    let deleted = app.call(&user.token, Method::DELETE, &second, None).await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT, "{}", deleted.text);
    assert_eq!(said(&make(&user.token, "Four").await), refusal(409, "too_many_tenants"));
    assert_eq!(make(&app.service_key, "Five").await.status, StatusCode::CREATED, "the service key is exempt");
    let old = "update tenancy.tenants set status = 'deleted' where name = 'Five';
               update tenancy.tenants set deleted_at = now() - interval '31 days' where deleted_at is not null";
    app.db.superuser().await.batch_execute(old).await.unwrap();
    assert_eq!(make(&user.token, "Six").await.status, StatusCode::CREATED);
}
