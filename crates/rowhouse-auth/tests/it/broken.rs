//! A crash between any two steps: the connection to the database breaks at each round trip of a request in turn, before the
//! server hears of it and after it has done it. Then either all or nothing of the request has happened.

mod grant;
mod job;
mod reseal;

use rowhouse_auth::AuthSettings;
use rowhouse_crypto::sha256_base64url;
use rowhouse_kernel::Secret;
use rowhouse_testkit::{Break, LIMIT, Setup, TestDatabase, TripCounter, until_some, until_true};
use serde_json::json;
use url::Url;

use crate::app::{Answer, App, PASSWORD, settings};
use crate::confirmation::strict;
use crate::external::{FakeProvider, acme, parameter, person, visit};

/// More round trips than any of the requests makes, those of a new connection included.
const MOST_TRIPS: u64 = 40;
const VERIFIER: &str = "a verifier of at least forty-three characters";

/// An application whose connections to the control plane can be broken.
async fn breakable(settings: AuthSettings) -> (App, TripCounter) {
    breakable_with(settings, |_| {}).await
}

async fn breakable_with(settings: AuthSettings, change: impl FnOnce(&mut Setup)) -> (App, TripCounter) {
    let (counter, mut db) = (TripCounter::of_requests().await, TestDatabase::create().await);
    db.urls.control = Secret::new(counter.url("rowhouse", &db.name));
    (App::with_setup(db, settings, change).await, counter)
}

/// Every place at which the connection can break during a request, each with a number of its own. When a request was
/// answered as usual, it has no further places, and the next kind of break follows.
#[derive(Default)]
struct Places {
    number: u64,
    ahead: u64,
    kind: usize,
}

impl Places {
    fn next(&mut self) -> Option<(u64, u64, Break)> {
        let how = *Break::ALL.get(self.kind)?;
        (self.number, self.ahead) = (self.number + 1, self.ahead + 1);
        assert!(
            self.ahead <= MOST_TRIPS && self.number <= 4 * MOST_TRIPS,
            "more than {MOST_TRIPS} round trips"
        );
        Some((self.number, self.ahead, how))
    }

    /// Whether it was answered as usual.
    fn note(&mut self, counter: &TripCounter, answer: &Answer) -> bool {
        let is_done = !answer.status.is_server_error();
        assert!(!is_done || answer.status == 200, "{}", answer.body);
        self.pass(counter, is_done)
    }

    fn pass(&mut self, counter: &TripCounter, is_done: bool) -> bool {
        match (is_done, counter.is_ahead()) {
            (true, true) => {
                assert!(self.ahead > 1, "no request was broken");
                (self.kind, self.ahead) = (self.kind + 1, 0);
            }
            // Something else was broken: this place once more.
            (true, false) => self.ahead -= 1,
            (false, _) => {}
        }
        counter.break_none();
        is_done
    }
}

/// The answer to a client that asks again while the server says that the database is unavailable.
async fn patiently(send: impl AsyncFn() -> Answer) -> Answer {
    until_some("an answer", LIMIT, async || {
        let answer = send().await;
        (!answer.status.is_server_error()).then_some(answer)
    })
    .await
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
    let mut places = Places::default();
    while let Some((number, ahead, how)) = places.next() {
        let email = format!("{number}@example.com");
        let body = json!({ "email": email, "password": PASSWORD });
        counter.break_at(ahead, how);
        let answer = app.post("/signup", body.clone()).await;
        let is_done = places.note(&counter, &answer);
        let half = "select count(*) from auth.users u where not exists (select from auth.identities i where i.user_id = u.id)
            or not exists (select from auth.sessions s where s.user_id = u.id)
            or not exists (select from tenancy.memberships m where m.user_id = u.id)";
        assert_eq!(count(&app, half).await, 0, "{ahead} {how:?}");
        // Whoever tries again gets in, one way or the other.
        if !is_done && patiently(async || app.post("/signup", body.clone()).await).await.status != 200 {
            patiently(async || app.password(&email, PASSWORD).await).await.ok();
        }
    }
}

#[tokio::test]
async fn verification_uses_the_letter_up_and_confirms_or_neither() {
    let (app, counter) = breakable(strict()).await;
    let mut places = Places::default();
    while let Some((number, ahead, how)) = places.next() {
        let email = format!("{number}@example.com");
        let sign_up = json!({ "email": email, "password": PASSWORD });
        patiently(async || app.post("/signup", sign_up.clone()).await).await.ok();
        let code = app.mail_to(&email).await.code();
        counter.break_at(ahead, how);
        let answer = app.verify("signup", &email, &code).await;
        let is_done = places.note(&counter, &answer);
        let half = "select count(*) from auth.users u where (u.email_confirmed_at is not null) <> (exists (
            select from auth.sessions s where s.user_id = u.id)) or (u.email_confirmed_at is null) <> (exists (
            select from auth.one_time_tokens t where t.user_id = u.id))";
        assert_eq!(count(&app, half).await, 0, "{ahead} {how:?}");
        let again = async || app.verify("signup", &email, &code).await;
        if !is_done && patiently(again).await.status != 200 {
            patiently(async || app.password(&email, PASSWORD).await).await.ok();
        }
    }
}

#[tokio::test]
async fn refresh_that_was_not_heard_of_is_repeated_with_the_same_token() {
    let (app, counter) = breakable(settings()).await;
    let mut places = Places::default();
    let mut token = app.sign_up("a@example.com").await.refresh_token().to_owned();
    while let Some((_, ahead, how)) = places.next() {
        counter.break_at(ahead, how);
        let answer = app.refresh(&token).await;
        let next = match places.note(&counter, &answer) {
            true => answer.body,
            false => patiently(async || app.refresh(&token).await).await.ok(),
        };
        token = next["refresh_token"].as_str().unwrap().to_owned();
        assert_eq!(count(&app, "select count(*) from auth.sessions").await, 1);
    }
}

#[tokio::test]
async fn code_is_exchanged_for_a_session_or_stays() {
    let provider = FakeProvider::start().await;
    let (app, counter) = breakable(acme(&provider)).await;
    let challenge = sha256_base64url(VERIFIER.as_bytes());
    let path = format!("/authorize?provider=acme&code_challenge={challenge}&code_challenge_method=s256");
    let mut places = Places::default();
    while let Some((number, ahead, how)) = places.next() {
        let there = visit(&app, &path).await.target();
        let claims = person(&number.to_string(), &format!("{number}@example.com"), true);
        let back = visit(&app, &provider.admit(&there, claims)).await.target();
        let exchange = json!({ "auth_code": parameter(&back, "code").unwrap(), "code_verifier": VERIFIER });
        counter.break_at(ahead, how);
        let answer = app.post("/token?grant_type=pkce", exchange.clone()).await;
        let is_done = places.note(&counter, &answer);
        let flows = count(&app, "select count(*) from auth.flow_state").await;
        let sessions = count(&app, "select count(*) from auth.sessions").await;
        assert_eq!(flows + sessions, i64::try_from(number).unwrap(), "{ahead} {how:?}");
        if !is_done && flows == 1 {
            patiently(async || app.post("/token?grant_type=pkce", exchange.clone()).await).await.ok();
        }
    }
}

/// The callback: the account and the code, or neither; then the user begins anew.
#[tokio::test]
async fn way_back_makes_account_and_code_or_neither() {
    let provider = FakeProvider::start().await;
    let (app, counter) = breakable(acme(&provider)).await;
    let mut places = Places::default();
    let challenge = sha256_base64url(VERIFIER.as_bytes());
    let path = format!("/authorize?provider=acme&code_challenge={challenge}&code_challenge_method=s256");
    while let Some((number, ahead, how)) = places.next() {
        let there = visit(&app, &path).await.target();
        let claims = person(&number.to_string(), &format!("{number}@example.com"), true);
        let back = provider.admit(&there, claims.clone());
        counter.break_at(ahead, how);
        let answer = visit(&app, &back).await;
        let is_done =
            answer.location.is_some_and(|url| parameter(&Url::parse(&url).unwrap(), "code").is_some());
        places.pass(&counter, is_done);
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
    let auth = || AuthSettings { mailer_autoconfirm: false, ..acme(&provider) };
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
