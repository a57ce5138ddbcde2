//! Many refreshes of one token at once, lost answers and thieves, over HTTP.

use std::sync::Arc;
use std::time::Duration;

use rowhouse_kernel::{Rng, SeededRng};
use tokio::task::JoinSet;

use crate::app::{App, Person};

/// Sends `count` refreshes of `token` at once; returns the tokens that came back.
async fn storm(app: &Arc<App>, token: &str, count: usize) -> Vec<String> {
    let mut crossing = JoinSet::new();
    for _ in 0..count {
        let (app, token) = (Arc::clone(app), token.to_owned());
        crossing.spawn(async move { Person(app.refresh(&token).await.ok()).refresh_token().to_owned() });
    }
    crossing.join_all().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn storms_of_two_hundred_refreshes_never_sign_the_user_out() {
    let app = Arc::new(App::start().await);
    let mut token = app.sign_up("a@example.com").await.refresh_token().to_owned();
    for round in 0..3 {
        let tokens = storm(&app, &token, 200).await;
        assert!(tokens.iter().all(|other| *other == tokens[0]), "round {round}: one successor for all");
        assert_ne!(tokens[0], token);
        // All answers are lost: the client comes again with the old token, much later.
        app.pass(Duration::from_secs(3600));
        let again = storm(&app, &token, 50).await;
        assert!(again.iter().all(|other| *other == tokens[0]), "round {round}: the same once more");
        token.clone_from(&tokens[0]);
        app.pass(Duration::from_secs(3600));
    }
    app.refresh(&token).await.ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn storm_of_a_stolen_token_ends_the_session_once() {
    let app = Arc::new(App::start().await);
    let stolen = app.sign_up("a@example.com").await.refresh_token().to_owned();
    let second = Person(app.refresh(&stolen).await.ok());
    let third = Person(app.refresh(second.refresh_token()).await.ok());
    app.pass(Duration::from_secs(11));
    let mut crossing = JoinSet::new();
    for _ in 0..50 {
        let (app, stolen) = (Arc::clone(&app), stolen.clone());
        crossing.spawn(async move { app.refresh(&stolen).await.body["code"].as_str().unwrap().to_owned() });
    }
    let codes = crossing.join_all().await;
    assert!(codes.iter().any(|code| code == "refresh_token_already_used"));
    assert!(
        codes.iter().all(|code| ["refresh_token_already_used", "session_expired"].contains(&code.as_str()))
    );
    app.refresh(third.refresh_token()).await.is(400, "session_expired");
    let audited = "select count(*) from audit.entries where action = 'token_revoked'";
    assert_eq!(app.sql().await.query_one(audited, &[]).await.unwrap().get::<_, i64>(0), 1);
}

/// The rule, in the words of the manual; the clock is in seconds.
fn rule(current: i64, rotated_at: i64, presented: i64, now: i64) -> &'static str {
    match current - presented {
        0 => "rotated",
        1 => "repeated",
        _ if now <= rotated_at + 10 => "repeated",
        _ => "over",
    }
}

#[tokio::test]
async fn random_histories_follow_the_rule() {
    let app = App::start().await;
    let rng = SeededRng::new(20_261_127);
    let draw = |below: u64| {
        let mut bytes = [0; 8];
        rng.fill(&mut bytes);
        u64::from_le_bytes(bytes) % below
    };
    for history in 0..12 {
        let email = format!("{history}@example.com");
        let mut tokens = vec![app.sign_up(&email).await.refresh_token().to_owned()];
        let (mut rotated_at, mut now) = (0, 0);
        for step in 0..40 {
            let seconds = [0, 0, 1, 5, 11][usize::try_from(draw(5)).unwrap()];
            app.pass(Duration::from_secs(seconds));
            now += i64::try_from(seconds).unwrap();
            let newest = tokens.len() - 1;
            let at = newest.saturating_sub([0, 0, 0, 1, 1, 2, 3][usize::try_from(draw(7)).unwrap()]);
            let count = |index: usize| i64::try_from(index).unwrap();
            let expected = rule(count(newest), rotated_at, count(at), now);
            let answer = app.refresh(&tokens[at]).await;
            let seen = match answer.headers.get("sb-auth-refresh-token-rotated").map(|value| value == "true")
            {
                Some(true) => "rotated",
                Some(false) => "repeated",
                None => "over",
            };
            assert_eq!(seen, expected, "history {history}, step {step}: {at} of {newest}");
            match expected {
                "rotated" => {
                    tokens.push(Person(answer.ok()).refresh_token().to_owned());
                    rotated_at = now;
                }
                "repeated" => assert_eq!(Person(answer.ok()).refresh_token(), tokens[newest]),
                _ => {
                    answer.is(400, "refresh_token_already_used");
                    app.refresh(&tokens[newest]).await.is(400, "session_expired");
                    break;
                }
            }
        }
    }
}
