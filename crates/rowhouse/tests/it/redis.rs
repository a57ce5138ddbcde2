//! Rate limits of the whole program, shared through Redis.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use rowhouse_http::ServerSettings;
use rowhouse_kernel::Secret;
use rowhouse_kernel::settings::Settings;
use rowhouse_module::Roles;
use rowhouse_redis::RedisSettings;
use rowhouse_testkit::{LIMIT, RedisServer, TestDatabase, until};

use crate::program::Folder;
use crate::support::{TestApp, TestResponse, settings};

/// Three invalid tokens of an address in five minutes.
fn shared(url: &str) -> Settings {
    let mut settings = settings();
    settings.update(|server: &mut ServerSettings| server.bad_token_rate_per_5min = 3);
    settings.update(|redis: &mut RedisSettings| {
        redis.url = Some(Secret::new(url));
        // On a busy machine no answer is late.
        redis.timeout = Duration::from_secs(1);
    });
    settings
}

async fn process(db: &TestDatabase, url: &str) -> TestApp {
    TestApp::start_as(db.clone(), shared(url), Roles { api: true, worker: false }).await
}

async fn guess(app: &TestApp) -> TestResponse {
    app.send(app.request(Method::GET, "/rest/v1/").bearer_auth("a.b.c")).await
}

async fn redis_in_health(app: &TestApp) -> (String, String, bool) {
    let ready = app.send(app.request(Method::GET, "/health/ready")).await.status.is_success();
    let health = app.send(app.request(Method::GET, "/health")).await.json();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    (text(&health["status"]), text(&health["services"]["redis"]), ready)
}

async fn works(app: &TestApp) {
    let is_healthy = async || redis_in_health(app).await.1 == "healthy";
    until("Redis is used", LIMIT, is_healthy).await;
}

#[tokio::test]
async fn budget_that_one_process_has_used_up_is_used_up_in_the_other() {
    let (redis, db) = (RedisServer::start().await, TestDatabase::create().await);
    let (one, two) = (process(&db, &redis.url()).await, process(&db, &redis.url()).await);
    let remaining = ["2", "1", "0"].map(|left| format!("\"bad-token-address\";r={left}"));
    for (app, left) in [&one, &two, &one].into_iter().zip(remaining) {
        let answer = guess(app).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{}", answer.text);
        assert!(answer.header("ratelimit").starts_with(&left), "{answer:?}, not {left}");
    }
    let refused = guess(&two).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS, "{}", refused.text);
    assert_eq!(refused.header("ratelimit-policy"), "\"bad-token-address\";q=3;w=300");
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((30..=100).contains(&wait), "{wait}");

    let other = process(&TestDatabase::create().await, &redis.url()).await;
    assert_eq!(guess(&other).await.status, StatusCode::UNAUTHORIZED, "another database shares nothing");
}

#[tokio::test]
async fn process_counts_for_itself_while_redis_is_away_and_shares_again_afterwards() {
    let (mut redis, db) = (RedisServer::start().await, TestDatabase::create().await);
    let (one, two) = (process(&db, &redis.url()).await, process(&db, &redis.url()).await);
    works(&one).await;
    assert_eq!(guess(&one).await.status, StatusCode::UNAUTHORIZED);
    redis.stop();
    for expected in [401, 401, 401, 429, 429] {
        assert_eq!(guess(&one).await.status.as_u16(), expected);
    }
    assert_eq!(guess(&two).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(redis_in_health(&one).await, ("degraded".to_owned(), "unhealthy".to_owned(), true));
    let metrics = one.send(one.request(Method::GET, "/metrics")).await.text;
    let counted = metrics.lines().find_map(|line| line.strip_prefix("rowhouse_redis_fallbacks_total "));
    assert!(counted.is_some_and(|count| count.parse::<f64>().unwrap() >= 5.0), "{counted:?}");

    redis.start_again().await;
    works(&one).await;
    works(&two).await;
    for (app, expected) in [(&one, 401), (&two, 401), (&one, 401), (&two, 429)] {
        assert_eq!(guess(app).await.status.as_u16(), expected);
    }
}

#[tokio::test]
async fn process_starts_without_redis_and_uses_it_once_it_is_there() {
    let (mut redis, db) = (RedisServer::start().await, TestDatabase::create().await);
    redis.stop();
    let app = process(&db, &redis.url()).await;
    assert_eq!(redis_in_health(&app).await, ("degraded".to_owned(), "unhealthy".to_owned(), true));
    assert_eq!(guess(&app).await.status, StatusCode::UNAUTHORIZED);
    redis.start_again().await;
    works(&app).await;
}

#[tokio::test]
async fn doctor_tests_the_connection() {
    let mut redis = RedisServer::start().await;
    let folder = Folder::with_settings(&format!("[redis]\nurl = \"{}\"\n", redis.url()));
    let redis_check = |folder: &Folder| {
        let document = folder.run(&["doctor", "--json"]).document();
        let checks = document["checks"].as_array().cloned().unwrap_or_default();
        let check = checks.into_iter().find(|check| check["name"] == "redis").unwrap();
        (check["ok"] == true, check["detail"].to_string(), document["notes"].to_string())
    };
    let (ok, detail, notes) = redis_check(&folder);
    assert!(ok && detail.contains("answers; no limit of memory, noeviction"), "{detail}");
    assert!(notes.contains("maxmemory is not set"), "{notes}");
    redis.stop();
    let (ok, detail, _) = redis_check(&folder);
    assert!(!ok && !detail.contains("test-redis"), "{detail}");
}
