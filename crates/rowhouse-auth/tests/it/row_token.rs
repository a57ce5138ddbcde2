//! Refresh tokens of before the counter.

use std::time::Duration;

use crate::app::{App, Person};

/// Tokens as GoTrue stores them: as they are.
const PLAIN: [&str; 3] = ["aaaaaaaaaaaa", "bbbbbbbbbbbb", "cccccccccccc"];

/// A session with a chain of three tokens, and no counter.
async fn session_of_before() -> (App, Person) {
    let app = App::start().await;
    let person = app.sign_up("a@example.com").await;
    let now = rowhouse_kernel::Clock::now(&*app.clock);
    let client = app.sql().await;
    let sql = "with s as (update auth.sessions set refresh_token_counter = null, rotated_at = null returning id, user_id)
               insert into auth.refresh_tokens (token, user_id, revoked, parent, created_at, updated_at, session_id)
               select t, s.user_id::text, n < 3, ($1::text[])[(n - 1)::int], $2::timestamptz, $2, s.id
               from s, unnest($1::text[]) with ordinality u (t, n) order by n";
    client.execute(sql, &[&PLAIN.as_slice(), &now]).await.unwrap();
    (app, person)
}

async fn digested() -> (App, Person) {
    let (app, person) = session_of_before().await;
    let sql = "update auth.refresh_tokens set token = encode(sha256(token::bytea), 'hex'), \
               parent = encode(sha256(parent::bytea), 'hex')";
    app.sql().await.execute(sql, &[]).await.unwrap();
    (app, person)
}

#[tokio::test]
async fn current_row_token_is_exchanged_once_for_a_counter() {
    for (app, person) in [session_of_before().await, digested().await] {
        let first = app.refresh(PLAIN[2]).await;
        assert_eq!(first.headers["sb-auth-refresh-token-counter"], "1");
        let first = Person(first.ok());
        assert_eq!(first.claims(&app)["session_id"], person.claims(&app)["session_id"]);
        app.pass(Duration::from_secs(3600));
        let again = Person(app.refresh(PLAIN[2]).await.ok());
        assert_eq!(again.refresh_token(), first.refresh_token(), "the answer may have been lost");
        app.refresh(first.refresh_token()).await.ok();
        app.pass(Duration::from_secs(11));
        app.refresh(PLAIN[2]).await.is(400, "refresh_token_already_used");
        app.refresh(first.refresh_token()).await.is(400, "session_expired");
    }
}

#[tokio::test]
async fn chain_of_before_is_judged_as_it_was() {
    let (app, _) = session_of_before().await;
    app.pass(Duration::from_secs(3600));
    let first = Person(app.refresh(PLAIN[1]).await.ok());
    assert_eq!(Person(app.refresh(PLAIN[2]).await.ok()).refresh_token(), first.refresh_token());
    let (app, _) = session_of_before().await;
    app.refresh(PLAIN[0]).await.ok();
    let (app, _) = session_of_before().await;
    app.pass(Duration::from_secs(11));
    app.refresh(PLAIN[0]).await.is(400, "refresh_token_already_used");
    app.refresh(PLAIN[2]).await.is(400, "session_expired");
}

#[tokio::test]
async fn stored_digest_is_no_token() {
    let (app, _) = digested().await;
    let row = app.sql().await.query_one("select max(token) from auth.refresh_tokens", &[]).await.unwrap();
    app.refresh(row.get(0)).await.is(400, "refresh_token_not_found");
}
