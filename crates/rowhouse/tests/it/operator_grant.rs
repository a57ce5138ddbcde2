//! Operators: the first one by a token that works once, others for some minutes by a command.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use reqwest::{Method, StatusCode};
use rowhouse_kernel::settings::{Environment, ProjectSettings};
use serde_json::{Value, json};

use crate::program::{Folder, Run, on_database};
use crate::support::{SignedIn, TestApp, TestResponse, settings};

const PATH: &str = "/admin/v1/bootstrap";

struct Harness {
    app: TestApp,
    client: tokio_postgres::Client,
    folder: Folder,
}

impl Harness {
    async fn new() -> Self {
        let app = TestApp::start().await;
        let client = app.db.superuser().await;
        Self { app, client, folder: Folder::with_settings("") }
    }

    fn run(&self, args: &[&str]) -> Run {
        Run::of(on_database(&self.app.db, &self.folder, args).output().unwrap())
    }

    fn token(&self) -> String {
        let run = self.run(&["admin", "bootstrap", "--json"]);
        assert_eq!(run.code, 0, "{run:?}");
        run.document()["token"].as_str().unwrap().to_owned()
    }

    async fn redeem(&self, bearer: &str, token: &str) -> TestResponse {
        self.app.post(bearer, PATH, json!({ "token": token })).await
    }

    async fn operators(&self) -> Value {
        let sql = "select coalesce(jsonb_agg(jsonb_build_array(u.email, o.role, o.expires_at is null) order by u.email), '[]')
                   from tenancy.operators o join auth.users u on u.id = o.user_id";
        self.client.query_one(sql, &[]).await.unwrap().get(0)
    }

    async fn audited(&self, action: &str) -> Value {
        let sql = "select coalesce(jsonb_agg(jsonb_build_array(split_part(e.actor, ':', 1), e.details ->> 'reason') order by e.occurred_at), '[]')
                   from audit.entries e where e.action = $1";
        self.client.query_one(sql, &[&action]).await.unwrap().get(0)
    }
}

fn refusal(answer: &TestResponse) -> (u16, String) {
    (answer.status.as_u16(), answer.code())
}

#[tokio::test]
async fn bootstrap_makes_one_operator_and_closes_behind_them() {
    let harness = Harness::new().await;
    let user = harness.app.sign_up("first@example.com").await;
    let nowhere = harness.app.request(Method::POST, "/admin/v1/nowhere").bearer_auth(&user.token);
    let unknown = harness.app.send(nowhere.json(&json!({}))).await;
    let closed = harness.redeem(&user.token, "none").await;
    assert_eq!(refusal(&closed), refusal(&unknown), "as a path that does not exist");

    let replaced = harness.token();
    let token = harness.token();
    let stored = "select string_agg(b::text, ' ') from operators.bootstrap_tokens b";
    let stored: String = harness.client.query_one(stored, &[]).await.unwrap().get(0);
    assert!(!stored.contains(&token), "only its digest is kept");
    for (bearer, wrong, status) in [
        (&harness.app.anon_key, &token, 401),
        (&harness.app.service_key, &token, 403),
        (&user.token, &replaced, 403),
    ] {
        assert_eq!(harness.redeem(bearer, wrong).await.status.as_u16(), status);
    }
    let answer = harness.redeem(&user.token, &token).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert_eq!(answer.json(), json!({ "user_id": user.id, "role": "super_admin" }));
    assert_eq!(harness.operators().await, json!([["first@example.com", "super_admin", true]]));
    assert_eq!(harness.audited("operator_granted").await, json!([[user.id, "bootstrap"]]));
    let outside = "select e.tenant_id is null and e.organization_id is null from audit.entries e where e.action = 'operator_granted'";
    let outside: bool = harness.client.query_one(outside, &[]).await.unwrap().get(0);
    assert!(outside, "it concerns the installation, not the tenant of the caller's token");

    let late = harness.app.sign_up("late@example.com").await;
    for bearer in [&late.token, &user.token, &harness.app.service_key, &harness.app.anon_key] {
        assert_eq!(harness.redeem(bearer, &token).await.status, StatusCode::NOT_FOUND);
    }
    let again = harness.run(&["admin", "bootstrap", "--json"]);
    assert_eq!(again.code, 1, "{again:?}");
}

#[tokio::test]
async fn racing_redemptions_make_one_operator() {
    let harness = Harness::new().await;
    let token = harness.token();
    let mut users: Vec<SignedIn> = Vec::new();
    for name in ["a", "b", "c", "d"] {
        users.push(harness.app.sign_up(&format!("{name}@example.com")).await);
    }
    let tries = users.iter().map(|user| harness.redeem(&user.token, &token));
    let answers = futures_util::future::join_all(tries).await;
    let good = answers.iter().filter(|answer| answer.status == StatusCode::OK).count();
    let closed = answers.iter().filter(|answer| answer.status == StatusCode::NOT_FOUND).count();
    assert_eq!((good, closed), (1, 3));
    assert_eq!(harness.operators().await.as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn token_that_expired_or_was_taken_back_and_a_user_without_address_are_refused() {
    let harness = Harness::new().await;
    let user = harness.app.sign_up("first@example.com").await;
    let token = harness.token();
    let unconfirmed = "update auth.users set email_confirmed_at = null";
    harness.client.batch_execute(unconfirmed).await.unwrap();
    let refused = harness.redeem(&user.token, &token).await;
    assert_eq!(refusal(&refused), (403, "address_not_confirmed".to_owned()), "{}", refused.text);
    let expired = "update operators.bootstrap_tokens set expires_at = now() - interval '1 second'";
    harness.client.batch_execute(expired).await.unwrap();
    assert_eq!(harness.redeem(&user.token, &token).await.status, StatusCode::NOT_FOUND);
    let token = harness.token();
    assert_eq!(
        harness.run(&["admin", "bootstrap", "--close", "--json"]).document(),
        json!({ "closed": true })
    );
    assert_eq!(harness.redeem(&user.token, &token).await.status, StatusCode::NOT_FOUND);
    assert_eq!(harness.operators().await, json!([]));
}

#[tokio::test]
async fn production_does_not_start_while_a_bootstrap_is_open() {
    let harness = Harness::new().await;
    let mut settings = settings();
    settings.update(|project: &mut ProjectSettings| project.environment = Environment::Production);
    let start =
        || AssertUnwindSafe(TestApp::start_on(harness.app.db.clone(), settings.clone())).catch_unwind();
    harness.token();
    let Err(panic) = start().await else { panic!("it has started") };
    let said = panic.downcast_ref::<String>().unwrap();
    assert!(said.contains("a bootstrap is open until") && said.contains("--close"), "{said}");
    assert_eq!(harness.run(&["admin", "bootstrap", "--close"]).code, 0);
    assert!(start().await.is_ok());
}

#[tokio::test]
async fn grant_is_for_some_minutes_with_a_reason_and_can_be_ended() {
    let harness = Harness::new().await;
    harness.app.sign_up("ada@example.com").await;
    let grant = |role: &str, minutes: &str| {
        let args = ["admin", "grant", "ADA@example.com", "--role", role, "--minutes", minutes];
        harness.run(&[&args[..], &["--reason", "Nobody can sign in", "--json"]].concat())
    };
    let made = grant("super_admin", "30");
    assert_eq!((made.code, &made.document()["role"]), (0, &json!("super_admin")), "{made:?}");
    assert_eq!(grant("support", "1440").code, 0, "a second one replaces the first");
    assert_eq!(harness.operators().await, json!([["ada@example.com", "support", false]]));
    let ends = "select expires_at between now() + interval '1430 minutes' and now() + interval '1440 minutes' from tenancy.operators";
    assert!(harness.client.query_one(ends, &[]).await.unwrap().get::<_, bool>(0));
    let reason = json!(["operator", "Nobody can sign in"]);
    assert_eq!(harness.audited("operator_granted").await, json!([reason, reason]));
    for (role, minutes) in [("owner", "30"), ("support", "0"), ("support", "1441")] {
        assert_eq!(grant(role, minutes).code, 2, "{role} {minutes}");
    }
    harness.client.batch_execute("update tenancy.operators set expires_at = null").await.unwrap();
    let permanent = grant("auditor", "30");
    assert_eq!(permanent.code, 1, "{permanent:?}");
    assert_eq!(harness.operators().await, json!([["ada@example.com", "support", true]]));
    assert_eq!(harness.run(&["admin", "revoke", "ada@example.com"]).code, 0);
    assert_eq!(harness.operators().await, json!([]));
    assert_eq!(harness.run(&["admin", "revoke", "ada@example.com"]).code, 1);
    let nobody =
        ["admin", "grant", "nobody@example.com", "--role", "support", "--minutes", "5", "--reason", "x"];
    assert_eq!(harness.run(&nobody).code, 1);
}
