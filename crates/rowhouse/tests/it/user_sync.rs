//! `/health` and the URL that deployment guides monitor: drift and a missing trigger are seen within a second.

use std::collections::BTreeSet;

use reqwest::StatusCode;
use rowhouse_testkit::{LIMIT, until_some};
use serde_json::Value;

use crate::support::{TestApp, TestResponse};

const ALERTS: &str = include_str!("../../../../docs/alerts/users.rules.yml");
const GUIDES: &str = "/admin/users/health-check";
const HEALTHY: &str = "\"status\": \"healthy\"";

async fn until_body(app: &TestApp, what: &str, fits: impl Fn(&Value) -> bool) -> TestResponse {
    until_some(what, LIMIT, async || {
        let answer = app.get(&app.anon_key, GUIDES).await;
        (answer.status == StatusCode::OK && fits(&answer.json())).then_some(answer)
    })
    .await
}

fn sync(body: &Value) -> (&str, i64, &str) {
    let sync = &body["user_sync"];
    (
        sync["status"].as_str().unwrap_or_default(),
        sync["missing_profiles"].as_i64().unwrap_or(-1),
        body["services"]["triggers"].as_str().unwrap_or_default(),
    )
}

#[tokio::test]
async fn drift_turns_health_degraded_and_its_text_never_says_healthy() {
    let app = TestApp::start().await;
    app.sign_up("a@example.com").await;
    let client = app.db.superuser().await;
    let good = until_body(&app, "it is healthy", |body| body["status"] == "healthy").await;
    assert!(good.text.contains(HEALTHY) && good.text.contains("\"missing_profiles\": 0"), "{}", good.text);
    assert_eq!(good.text.lines().nth(1), Some("  \"status\": \"healthy\","));

    client.batch_execute("alter table auth.users disable trigger on_auth_user_created").await.unwrap();
    let unfit = |body: &Value| sync(body) == ("degraded", 0, "disabled");
    let answer = until_body(&app, "the trigger is disabled", unfit).await;
    assert_eq!(answer.json()["status"], "degraded");
    assert!(!answer.text.contains(HEALTHY), "{}", answer.text);

    client.batch_execute("drop trigger on_auth_user_created on auth.users").await.unwrap();
    let insert = "insert into auth.users (id, email) select gen_random_uuid(), n || '@example.com' from generate_series(1, 5) n";
    client.batch_execute(insert).await.unwrap();
    until_body(&app, "five are missing", |body| sync(body) == ("degraded", 5, "missing")).await;
    let restore = "create trigger on_auth_user_created after insert on auth.users
        for each row execute function tenancy.on_auth_user_created()";
    client.batch_execute(restore).await.unwrap();
    until_body(&app, "a few are missing", |body| sync(body) == ("warning", 5, "active")).await;
    client.batch_execute("select tenancy.create_profiles(array(select id from auth.users))").await.unwrap();
    until_body(&app, "it is healthy again", |body| body["status"] == "healthy").await;
}

#[tokio::test]
async fn alerts_name_metrics_that_exist() {
    let app = TestApp::start().await;
    let named = |text: &str| -> BTreeSet<String> {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        words.filter(|word| word.starts_with("rowhouse_user_sync_")).map(str::to_owned).collect()
    };
    let wanted = named(ALERTS);
    assert_eq!(wanted.len(), 3, "{wanted:?}");
    let shown = named(&app.get(&app.anon_key, "/metrics").await.text);
    assert!(wanted.is_subset(&shown), "{shown:?}");
}
