use std::sync::Arc;
use std::time::Duration;

use rowhouse_auth::AuthSettings;
use rowhouse_kernel::Secret;

use crate::app::{App, Person, settings};

async fn live_tokens(app: &App) -> i64 {
    let count = "select count(*) from auth.refresh_tokens where not revoked";
    app.sql().await.query_one(count, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn refresh_rotates_within_the_session() {
    let app = App::start().await;
    let first = app.sign_up("a@example.com").await;
    app.pass(Duration::from_secs(60));
    let answer = app.refresh(first.refresh_token()).await;
    assert_eq!(answer.headers["sb-auth-refresh-token-rotated"], "true");
    let second = Person(answer.ok());
    assert_ne!(first.refresh_token(), second.refresh_token());
    assert_eq!(first.claims(&app)["session_id"], second.claims(&app)["session_id"]);
    assert_eq!(
        second.claims(&app)["iat"].as_i64().unwrap() - first.claims(&app)["iat"].as_i64().unwrap(),
        60
    );
    assert_eq!(live_tokens(&app).await, 1);
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
    assert_eq!(live_tokens(&app).await, 0, "the revocation is committed although the answer is an error");
    app.refresh(third.refresh_token()).await.is(400, "refresh_token_already_used");
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
    assert_eq!(live_tokens(&app).await, 1);
}

#[tokio::test]
async fn sessions_continue_after_a_change_of_the_secret() {
    let app = App::start().await;
    let first = app.sign_up("a@example.com").await;
    let second = Person(app.refresh(first.refresh_token()).await.ok());
    // A changed secret cannot open the stored keys, so they are removed with the change.
    app.sql().await.execute("delete from auth.signing_keys", &[]).await.unwrap();
    let changed = AuthSettings {
        key_secret: Some(Secret::new("another secret of thirty-two characters")),
        ..settings()
    };
    let app = App::on(app.db.clone(), changed).await;
    let third = Person(app.refresh(first.refresh_token()).await.ok());
    assert_ne!(third.refresh_token(), second.refresh_token());
    assert_eq!(live_tokens(&app).await, 1);
    app.refresh(third.refresh_token()).await.ok();
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
