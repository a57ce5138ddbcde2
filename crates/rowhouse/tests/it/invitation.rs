//! Invitations to an organization, from the letter to the membership.

mod accept;
mod escalate;
mod limit;

use futures_util::future::join_all;
use reqwest::{Method, StatusCode};
use rowhouse_kernel::settings::Settings;
use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::support::{SignedIn, TestApp, TestResponse, claims};

/// An organization with an owner.
struct Harness {
    app: TestApp,
    client: Client,
    owner: SignedIn,
    organization: String,
}

async fn harness() -> Harness {
    harness_with(crate::support::settings()).await
}

async fn harness_with(settings: Settings) -> Harness {
    let app = TestApp::start_with(settings).await;
    let client = app.db.superuser().await;
    let owner = app.sign_up("owner@example.com").await;
    let organization = claims(&owner.token)["org_id"].as_str().unwrap().to_owned();
    Harness { app, client, owner, organization }
}

impl Harness {
    fn path(&self, rest: &str) -> String {
        format!("/admin/v1/organizations/{}/invitations{rest}", self.organization)
    }

    async fn invite_by(&self, token: &str, body: Value) -> TestResponse {
        self.app.post(token, &self.path(""), body).await
    }

    async fn invite(&self, body: Value) -> TestResponse {
        self.invite_by(&self.owner.token, body).await
    }

    /// Invites, and returns the invitation's id and its letter's token.
    async fn invited(&self, body: Value) -> (String, String) {
        let answer = self.invite(body).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
        (answer.json()["id"].as_str().unwrap().to_owned(), self.token().await)
    }

    /// The newest letter as it would travel, without soft line breaks.
    async fn letter(&self) -> String {
        let sql = "select convert_from(mime, 'UTF8') from mail.messages order by id desc limit 1";
        let mime: String = self.client.query_one(sql, &[]).await.unwrap().get(0);
        mime.replace("=\r\n", "")
    }

    /// The token in the link of the newest letter, whether the equals sign before it travels as such or as `=3D`.
    async fn token(&self) -> String {
        let letter = self.letter().await;
        let (_, rest) = letter.split_once("/invitation#token=").unwrap();
        let run: String = rest.chars().take_while(char::is_ascii_alphanumeric).collect();
        run[run.len() - 22..].to_owned()
    }

    async fn preview(&self, token: &str) -> TestResponse {
        self.app.post(&self.app.anon_key, "/admin/v1/invitations/preview", json!({ "token": token })).await
    }

    async fn accept(&self, user: &SignedIn, token: &str) -> TestResponse {
        self.app.post(&user.token, "/admin/v1/invitations/accept", json!({ "token": token })).await
    }

    async fn resend(&self, id: &str) -> TestResponse {
        self.app.call(&self.owner.token, Method::POST, &self.path(&format!("/{id}/resend")), None).await
    }

    async fn revoke(&self, id: &str) -> TestResponse {
        self.app.call(&self.owner.token, Method::DELETE, &self.path(&format!("/{id}")), None).await
    }

    async fn sql(&self, text: &str) {
        let text = text.replace("$ORGANIZATION", &format!("'{}'", self.organization));
        let text = text.replace("$TENANT", &format!("'{}'", self.owner.tenant));
        self.client.batch_execute(&text).await.unwrap();
    }

    async fn count(&self, sql: &str) -> i64 {
        self.client.query_one(&format!("select count(*) from {sql}"), &[]).await.unwrap().get(0)
    }

    /// A further member of the organization.
    async fn member(&self, email: &str, role: &str) -> SignedIn {
        let user = self.app.sign_up(email).await;
        let sql = "insert into tenancy.organization_members (organization_id, user_id, role)
                   values ($1::text::uuid, $2::text::uuid, $3)";
        self.client.execute(sql, &[&self.organization, &user.id, &role]).await.unwrap();
        user
    }

    /// Lets a minute pass for the letters.
    async fn age_letters(&self, by: &str) {
        self.sql(&format!(
            "update tenancy.invitations set sent_times = array(select t - interval '{by}' from unnest(sent_times) t)"
        ))
        .await;
    }
}

fn refusal(answer: &TestResponse) -> (u16, String) {
    (answer.status.as_u16(), answer.code())
}

#[tokio::test]
async fn letter_leads_to_membership_in_organization_and_tenants() {
    let harness = harness().await;
    let tenant = &harness.owner.tenant;
    let body = json!({
        "email": "Ada@Example.com", "role": "manager", "tenants": [{ "tenant_id": tenant, "role": "member" }],
        "language": "de",
    });
    let (id, token) = harness.invited(body).await;
    let letter = harness.letter().await;
    for expected in [
        "To: ada@example.com",
        "owner@example.com",
        "http://rowhouse.test/invitation#token=",
        "Rolle manager",
    ] {
        assert!(letter.contains(expected), "{expected}: {letter}");
    }
    let shown = harness.preview(&token).await;
    assert_eq!(shown.status, StatusCode::OK, "{}", shown.text);
    let shown = shown.json();
    assert_eq!(
        shown,
        json!({ "organization_name": "owner", "inviter_name": null, "role": "manager", "expires_at": shown["expires_at"] })
    );
    let ada = harness.app.sign_up("ada@example.com").await;
    let accepted = harness.accept(&ada, &token).await;
    assert_eq!(accepted.status, StatusCode::OK, "{}", accepted.text);
    assert_eq!(
        accepted.json(),
        json!({
            "organization_id": harness.organization, "organization_name": "owner", "role": "manager",
            "tenants": [{ "tenant_id": tenant, "role": "member" }],
        })
    );
    let entered = harness.app.post(&ada.token, "/auth/v1/tenant", json!({ "tenant_id": tenant })).await;
    assert_eq!(entered.status, StatusCode::OK, "{}", entered.text);
    let listed = harness.app.get(&harness.owner.token, &harness.path("?status=accepted")).await.json();
    assert_eq!((&listed["items"][0]["id"], &listed["items"][0]["accepted_by"]), (&json!(id), &json!(ada.id)));
    let sql = "select action, actor, request_id is not null from audit.entries
               where source = 'tenancy' and target_id in ($1, $2) order by occurred_at";
    let rows = harness.client.query(sql, &[&id, &ada.id]).await.unwrap();
    let entries: Vec<(String, String, bool)> =
        rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
    let of = |action: &str, actor: &SignedIn| (action.to_owned(), actor.id.clone(), true);
    assert_eq!(
        entries,
        [
            of("invitation_created", &harness.owner),
            of("member_added", &ada),
            of("member_added", &ada),
            of("invitation_accepted", &ada),
        ]
    );
}

#[tokio::test]
async fn token_is_stored_nowhere_but_in_the_letter() {
    let harness = harness().await;
    let (_, token) = harness.invited(json!({ "email": "ada@example.com" })).await;
    let listed = harness.app.get(&harness.owner.token, &harness.path("")).await;
    assert!(listed.text.contains(&token[18..]) && !listed.text.contains(&token));
    for table in ["tenancy.invitations", "audit.entries", "events.outbox", "rowhouse.idempotency_keys"] {
        let found = format!("{table} t where strpos(t::text, '{token}') > 0");
        let exists = format!("pg_class c where c.oid = to_regclass('{table}')");
        if harness.count(&exists).await > 0 {
            assert_eq!(harness.count(&found).await, 0, "{table}");
        }
    }
}

#[tokio::test]
async fn lists_show_what_became_of_each() {
    let harness = harness().await;
    let statuses = async |query: &str| {
        let page = harness.app.get(&harness.owner.token, &harness.path(query)).await.json();
        let items = page["items"].as_array().unwrap().clone();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        items.iter().map(|one| (text(&one["email"]), text(&one["status"]))).collect::<Vec<_>>()
    };
    for email in ["a@example.com", "b@example.com", "c@example.com"] {
        harness.invited(json!({ "email": email })).await;
    }
    harness.sql("update tenancy.invitations set expires_at = now() where email = 'a@example.com'").await;
    let listed = harness.app.get(&harness.owner.token, &harness.path("")).await.json();
    let id = listed["items"][1]["id"].as_str().unwrap().to_owned();
    assert_eq!(harness.revoke(&id).await.status, StatusCode::NO_CONTENT);
    assert_eq!(harness.revoke(&id).await.status, StatusCode::NO_CONTENT, "twice is as good");
    let of = |email: &str, status: &str| (format!("{email}@example.com"), status.to_owned());
    assert_eq!(statuses("").await, [of("c", "pending"), of("b", "revoked"), of("a", "expired")]);
    assert_eq!(statuses("?status=expired").await, [of("a", "expired")]);
    assert_eq!(statuses("?limit=1").await, [of("c", "pending")]);
    let gone = harness.revoke("0198d5a1-0000-7000-8000-000000000001").await;
    assert_eq!(refusal(&gone), (404, "invitation_not_found".to_owned()));
}

#[tokio::test]
async fn of_many_who_accept_at_once_one_comes_first() {
    let harness = harness().await;
    let (_, token) = harness.invited(json!({ "email": "ada@example.com", "role": "admin" })).await;
    let ada = harness.app.sign_up("ada@example.com").await;
    let answers = join_all((0..8).map(|_| harness.accept(&ada, &token))).await;
    let (good, bad): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == StatusCode::OK);
    assert_eq!(good.len(), 1);
    assert!(bad.iter().all(|answer| refusal(answer) == (409, "invitation_used".to_owned())));
    let accepted = "audit.entries where action = 'invitation_accepted'";
    assert_eq!(harness.count(accepted).await, 1);
}

#[tokio::test]
async fn letter_and_invitation_are_one_also_when_the_request_is_repeated() {
    let harness = harness().await;
    let post = async || {
        let request = harness.app.request(Method::POST, &harness.path("")).bearer_auth(&harness.owner.token);
        let request = request.header("idempotency-key", "once");
        harness.app.send(request.json(&json!({ "email": "ada@example.com" }))).await
    };
    let (first, again) = (post().await, post().await);
    assert_eq!((first.status, again.status), (StatusCode::CREATED, StatusCode::CREATED), "{}", again.text);
    assert_eq!(again.text, first.text);
    let letters = "mail.messages where kind = 'organization_invite'";
    assert_eq!((harness.count("tenancy.invitations").await, harness.count(letters).await), (1, 1));
}

#[tokio::test]
async fn invitations_are_removed_after_their_retention() {
    let harness = harness().await;
    harness.invited(json!({ "email": "old@example.com" })).await;
    harness.invited(json!({ "email": "new@example.com" })).await;
    harness
        .sql("update tenancy.invitations set expires_at = now() - interval '91 days' where email = 'old@example.com'")
        .await;
    let prune = "select tenancy.prune_invitations(interval '90 days')";
    assert_eq!(harness.client.query_one(prune, &[]).await.unwrap().get::<_, i64>(0), 1);
    assert_eq!(harness.count("tenancy.invitations where email = 'new@example.com'").await, 1);
}
