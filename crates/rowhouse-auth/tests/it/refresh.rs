use std::sync::Arc;
use std::time::Duration;

use rowhouse_auth::AuthSettings;
use rowhouse_kernel::Secret;

use crate::app::{App, Person, settings};

async fn counter(app: &App) -> i64 {
    let counter = "select refresh_token_counter from auth.sessions";
    app.sql().await.query_one(counter, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn refresh_rotates_within_the_session() {
    let app = App::start().await;
    let first = app.sign_up("a@example.com").await;
    app.pass(Duration::from_secs(60));
    let answer = app.refresh(first.refresh_token()).await;
    assert_eq!(answer.headers["sb-auth-refresh-token-rotated"], "true");
    assert_eq!(answer.headers["sb-auth-refresh-token-counter"], "2");
    let prefix = answer.headers["sb-auth-refresh-token-prefix"].to_str().unwrap().to_owned();
    let second = Person(answer.ok());
    assert_ne!(first.refresh_token(), second.refresh_token());
    assert_eq!(prefix, second.refresh_token()[..5]);
    assert_eq!(first.claims(&app)["session_id"], second.claims(&app)["session_id"]);
    assert_eq!(
        second.claims(&app)["iat"].as_i64().unwrap() - first.claims(&app)["iat"].as_i64().unwrap(),
        60
    );
    assert_eq!(counter(&app).await, 2);
}

#[tokio::test]
async fn lost_answer_is_repeated_however_late() {
    let app = App::start().await;
    let first = app.sign_up("a@example.com").await;
    let second = Person(app.refresh(first.refresh_token()).await.ok());
    app.pass(Duration::from_secs(86_400));
    let again = app.refresh(first.refresh_token()).await;
    assert_eq!(again.headers["sb-auth-refresh-token-reuse-cause"], "parent_of_active");
    assert_eq!(Person(again.ok()).refresh_token(), second.refresh_token());
    app.refresh(second.refresh_token()).await.ok();
}

#[tokio::test]
async fn grandparent_is_accepted_within_the_interval_and_ends_the_session_after_it() {
    let app = App::start().await;
    let first = app.sign_up("a@example.com").await;
    let second = Person(app.refresh(first.refresh_token()).await.ok());
    let third = Person(app.refresh(second.refresh_token()).await.ok());
    app.pass(Duration::from_secs(10));
    assert_eq!(Person(app.refresh(first.refresh_token()).await.ok()).refresh_token(), third.refresh_token());
    app.pass(Duration::from_secs(1));
    app.refresh(first.refresh_token()).await.is(400, "refresh_token_already_used");
    app.refresh(third.refresh_token()).await.is(400, "session_expired");
    app.get("/user", third.token()).await.is(403, "session_not_found");
}

#[tokio::test]
async fn reuse_ends_no_other_sessions() {
    let app = App::start().await;
    let (first, other) = (app.sign_up("a@example.com").await, app.sign_in("a@example.com").await);
    let second = Person(app.refresh(first.refresh_token()).await.ok());
    app.refresh(second.refresh_token()).await.ok();
    app.pass(Duration::from_secs(11));
    app.refresh(first.refresh_token()).await.is(400, "refresh_token_already_used");
    app.refresh(other.refresh_token()).await.ok();
}

#[tokio::test]
async fn concurrent_requests_get_the_same_successor() {
    let app = Arc::new(App::start().await);
    let first = app.sign_up("a@example.com").await;
    let mut crossing = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (app, token) = (Arc::clone(&app), first.refresh_token().to_owned());
        crossing.spawn(async move { Person(app.refresh(&token).await.ok()).refresh_token().to_owned() });
    }
    let mut successors = crossing.join_all().await;
    successors.dedup();
    assert_eq!(successors.len(), 1);
    assert_eq!(counter(&app).await, 2);
}

#[tokio::test]
async fn tokens_of_another_key_are_refused() {
    let app = App::start().await;
    let person = app.sign_up("a@example.com").await;
    // A changed secret cannot open the stored keys, so they are removed with the change.
    let remove =
        "delete from auth.signing_keys; delete from auth.refresh_keys; delete from auth.root_secrets";
    app.sql().await.batch_execute(remove).await.unwrap();
    let changed = AuthSettings {
        key_secret: Some(Secret::new("another secret of thirty-two characters")),
        ..settings()
    };
    let app = App::on(app.db.clone(), changed).await;
    app.refresh(person.refresh_token()).await.is(400, "refresh_token_not_found");
}

#[tokio::test]
async fn changed_token_is_refused_without_a_query() {
    let app = App::start().await;
    let person = app.sign_up("a@example.com").await;
    let sql = app.sql().await;
    sql.batch_execute("alter function auth.refresh_session rename to not_called").await.unwrap();
    let token = person.refresh_token();
    for at in 0..token.len() {
        let other = if &token[at..=at] == "A" { "B" } else { "A" };
        let changed = format!("{}{other}{}", &token[..at], &token[at + 1..]);
        app.refresh(&changed).await.is(400, "refresh_token_not_found");
    }
    app.refresh(token).await.is(500, "unexpected_failure");
}

#[tokio::test]
async fn unknown_tokens_and_ended_sessions_are_refused() {
    let app = App::start().await;
    app.refresh("nonsense").await.is(400, "refresh_token_not_found");
    let person = app.sign_up("a@example.com").await;
    let sql = app.sql().await;
    sql.execute("update auth.sessions set not_after = '2020-01-01'", &[]).await.unwrap();
    app.refresh(person.refresh_token()).await.is(400, "session_expired");
    sql.execute("update auth.users set banned_until = '2200-01-01'", &[]).await.unwrap();
    app.refresh(person.refresh_token()).await.is(400, "user_banned");
    sql.execute("delete from auth.users", &[]).await.unwrap();
    app.refresh(person.refresh_token()).await.is(400, "refresh_token_not_found");
}
