//! The audit log of the whole program: sealed by its task, read over HTTP by those who may, removed after its retention.

mod command;
mod export;

use std::time::Duration;

use rowhouse_audit::AuditSettings;
use rowhouse_module::Roles;
use rowhouse_testkit::{LIMIT, TestDatabase, until, until_true};
use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::support::{SignedIn, TestApp, TestResponse, settings};

const ALERTS: &str = include_str!("../../../../docs/alerts/audit.rules.yml");
const SEALED: &str = "not exists (select from audit.unsealed)";

/// Two organizations whose owners have signed up.
struct Scene {
    app: TestApp,
    client: Client,
    owner: SignedIn,
    organization: String,
    stranger: SignedIn,
    elsewhere: String,
}

impl Scene {
    async fn start() -> Self {
        let app = TestApp::start().await;
        let client = app.db.superuser().await;
        let owner = app.sign_up("owner@example.com").await;
        let stranger = app.sign_up("stranger@example.com").await;
        let organization = organization_of(&client, &owner.tenant).await;
        let elsewhere = organization_of(&client, &stranger.tenant).await;
        until_true(&client, SEALED).await;
        Self { app, client, owner, organization, stranger, elsewhere }
    }

    fn path(&self, rest: &str) -> String {
        format!("/admin/v1/organizations/{}/audit{rest}", self.organization)
    }

    async fn get(&self, token: &str, rest: &str) -> TestResponse {
        self.app.get(token, &self.path(rest)).await
    }

    /// Entries about an organization, as direct SQL would write them; `text` is in their details.
    async fn write(&self, organization: &str, count: i64, text: &str) {
        let sql = "insert into audit.entries (source, action, actor, target_kind, target_id, organization_id, details)
            select 'test', 'done', 'system', 'thing', n::text, $1::text::uuid, jsonb_build_object('text', $3::text)
            from generate_series(1, $2::bigint) n";
        self.client.execute(sql, &[&organization, &count, &text]).await.unwrap();
    }
}

async fn organization_of(client: &Client, tenant: &str) -> String {
    let sql = "select organization_id::text from tenancy.tenants where id = $1::text::uuid";
    client.query_one(sql, &[&tenant]).await.unwrap().get(0)
}

fn items(answer: &TestResponse) -> Vec<Value> {
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.text);
    answer.json()["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn owner_reads_entries_of_the_organization_in_pages() {
    let scene = Scene::start().await;
    scene.write(&scene.organization, 5, "x").await;
    scene.write(&scene.elsewhere, 5, "x").await;
    until_true(&scene.client, SEALED).await;
    let whole = items(&scene.get(&scene.owner.token, "").await);
    assert!(whole.len() > 5, "its sign-in is among them: {whole:?}");
    for entry in &whole {
        assert_eq!(entry["organization_id"], json!(scene.organization));
        assert!(entry["sequence"].is_i64() && entry["hash"].as_str().unwrap().len() == 64, "{entry}");
    }
    assert!(
        whole
            .iter()
            .any(|entry| entry["action"] == "login" && entry["tenant_id"] == json!(scene.owner.tenant))
    );
    let (mut paged, mut query) = (Vec::new(), "?limit=2".to_owned());
    until("the last page", LIMIT, async || {
        let page = scene.get(&scene.owner.token, &query).await;
        paged.extend(items(&page));
        let Some(next) = page.json()["next"].as_str().map(str::to_owned) else { return true };
        query = format!("?limit=2&cursor={next}");
        false
    })
    .await;
    assert_eq!(paged, whole);
    let done = items(&scene.get(&scene.owner.token, "?action=done&target=thing:3&since=2026-01-01").await);
    assert_eq!(done.len(), 1);
    let service =
        items(&scene.app.get(&scene.app.service_key, "/admin/v1/audit?action=done&limit=1000").await);
    assert_eq!(service.len(), 10, "the service key sees all organizations");
}

#[tokio::test]
async fn strangers_and_malformed_queries_are_refused() {
    let scene = Scene::start().await;
    for rest in ["", "/export"] {
        let answer = scene.get(&scene.stranger.token, rest).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (403, "forbidden"), "{rest}");
        let all = scene.app.get(&scene.owner.token, &format!("/admin/v1/audit{rest}")).await;
        assert_eq!(all.status.as_u16(), 403, "{rest}");
    }
    for (query, status) in [
        ("?since=yesterday", 400),
        ("?cursor=x", 400),
        ("?limit=0", 400),
        ("?color=red", 400),
        ("?tenant=x", 400),
        (&format!("?organization={}", scene.elsewhere), 400),
        (&format!("?organization={}", scene.organization), 200),
        ("?actor=%00", 422),
    ] {
        assert_eq!(scene.get(&scene.owner.token, query).await.status.as_u16(), status, "{query}");
    }
    let exported = scene.get(&scene.owner.token, "/export?format=xml").await;
    assert_eq!(exported.status.as_u16(), 400);
}

#[tokio::test]
async fn auditor_reads_everything_until_the_role_ends() {
    let scene = Scene::start().await;
    let read = async || {
        let all = scene.app.get(&scene.stranger.token, "/admin/v1/audit").await.status.as_u16();
        (all, scene.get(&scene.stranger.token, "").await.status.as_u16())
    };
    assert_eq!(read().await, (403, 403));
    let grant = format!(
        "insert into tenancy.operators (user_id, role, reason) values ('{}', 'auditor', 'yearly audit')",
        scene.stranger.id
    );
    for (change, statuses) in [
        (grant.as_str(), (200, 200)),
        ("update tenancy.operators set role = 'support'", (403, 403)),
        ("update tenancy.operators set role = 'super_admin'", (200, 200)),
        ("update tenancy.operators set expires_at = now() - interval '1 second'", (403, 403)),
    ] {
        scene.client.batch_execute(change).await.unwrap();
        assert_eq!(read().await, statuses, "{change}");
    }
}

#[tokio::test]
async fn entries_are_removed_after_their_retention_and_the_chain_goes_on() {
    let db = TestDatabase::create().await;
    let mut settings = settings();
    settings.update(|audit: &mut AuditSettings| {
        (audit.retention, audit.minimum_retention) = (Duration::from_hours(50), Duration::from_hours(25));
    });
    let app = TestApp::start_as(db, settings, Roles::ALL).await;
    let client = app.db.superuser().await;
    until_true(&client, "exists (select from jobs.schedules where name = 'audit.prune')").await;
    let entries = "insert into audit.entries (occurred_at, source, action, actor, target_kind, target_id, organization_id) \
         select now() - interval '1 hour' * age, 'test', 'aged', 'x', 'thing', age::text, '00000000-0000-0000-0000-000000000001' \
         from unnest(array[52, 51, 49]) age";
    client.batch_execute(entries).await.unwrap();
    until_true(&client, SEALED).await;
    client.batch_execute("select jobs.enqueue('audit.prune')").await.unwrap();
    until_true(&client, "(select array_agg(target_id) from audit.entries where action = 'aged') = '{49}'")
        .await;
    until_true(&client, "exists (select from audit.checkpoints where sequence = 2)").await;
}

#[tokio::test]
async fn health_and_metrics_tell_whether_entries_are_sealed() {
    let scene = Scene::start().await;
    let services =
        async || scene.app.get(&scene.app.anon_key, "/health").await.json()["services"]["audit"].clone();
    assert_eq!(services().await, json!("healthy"));
    let words = ALERTS.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let named: Vec<&str> = words.filter(|word| word.starts_with("rowhouse_")).collect();
    assert!(!named.is_empty());
    for name in named {
        let is_shown = async || {
            let text = scene.app.get(&scene.app.anon_key, "/metrics").await.text;
            text.lines().any(|line| line.starts_with(name))
        };
        until(format!("{name} is in /metrics"), LIMIT, is_shown).await;
    }
}

/// The token names the tenant until it ends.
#[tokio::test]
async fn who_has_left_writes_nothing_into_the_former_organizations_log() {
    let scene = Scene::start().await;
    let count = "select count(*) from audit.entries where organization_id::text = $1 and actor = $2";
    let entries = async || -> i64 {
        let row = scene.client.query_one(count, &[&scene.organization, &scene.owner.id]).await.unwrap();
        row.get(0)
    };
    let change = async |number: u32| {
        let body = json!({ "data": { "number": number } });
        scene.app.call(&scene.owner.token, reqwest::Method::PUT, "/auth/v1/user", Some(body)).await
    };
    let before = entries().await;
    assert!(change(1).await.status.is_success());
    let while_there = entries().await;
    assert!(while_there > before, "members' own changes are in the log");
    let leave = "delete from tenancy.memberships where user_id::text = $1";
    scene.client.execute(leave, &[&scene.owner.id]).await.unwrap();
    let after_leaving = entries().await;
    assert!(change(2).await.status.is_success());
    assert_eq!(entries().await, after_leaving);
}
