//! A crash between any two steps: the connection to the database breaks at each round trip of a request in turn, before the
//! server hears of it and after it has done it. Then either all or nothing of the request has happened.

use rowhouse_crypto::sha256_base64url;
use rowhouse_kernel::Secret;
use rowhouse_testkit::{Break, LIMIT, TestDatabase, TripCounter, until_some, until_true};
use serde_json::json;

use crate::app::{Answer, App, PASSWORD, settings};
use crate::confirmation::strict;
use crate::external::{FakeProvider, acme, parameter, person, visit};

/// More round trips than any of the requests makes.
const MOST_TRIPS: u64 = 8;
const BREAKS: [Break; 2] = [Break::BeforeServer, Break::BeforeClient];
const VERIFIER: &str = "a verifier of at least forty-three characters";

/// An application whose connections to the control plane can be broken.
async fn breakable(settings: rowhouse_auth::AuthSettings) -> (App, TripCounter) {
    let (counter, mut db) = (TripCounter::start().await, TestDatabase::create().await);
    db.urls.control = Secret::new(counter.url("rowhouse", &db.name));
    (App::on(db, settings).await, counter)
}

/// Every place at which a connection can break, each with a number of its own.
fn places() -> impl Iterator<Item = (u64, u64, Break)> {
    let all = BREAKS.into_iter().flat_map(|how| (1..=MOST_TRIPS).map(move |ahead| (ahead, how)));
    (1..).zip(all).map(|(number, (ahead, how))| (number, ahead, how))
}

/// Counts answers that a broken connection has spoiled; others must be the usual one.
struct Spoiled(u64);

impl Spoiled {
    /// Whether it was answered as usual.
    fn note(&mut self, answer: &Answer) -> bool {
        if answer.status.is_server_error() {
            self.0 += 1;
            return false;
        }
        assert_eq!(answer.status, 200, "{}", answer.body);
        true
    }

    fn require_some(&self) {
        assert!(self.0 >= 2, "no request was broken");
    }
}

/// The count once nothing is being done: a server whose client is gone finishes what it was told.
async fn count(app: &App, sql: &str) -> i64 {
    let client = app.sql().await;
    let idle = "not exists (select from pg_stat_activity where datname = current_database() \
        and backend_type = 'client backend' and state <> 'idle' and pid <> pg_backend_pid())";
    until_true(&client, idle).await;
    client.query_one(sql, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn sign_up_makes_a_whole_account_or_none() {
    let (app, counter) = breakable(settings()).await;
    let mut spoiled = Spoiled(0);
    for (number, ahead, how) in places() {
        let email = format!("{number}@example.com");
        let body = json!({ "email": email, "password": PASSWORD });
        counter.break_at(ahead, how);
        let answer = app.post("/signup", body.clone()).await;
        counter.break_none();
        let is_done = spoiled.note(&answer);
        let half = "select count(*) from auth.users u where not exists (select from auth.identities i where i.user_id = u.id)
            or not exists (select from auth.sessions s where s.user_id = u.id)
            or not exists (select from tenancy.memberships m where m.user_id = u.id)";
        assert_eq!(count(&app, half).await, 0, "{ahead} {how:?}");
        // Whoever tries again gets in, one way or the other.
        if !is_done && app.post("/signup", body).await.status != 200 {
            app.password(&email, PASSWORD).await.ok();
        }
    }
    spoiled.require_some();
}

#[tokio::test]
async fn verification_uses_the_letter_up_and_confirms_or_neither() {
    let (app, counter) = breakable(strict()).await;
    let mut spoiled = Spoiled(0);
    for (number, ahead, how) in places() {
        let email = format!("{number}@example.com");
        app.post("/signup", json!({ "email": email, "password": PASSWORD })).await.ok();
        let code = app.mail_to(&email).await.code();
        counter.break_at(ahead, how);
        let answer = app.verify("signup", &email, &code).await;
        counter.break_none();
        let is_done = spoiled.note(&answer);
        let half = "select count(*) from auth.users u where (u.email_confirmed_at is not null) <> (exists (
            select from auth.sessions s where s.user_id = u.id)) or (u.email_confirmed_at is null) <> (exists (
            select from auth.one_time_tokens t where t.user_id = u.id))";
        assert_eq!(count(&app, half).await, 0, "{ahead} {how:?}");
        if !is_done && app.verify("signup", &email, &code).await.status != 200 {
            app.password(&email, PASSWORD).await.ok();
        }
    }
    spoiled.require_some();
}

#[tokio::test]
async fn refresh_that_was_not_heard_of_is_repeated_with_the_same_token() {
    let (app, counter) = breakable(settings()).await;
    let mut spoiled = Spoiled(0);
    let mut token = app.sign_up("a@example.com").await.refresh_token().to_owned();
    for (_, ahead, how) in places() {
        counter.break_at(ahead, how);
        let answer = app.refresh(&token).await;
        counter.break_none();
        let next = match spoiled.note(&answer) {
            true => answer.body,
            // As clients do while the server says that the database is unavailable.
            false => {
                until_some("a refresh", LIMIT, async || {
                    let again = app.refresh(&token).await;
                    (!again.status.is_server_error()).then(|| again.ok())
                })
                .await
            }
        };
        token = next["refresh_token"].as_str().unwrap().to_owned();
        assert_eq!(count(&app, "select count(*) from auth.sessions").await, 1);
    }
    spoiled.require_some();
}

#[tokio::test]
async fn code_is_exchanged_for_a_session_or_stays() {
    let provider = FakeProvider::start().await;
    let (app, counter) = breakable(acme(&provider)).await;
    let challenge = sha256_base64url(VERIFIER.as_bytes());
    let path = format!("/authorize?provider=acme&code_challenge={challenge}&code_challenge_method=s256");
    let mut spoiled = Spoiled(0);
    for (number, ahead, how) in places() {
        let there = visit(&app, &path).await.target();
        let claims = person(&number.to_string(), &format!("{number}@example.com"), true);
        let back = visit(&app, &provider.admit(&there, claims)).await.target();
        let exchange = json!({ "auth_code": parameter(&back, "code").unwrap(), "code_verifier": VERIFIER });
        counter.break_at(ahead, how);
        let answer = app.post("/token?grant_type=pkce", exchange.clone()).await;
        counter.break_none();
        let is_done = spoiled.note(&answer);
        let flows = count(&app, "select count(*) from auth.flow_state").await;
        let sessions = count(&app, "select count(*) from auth.sessions").await;
        assert_eq!(flows + sessions, i64::try_from(number).unwrap(), "{ahead} {how:?}");
        if !is_done && flows == 1 {
            app.post("/token?grant_type=pkce", exchange).await.ok();
        }
    }
    spoiled.require_some();
}

/// The callback: the account and the code, or neither; then the user begins anew.
#[tokio::test]
async fn way_back_makes_account_and_code_or_neither() {
    let provider = FakeProvider::start().await;
    let (app, counter) = breakable(acme(&provider)).await;
    let challenge = sha256_base64url(VERIFIER.as_bytes());
    let path = format!("/authorize?provider=acme&code_challenge={challenge}&code_challenge_method=s256");
    for (number, ahead, how) in places() {
        let there = visit(&app, &path).await.target();
        let claims = person(&number.to_string(), &format!("{number}@example.com"), true);
        let back = provider.admit(&there, claims.clone());
        counter.break_at(ahead, how);
        visit(&app, &back).await;
        counter.break_none();
        let half = "select count(*) from auth.users u where not exists (select from auth.identities i where i.user_id = u.id)
            or not exists (select from tenancy.memberships m where m.user_id = u.id)";
        assert_eq!(count(&app, half).await, 0, "{ahead} {how:?}");
        let there = visit(&app, &path).await.target();
        let back = visit(&app, &provider.admit(&there, claims)).await.target();
        assert!(parameter(&back, "code").is_some(), "{back}");
    }
}

#[tokio::test]
async fn pending_exchange_and_letter_survive_a_restart() {
    let provider = FakeProvider::start().await;
    let auth = || rowhouse_auth::AuthSettings { mailer_autoconfirm: false, ..acme(&provider) };
    let first = App::with(auth()).await;
    let challenge = sha256_base64url(VERIFIER.as_bytes());
    let path = format!("/authorize?provider=acme&code_challenge={challenge}&code_challenge_method=s256");
    let there = visit(&first, &path).await.target();
    let back = visit(&first, &provider.admit(&there, person("1", "a@example.com", true))).await.target();
    let waiting = visit(&first, &path).await.target();
    first.post("/signup", json!({ "email": "b@example.com", "password": PASSWORD })).await.ok();
    let code = first.mail_to("b@example.com").await.code();
    let db = first.db.clone();
    drop(first);
    let second = App::on(db, auth()).await;
    let exchange = json!({ "auth_code": parameter(&back, "code").unwrap(), "code_verifier": VERIFIER });
    let session = second.post("/token?grant_type=pkce", exchange).await.ok();
    assert_eq!(session["provider_token"], "theirs");
    let back = visit(&second, &provider.admit(&waiting, person("2", "c@example.com", true))).await.target();
    assert!(parameter(&back, "code").is_some(), "{back}");
    second.verify("signup", "b@example.com", &code).await.ok();
}
