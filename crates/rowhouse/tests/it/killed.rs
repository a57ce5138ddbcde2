//! kill -9 of the real process at each round trip to its database that a request makes: before the database hears of it, and
//! after it has done it and the process has not heard. All of the request has happened then, or nothing, and the client goes
//! on with the next process. Broken connections are tested in rowhouse-auth, kills at random moments in `crash.rs`.

mod pending;
mod reseal;
mod server;

use std::collections::{BTreeMap, BTreeSet};

use reqwest::{Method, RequestBuilder};
use rowhouse_crypto::sha256_base64url;
use rowhouse_testkit::Break;
use serde_json::{Value, json};

use server::{Server, change, parameter};

/// More round trips than any of the requests makes.
const MOST_TRIPS: u64 = 50;
const PASSWORD: &str = "correct horse";
const VERIFIER: &str = "a verifier of at least forty-three characters";
/// Addresses are confirmed at once.
const AUTOCONFIRM: (&str, &str) = ("ROWHOUSE_AUTH__MAILER_AUTOCONFIRM", "true");
const BY_LETTER: (&str, &str) = ("ROWHOUSE_AUTH__MAILER_AUTOCONFIRM", "false");
/// Links take effect when they are opened.
const NO_PAGE: (&str, &str) = ("ROWHOUSE_AUTH__VERIFY_PAGE", "false");
/// What every new account consists of, with the event for the project's hook.
const ACCOUNT: [&str; 4] = ["auth.users", "auth.identities", "tenancy.user_profiles", "jobs.ready"];

fn person(number: u64) -> Value {
    json!({ "email": format!("{number}@example.com"), "password": PASSWORD })
}

/// Kills the process at each round trip of a request in turn, until it is answered. `arrange` makes a case of a number;
/// `go_on` does with the next process what a client would, who knows nothing of what happened, but is told for checking.
/// Returns the change that the request makes.
async fn kill_at_each_trip<C>(
    server: &mut Server,
    arrange: impl AsyncFn(&Server, u64) -> C,
    request: impl Fn(&Server, &C) -> RequestBuilder,
    go_on: impl AsyncFn(&Server, &C, bool),
) -> BTreeMap<String, i64> {
    let whole = undisturbed(server, &arrange, &request).await;
    let (mut number, mut outcomes) = (0, BTreeSet::new());
    for how in Break::ALL {
        let mut is_answered = false;
        for ahead in 1..=MOST_TRIPS {
            number += 1;
            let case = arrange(server, number).await;
            let before = server.state().await;
            let sent = request(server, &case);
            is_answered = server.send_and_kill((ahead, how), sent).await.is_some();
            let changed = change(&before, &server.state().await);
            let is_done = changed == whole;
            assert!(is_done || changed.is_empty(), "{how:?} at round trip {ahead}: {changed:?} of {whole:?}");
            if is_answered {
                assert!(is_done, "answered, and nothing has happened");
                break;
            }
            outcomes.insert(is_done);
            server.start_again().await;
            go_on(server, &case, is_done).await;
        }
        assert!(is_answered, "more than {MOST_TRIPS} round trips");
    }
    assert_eq!(
        outcomes,
        BTreeSet::from([false, true]),
        "kills after which nothing and everything has happened"
    );
    whole
}

/// The change that the request makes where nothing is killed.
async fn undisturbed<C>(
    server: &Server,
    arrange: &impl AsyncFn(&Server, u64) -> C,
    request: &impl Fn(&Server, &C) -> RequestBuilder,
) -> BTreeMap<String, i64> {
    let case = arrange(server, 0).await;
    let before = server.state().await;
    let answer = server.send(request(server, &case)).await;
    assert!(answer.status.is_success() || answer.status.is_redirection(), "{answer:?}");
    change(&before, &server.state().await)
}

#[track_caller]
fn holds(whole: &BTreeMap<String, i64>, names: &[&str]) {
    for name in names {
        assert!(whole.get(*name).is_some_and(|count| *count > 0), "{name} in {whole:?}");
    }
}

#[tokio::test]
async fn sign_up_that_is_killed_has_made_a_whole_account_with_a_session_or_nothing() {
    let mut server = Server::start(&[AUTOCONFIRM]).await;
    let whole = kill_at_each_trip::<Value>(
        &mut server,
        async |_, number| person(number),
        |server, person| server.post("/signup", person),
        async |server, person, is_done| {
            let again = server.answer("/signup", person).await;
            assert_eq!(again.status, if is_done { 422 } else { 200 }, "{}", again.body);
            server.answer("/token?grant_type=password", person).await.ok();
        },
    )
    .await;
    holds(&whole, &ACCOUNT);
    holds(
        &whole,
        &[
            "tenancy.organizations",
            "tenancy.tenants",
            "tenancy.memberships",
            "auth.sessions",
            "audit.entries",
        ],
    );
}

#[tokio::test]
async fn sign_up_that_is_killed_has_made_an_account_with_its_letter_or_nothing() {
    let mut server = Server::start(&[BY_LETTER]).await;
    let whole = kill_at_each_trip::<Value>(
        &mut server,
        async |_, number| person(number),
        |server, person| server.post("/signup", person),
        async |server, person, is_done| {
            if !is_done {
                server.answer("/signup", person).await.ok();
            }
            let token = letter_token(server, person).await;
            server.answer("/verify", &json!({ "type": "signup", "token_hash": token })).await.ok();
        },
    )
    .await;
    holds(&whole, &ACCOUNT);
    holds(&whole, &["auth.one_time_tokens", "mail.messages", "mail.recipients"]);
    assert_eq!(whole["jobs.ready"], 2, "the letter's and the hook's");
}

async fn letter_token(server: &Server, person: &Value) -> String {
    parameter(&server.link(person["email"].as_str().unwrap()).await, "token").unwrap()
}

#[tokio::test]
async fn verification_that_is_killed_has_used_the_letter_up_and_signed_in_or_neither() {
    let mut server = Server::start(&[BY_LETTER]).await;
    let whole = kill_at_each_trip::<(Value, Value)>(
        &mut server,
        async |server, number| {
            server.answer("/signup", &person(number)).await.ok();
            let token = letter_token(server, &person(number)).await;
            (person(number), json!({ "type": "signup", "token_hash": token }))
        },
        |server, (_, proof)| server.post("/verify", proof),
        async |server, (person, proof), is_done| {
            let again = server.answer("/verify", proof).await;
            assert_eq!(again.status, if is_done { 403 } else { 200 }, "{}", again.body);
            server.answer("/token?grant_type=password", person).await.ok();
        },
    )
    .await;
    holds(&whole, &["auth.sessions", "confirmed addresses", "audit.entries"]);
    assert_eq!(whole["auth.one_time_tokens"], -1);
}

#[tokio::test]
async fn refresh_that_is_killed_is_repeated_with_the_same_token() {
    let mut server = Server::start(&[AUTOCONFIRM]).await;
    let refresh = "/token?grant_type=refresh_token";
    let token = |session: &Value| json!({ "refresh_token": session["refresh_token"] });
    let whole = kill_at_each_trip::<Value>(
        &mut server,
        async |server, number| token(&server.answer("/signup", &person(number)).await.ok()),
        |server, token| server.post(refresh, token),
        async |server, former, _| {
            let session = server.answer(refresh, former).await.ok();
            assert_ne!(session["refresh_token"], former["refresh_token"]);
            server.answer(refresh, &token(&session)).await.ok();
        },
    )
    .await;
    assert_eq!(whole["refreshes"], 1, "{whole:?}");
}

/// A sign-up whose link leads to a code for the client with the verifier; the link.
async fn with_challenge(server: &Server, number: u64) -> String {
    let mut body = person(number);
    body["code_challenge"] = sha256_base64url(VERIFIER.as_bytes()).into();
    body["code_challenge_method"] = "s256".into();
    server.answer("/signup", &body).await.ok();
    server.link(&format!("{number}@example.com")).await
}

/// Opens a link; the code in the target of its redirect.
async fn open(server: &Server, link: &str) -> Option<String> {
    let answer = server.send(server.request(Method::GET, link)).await;
    parameter(answer.location.as_deref().unwrap(), "code")
}

fn exchange(code: &str) -> Value {
    json!({ "auth_code": code, "code_verifier": VERIFIER })
}

#[tokio::test]
async fn link_that_is_opened_while_the_process_is_killed_has_led_to_a_code_or_stays() {
    let mut server = Server::start(&[BY_LETTER, NO_PAGE]).await;
    let whole = kill_at_each_trip::<(Value, String)>(
        &mut server,
        async |server, number| (person(number), with_challenge(server, number).await),
        |server, (_, link)| server.request(Method::GET, link),
        async |server, (person, link), is_done| {
            assert_eq!(open(server, link).await.is_none(), is_done);
            server.answer("/token?grant_type=password", person).await.ok();
        },
    )
    .await;
    holds(&whole, &["confirmed addresses"]);
    assert_eq!((whole["auth.one_time_tokens"], whole.get("auth.sessions")), (-1, None), "{whole:?}");
}

#[tokio::test]
async fn exchange_that_is_killed_has_used_the_code_up_and_signed_in_or_neither() {
    let mut server = Server::start(&[BY_LETTER, NO_PAGE]).await;
    let whole = kill_at_each_trip::<Value>(
        &mut server,
        async |server, number| {
            let link = with_challenge(server, number).await;
            exchange(&open(server, &link).await.unwrap())
        },
        |server, exchange| server.post("/token?grant_type=pkce", exchange),
        async |server, exchange, is_done| {
            let again = server.answer("/token?grant_type=pkce", exchange).await;
            assert_eq!(again.status, if is_done { 404 } else { 200 }, "{}", again.body);
        },
    )
    .await;
    assert_eq!((whole["auth.flow_state"], whole["auth.sessions"]), (-1, 1), "{whole:?}");
}
