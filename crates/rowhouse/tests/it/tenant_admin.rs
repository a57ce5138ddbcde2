//! `/admin/v1/tenants`: members act with the permissions that they have at this moment, and nobody overwrites unseen.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{SignedIn, TestApp, TestResponse};

struct Harness {
    app: TestApp,
    client: tokio_postgres::Client,
    owner: SignedIn,
    admin: SignedIn,
}

async fn harness() -> Harness {
    let app = TestApp::start().await;
    let client = app.db.superuser().await;
    let owner = app.sign_up("owner@example.com").await;
    let admin = app.sign_up("admin@example.com").await;
    let harness = Harness { app, client, owner, admin };
    harness
        .sql("insert into tenancy.memberships (tenant_id, user_id, role) values ($TENANT, $ADMIN, 'admin')")
        .await;
    harness
}

impl Harness {
    async fn sql(&self, text: &str) {
        let text = text.replace("$TENANT", &format!("'{}'", self.owner.tenant));
        let text = text.replace("$ADMIN", &format!("'{}'", self.admin.id));
        self.client.batch_execute(&text).await.unwrap();
    }

    fn path(&self, rest: &str) -> String {
        format!("/admin/v1/tenants/{}{rest}", self.owner.tenant)
    }

    async fn get(&self, user: &SignedIn, rest: &str) -> TestResponse {
        self.app.get(&user.token, &self.path(rest)).await
    }

    async fn rename(&self, user: &SignedIn, name: &str, seen: Option<&str>) -> TestResponse {
        let request = self.app.request(Method::PATCH, &self.path("")).bearer_auth(&user.token);
        let request = seen.into_iter().fold(request, |request, tag| request.header("if-match", tag));
        self.app.send(request.json(&json!({ "name": name }))).await
    }

    async fn set_role(&self, user: &SignedIn, member: &SignedIn, role: &str) -> TestResponse {
        let path = self.path(&format!("/members/{}", member.id));
        self.app.call(&user.token, Method::PUT, &path, Some(json!({ "role": role }))).await
    }

    async fn remove(&self, user: &SignedIn, member: &SignedIn) -> TestResponse {
        let path = self.path(&format!("/members/{}", member.id));
        self.app.call(&user.token, Method::DELETE, &path, None).await
    }
}

fn etag(answer: &TestResponse) -> String {
    answer.headers["etag"].to_str().unwrap().to_owned()
}

/// The stored answer belongs to a request that the caller may no longer make.
#[tokio::test]
async fn stored_answer_is_given_only_to_who_still_has_the_permission() {
    let harness = harness().await;
    let rename = async || {
        let request = harness.app.request(Method::PATCH, &harness.path("")).bearer_auth(&harness.admin.token);
        let request = request.header("if-match", "*").header("idempotency-key", "rename");
        harness.app.send(request.json(&json!({ "name": "New" }))).await
    };
    let role = "update tenancy.memberships set role = $ROLE where tenant_id = $TENANT and user_id = $ADMIN";
    let renamed = rename().await;
    assert_eq!(renamed.status, StatusCode::OK, "{}", renamed.text);
    harness.sql(&role.replace("$ROLE", "'member'")).await;
    let demoted = rename().await;
    assert_eq!((demoted.status.as_u16(), &*demoted.code()), (403, "forbidden"));
    assert!(!demoted.headers.contains_key("idempotency-replayed"));
    harness.sql(&role.replace("$ROLE", "'admin'")).await;
    let replayed = rename().await;
    assert_eq!((replayed.status, &replayed.text), (StatusCode::OK, &renamed.text));
    assert_eq!(replayed.headers["idempotency-replayed"], "true");
}

#[tokio::test]
async fn name_is_changed_only_by_who_has_seen_the_present_one() {
    let harness = harness().await;
    let seen = harness.get(&harness.owner, "").await;
    assert_eq!(seen.json()["name"], "owner");
    let (first, stale) = (etag(&seen), etag(&seen));
    let unseen = harness.rename(&harness.owner, "New", None).await;
    assert_eq!((unseen.status.as_u16(), &*unseen.code()), (428, "if_match_required"));
    let renamed = harness.rename(&harness.admin, "New", Some(&first)).await;
    assert_eq!((renamed.status, &renamed.json()["name"]), (StatusCode::OK, &json!("New")));
    let late = harness.rename(&harness.owner, "Other", Some(&stale)).await;
    assert_eq!((late.status.as_u16(), &*late.code()), (412, "changed"));
    let now = harness.get(&harness.owner, "").await;
    assert_eq!((&now.json()["name"], etag(&now)), (&json!("New"), etag(&renamed)));
    harness.sql("update tenancy.tenants set name = 'By hand' where id = $TENANT").await;
    assert_eq!(harness.rename(&harness.owner, "Other", Some(&etag(&now))).await.status.as_u16(), 412);
    let long = harness.rename(&harness.owner, &"x".repeat(201), Some("*")).await;
    assert_eq!(long.status.as_u16(), 422);
}

#[tokio::test]
async fn document_says_how_versions_and_keys_are_sent() {
    let harness = harness().await;
    let document = harness.app.get(&harness.owner.token, "/admin/v1/openapi.json").await.json();
    let change = &document["paths"]["/tenants/{tenant}"]["patch"];
    let names: Vec<_> = change["parameters"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
    assert_eq!(names, ["tenant", "If-Match", "Idempotency-Key"]);
    for status in ["401", "403", "404", "409", "412", "422", "428"] {
        assert!(change["responses"][status].is_object(), "{status}");
    }
    let member = &document["paths"]["/tenants/{tenant}/members/{user}"]["put"];
    let names: Vec<_> = member["parameters"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
    assert_eq!(names, ["tenant", "user"]);
}

#[tokio::test]
async fn change_that_is_sent_again_is_answered_with_the_version_that_it_made() {
    let harness = harness().await;
    let seen = etag(&harness.get(&harness.owner, "").await);
    let send = async || {
        let request = harness.app.request(Method::PATCH, &harness.path("")).bearer_auth(&harness.owner.token);
        let request = request.header("if-match", &seen).header("idempotency-key", "once");
        harness.app.send(request.json(&json!({ "name": "New" }))).await
    };
    let (first, again) = (send().await, send().await);
    assert_eq!((first.status, again.status), (StatusCode::OK, StatusCode::OK), "{}", again.text);
    assert_eq!((etag(&again), again.json()), (etag(&first), first.json()));
    assert_eq!(again.headers["idempotency-replayed"], "true");
}

#[tokio::test]
async fn demoted_removed_and_signed_out_callers_are_refused_at_the_next_request() {
    let harness = harness().await;
    let tag = etag(&harness.get(&harness.admin, "").await);
    assert_eq!(harness.get(&harness.admin, "/members").await.status, StatusCode::OK);
    harness.sql("update tenancy.memberships set role = 'member' where user_id = $ADMIN").await;
    let refused = harness.rename(&harness.admin, "New", Some(&tag)).await;
    assert_eq!((refused.status.as_u16(), &*refused.code()), (403, "forbidden"));
    assert_eq!(harness.set_role(&harness.admin, &harness.admin, "admin").await.status.as_u16(), 403);
    assert_eq!(harness.get(&harness.admin, "/members").await.status, StatusCode::OK, "members see members");
    harness
        .sql(
            "update tenancy.organizations o set status = 'suspended' from tenancy.tenants t \
               where t.organization_id = o.id and t.id = $TENANT",
        )
        .await;
    assert_eq!(harness.get(&harness.admin, "").await.status.as_u16(), 403);
    harness.sql("update tenancy.organizations set status = 'active'").await;
    harness.sql("delete from tenancy.memberships where tenant_id = $TENANT and user_id = $ADMIN").await;
    assert_eq!(harness.get(&harness.admin, "").await.status.as_u16(), 403);
    harness.sql("delete from auth.sessions where user_id <> $ADMIN").await;
    assert_eq!(harness.get(&harness.owner, "").await.status.as_u16(), 401);
}

#[tokio::test]
async fn admins_manage_members_and_only_owners_owners() {
    let harness = harness().await;
    let (owner, admin) = (&harness.owner, &harness.admin);
    let code = async |answer: TestResponse| (answer.status.as_u16(), answer.code());
    let refused = (403, "owners_only".to_owned());
    assert_eq!(code(harness.set_role(admin, admin, "owner").await).await, refused);
    assert_eq!(code(harness.set_role(admin, owner, "member").await).await, refused);
    assert_eq!(code(harness.remove(admin, owner).await).await, refused);
    let last = (409, "last_owner".to_owned());
    assert_eq!(code(harness.set_role(owner, owner, "admin").await).await, last);
    assert_eq!(code(harness.remove(owner, owner).await).await, last);
    let made = harness.set_role(owner, admin, "owner").await;
    assert_eq!((made.status, &made.json()["role"]), (StatusCode::OK, &json!("owner")));
    assert_eq!(harness.remove(admin, owner).await.status, StatusCode::NO_CONTENT);
    assert_eq!(harness.remove(admin, owner).await.status.as_u16(), 404);
    let sql = "select action, actor, target_id, tenant_id::text, request_id is not null from audit.entries \
               where source = 'tenancy' order by occurred_at";
    let rows = harness.client.query(sql, &[]).await.unwrap();
    let events: Vec<(String, String, String, String, bool)> =
        rows.iter().map(|row| (row.get(0), row.get(1), row.get(2), row.get(3), row.get(4))).collect();
    let of = |action: &str, actor: &SignedIn, target: &SignedIn| {
        (action.to_owned(), actor.id.clone(), target.id.clone(), owner.tenant.clone(), true)
    };
    assert_eq!(events, [of("member_role_changed", owner, admin), of("member_removed", admin, owner)]);
}

#[tokio::test]
async fn members_are_listed_in_pages() {
    let harness = harness().await;
    let (mut seen, mut next) = (Vec::new(), Some("/members?limit=1".to_owned()));
    while let Some(path) = next {
        let page = harness.get(&harness.owner, &path).await.json();
        seen.extend(page["items"].as_array().unwrap().iter().map(|member| member["email"].clone()));
        next = page["next"].as_str().map(|next| format!("/members?limit=1&cursor={next}"));
    }
    seen.sort_by_key(Value::to_string);
    assert_eq!(seen, [json!("admin@example.com"), json!("owner@example.com")]);
}

/// The policies' helper says the same as the routes.
#[tokio::test]
async fn policies_ask_what_routes_ask() {
    let harness = harness().await;
    let claims = json!({ "sub": harness.admin.id, "tenant_id": harness.owner.tenant }).to_string();
    let may = async || {
        let set = "select set_config('request.jwt.claims', $1, false)";
        harness.client.query(set, &[&claims]).await.unwrap();
        let sql = "select auth.has_permission('tenant:update')";
        harness.client.query_one(sql, &[]).await.unwrap().get::<_, bool>(0)
    };
    assert!(may().await);
    harness.sql("update tenancy.tenants set status = 'suspended' where id = $TENANT").await;
    assert!(!may().await);
}
