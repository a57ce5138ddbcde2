//! A migration returns once every running process serves the new schema.

use std::time::Duration;

use reqwest::StatusCode;
use rowhouse_db::migrate::wait_for_processes;

use crate::support::{TestApp, settings};

const LIMIT: Duration = Duration::from_secs(10);

#[tokio::test]
async fn every_process_serves_the_new_schema_once_the_wait_ends() {
    let first = TestApp::start().await;
    let second = TestApp::start_on(first.db.clone(), settings()).await;
    let client = rowhouse_db::connect(&first.db.urls.control).await.unwrap();
    for round in 0..5 {
        let sql = format!(
            "create table public.fresh_{round} (id int primary key);
             grant select on public.fresh_{round} to service_role"
        );
        first.db.migrate(&sql).await;
        assert_eq!(wait_for_processes(&client, LIMIT).await.unwrap(), []);
        for app in [&first, &second] {
            let answer = app.get(&app.service_key, &format!("/rest/v1/fresh_{round}")).await;
            assert_eq!(answer.status, StatusCode::OK, "round {round}: {}", answer.text);
        }
    }
}

#[tokio::test]
async fn process_with_the_old_schema_is_named_and_a_gone_one_is_not() {
    let app = TestApp::start().await;
    let client = rowhouse_db::connect(&app.db.urls.control).await.unwrap();
    let old = "insert into rowhouse.processes (id, host, pid, schema_read_at, seen_at) values
        (gen_random_uuid(), 'stuck', 7, now() - interval '1 minute', now()),
        (gen_random_uuid(), 'killed', 8, now() - interval '1 minute', now() - interval '21 seconds')";
    client.batch_execute(old).await.unwrap();
    let behind = wait_for_processes(&client, Duration::from_secs(2)).await.unwrap();
    let named: Vec<(&str, i32)> = behind.iter().map(|process| (process.host.as_str(), process.pid)).collect();
    assert_eq!(named, [("stuck", 7)]);
}

#[tokio::test]
async fn process_that_ends_leaves_no_record() {
    let app = TestApp::start().await;
    let client = rowhouse_db::connect(&app.db.urls.control).await.unwrap();
    let count = "select count(*) from rowhouse.processes";
    assert_eq!(client.query_one(count, &[]).await.unwrap().get::<_, i64>(0), 1);
    app.app.stop().await;
    assert_eq!(client.query_one(count, &[]).await.unwrap().get::<_, i64>(0), 0);
}
