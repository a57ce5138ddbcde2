//! Metrics of jobs; the alerts name existing metrics only.

use std::collections::BTreeSet;

use rowhouse_module::Roles;
use rowhouse_testkit::{LIMIT, until, until_true};

use super::start;

const ALERTS: &str = include_str!("../../../../../docs/alerts/jobs.rules.yml");

/// Every metric that the expressions name.
fn named() -> BTreeSet<&'static str> {
    let words = ALERTS.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("rowhouse_")).collect()
}

#[tokio::test]
async fn every_metric_named_in_an_alert_exists() {
    let app = start(Roles::ALL).await;
    let client = app.db.superuser().await;
    client.batch_execute("select jobs.enqueue('jobs.noop')").await.unwrap();
    until_true(&client, "exists (select from jobs.done)").await;
    until_true(&client, "exists (select from jobs.measurement where jsonb_array_length(kinds) > 0)").await;
    assert!(named().len() >= 6, "{:?}", named());
    let shown = async |name: &str| {
        let text = app.get(&app.anon_key, "/metrics").await.text;
        text.lines().any(|line| line.starts_with(name))
    };
    for name in named() {
        until(format!("{name} is in /metrics"), LIMIT, async || shown(name).await).await;
    }
}

#[tokio::test]
async fn gauges_count_jobs_by_state_and_live_workers() {
    let app = start(Roles::ALL).await;
    let client = app.db.superuser().await;
    client
        .batch_execute(
            "update jobs.queues set paused = true; \
             select jobs.enqueue('jobs.noop'), jobs.enqueue('jobs.noop', run_at => now() + interval '1 year')",
        )
        .await
        .unwrap();
    until_true(
        &client,
        "exists (select from jobs.measurement where workers = 1 and kinds @> \
         '[{\"queue\": \"default\", \"kind\": \"jobs.noop\", \"scheduled\": 1, \"dead\": 0}]')",
    )
    .await;
}
