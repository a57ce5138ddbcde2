//! Random requests in the shape of the grammar against protected tables of two tenants: never a 5xx, and every row
//! that comes back, embedded ones included, is one that the same role and claims see by plain SQL.
//!
//! `./test` sends a few hundred; `cargo xtask check --long --only property` as many as `PROPTEST_CASES` says.

mod grammar;
mod oracle;

use std::cell::Cell;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use http::{Method, Request};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use rowhouse_http::Identity;
use rowhouse_kernel::Caller;
use rowhouse_rest::{RestSettings, TxEnd};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use uuid::Uuid;

use crate::harness::{Harness, RouterResponse, send};
use grammar::{Shaped, shaped};
use oracle::Oracle;

const SCHEMA: &str = include_str!("property/schema.sql");
/// Requests in `./test`; the environment's `PROPTEST_CASES` counts instead when it is there.
const CASES: u32 = 400;
/// Suffixes in all strings of each tenant: no answer for one may contain the other's.
const MARKS: [&str; 2] = ["-of-elm", "-of-fir"];

/// A caller.
struct Person {
    caller: Caller,
    /// The suffix that this caller may see.
    mark: &'static str,
    oracle: Oracle,
}

/// Two tenants with rows, a caller in each, and one in none.
struct Fixture {
    router: Router,
    people: Vec<Person>,
    runtime: Runtime,
    _world: Harness,
}

impl Fixture {
    /// `planted`: SQL after the schema; empty, or a leak for the test to find.
    fn new(planted: &str) -> Self {
        let runtime = Runtime::new().unwrap();
        let (harness, people) = runtime.block_on(settle(planted));
        let settings = RestSettings {
            tx_end: TxEnd::Rollback,
            aggregates: true,
            plan_enabled: true,
            ..RestSettings::default()
        };
        Self { router: harness.router(settings), people, runtime, _world: harness }
    }

    fn ask(&self, person: &Person, request: &Shaped) -> RouterResponse {
        let identity = Identity::Caller(Arc::new(person.caller.clone()));
        let encoded: String = request
            .target
            .bytes()
            .map(|byte| match byte {
                b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' => format!("%{byte:02X}"),
                _ => char::from(byte).to_string(),
            })
            .collect();
        let mut sent = Request::new(Body::from(request.body));
        *sent.method_mut() = request.method.parse::<Method>().unwrap();
        *sent.uri_mut() = encoded.parse().unwrap();
        for (name, value) in &request.headers {
            sent.headers_mut().append(*name, value.parse().unwrap());
        }
        self.runtime.block_on(send(&self.router, Some(identity), sent))
    }
}

async fn settle(planted: &str) -> (Harness, Vec<Person>) {
    let sql = format!("set role rowhouse_project; {SCHEMA} reset role; {planted}");
    let harness = Harness::new(&sql, &["public"]).await;
    let admin = harness.db.superuser().await;
    let mut people = vec![(Caller::anonymous(), "none at all")];
    for (base, mark) in [100, 200].into_iter().zip(MARKS) {
        let tenant = Uuid::from_u128(0x5eed_0000 + u128::from(base == 200));
        admin.execute("select public.fill($1, $2, $3)", &[&tenant, &base, &mark]).await.unwrap();
        let claims = json!({ "role": "authenticated", "tenant_id": tenant }).to_string();
        people.push((
            Caller { role: "authenticated".into(), claims: claims.into(), ..Caller::anonymous() },
            mark,
        ));
    }
    let mut settled = Vec::new();
    for (caller, mark) in people {
        let oracle = Oracle::ask(&harness.db, &caller).await;
        settled.push(Person { caller, mark, oracle });
    }
    (harness, settled)
}

/// What is wrong with an answer; the number of rows looked at otherwise.
fn judge(person: &Person, request: &Shaped, answer: &RouterResponse) -> Result<usize, String> {
    let text = String::from_utf8_lossy(&answer.body);
    let story = |what: String| format!("{what}\n{request:?}\n{} {text}", answer.status);
    if answer.status.is_server_error() {
        return Err(story("a server error".to_owned()));
    }
    if let Some(mark) = MARKS.into_iter().find(|mark| *mark != person.mark && text.contains(mark)) {
        return Err(story(format!("{mark} seen by {}", person.mark)));
    }
    let total = answer.headers.get("content-range").and_then(|range| range.to_str().ok()?.split_once('/'));
    let total = total.and_then(|(_, total)| total.parse::<usize>().ok()).unwrap_or_default();
    let counted = request.headers.contains(&("prefer", "count=exact")) && request.method == "GET";
    if counted && total > person.oracle.count(request.table) {
        return Err(story(format!("a total of {total}")));
    }
    let Some(node) = request.node.as_ref().filter(|_| answer.status.is_success()) else { return Ok(0) };
    let body: Value = serde_json::from_str(&text).map_err(|error| story(error.to_string()))?;
    person.oracle.check(node, &body, request.changed).map_err(story)
}

/// Sends random requests: the first complaint, or how many succeeded and how many rows they showed.
fn hunt(fixture: &Fixture, cases: u32) -> Result<(usize, usize), String> {
    let config = Config { failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { config.cases } else { cases };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config { cases, ..config }, rng);
    let (succeeded, rows) = (Cell::new(0), Cell::new(0));
    let choices = (prop::collection::vec(any::<u32>(), 40..120), 0..fixture.people.len() * 2);
    let outcome = runner.run(&choices, |(choices, who)| {
        let request = shaped(&choices);
        // The anonymous caller is refused most of the time.
        let person = &fixture.people[who.min(who % 2 + 1)];
        let answer = fixture.ask(person, &request);
        let seen = judge(person, &request, &answer).map_err(TestCaseError::fail)?;
        succeeded.set(succeeded.get() + usize::from(answer.status.is_success()));
        rows.set(rows.get() + seen);
        Ok(())
    });
    outcome.map(|()| (succeeded.get(), rows.get())).map_err(|error| error.to_string())
}

#[test]
fn requests_show_no_more_than_plain_sql_and_never_fail_with_5xx() {
    let fixture = Fixture::new("");
    assert_eq!(
        fixture.people.iter().map(|person| person.oracle.count("notes")).collect::<Vec<_>>(),
        [0, 9, 9]
    );
    let (succeeded, rows) = hunt(&fixture, CASES).unwrap_or_else(|complaint| panic!("{complaint}"));
    // The long campaign reads its figures here.
    println!("property: {succeeded} succeeded, {rows} rows checked");
    assert!(succeeded > 100 && rows > 300, "{succeeded} requests succeeded and showed {rows} rows");
}

/// A view owned by a superuser bypasses row-level security. One of the project's owner does not.
#[test]
fn leaky_view_is_caught() {
    let hole = "alter view public.starred set (security_invoker = false); alter view public.starred owner to postgres";
    let complaint = hunt(&Fixture::new(hole), CASES).unwrap_err();
    assert!(complaint.contains("not the caller's to see") || complaint.contains("seen by"), "{complaint}");
}

#[test]
fn leaky_policy_is_caught() {
    let hole = "create policy leak on public.people for select to authenticated using (true)";
    let complaint = hunt(&Fixture::new(hole), CASES).unwrap_err();
    assert!(complaint.contains("seen by"), "{complaint}");
}

#[test]
fn answer_to_somebody_else_is_caught() {
    let mut fixture = Fixture::new("");
    let [_, elm, fir] = &mut fixture.people[..] else { panic!("three people") };
    std::mem::swap(&mut elm.caller, &mut fir.caller);
    assert!(hunt(&fixture, CASES).is_err());
}
