//! The schema changes between random requests: types, views, enumerated types, defaults, functions, policies, whole
//! tables. Once it has been read again, every answer is the one that plain SQL gives on the schema then in force, in
//! every connection, whatever each of them had prepared before.
//!
//! `./test` makes a few dozen changes; `cargo xtask check --long --only property` goes on for `ROWHOUSE_PROPERTY_MINUTES`.

mod ask;
mod change;
mod model;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use futures_util::future::join_all;
use http::Request;
use rowhouse_http::Identity;
use rowhouse_kernel::Caller;
use rowhouse_rest::{RestSettings, TxEnd};
use rowhouse_testkit::TestDatabase;
use serde_json::{Value, json};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};
use uuid::Uuid;

use crate::harness::{Harness, RouterResponse, send};
use ask::Ask;
use model::{Dice, Model};

/// Changes in `./test`.
const CHANGES: usize = 40;
/// Connections of the data plane; each keeps what it has prepared.
const CONNECTIONS: u32 = 3;
/// Requests after each change, and beside it.
const REQUESTS: usize = 12;
const BESIDE: usize = 4;
/// Attempts at a change that ends in deadlocks.
const ATTEMPTS: usize = 10;
const SEED: u64 = 20_261_127;

/// Somebody who asks over HTTP, and by plain SQL.
struct Asker {
    caller: Caller,
    client: Client,
}

impl Asker {
    async fn new(db: &TestDatabase, tenant: Uuid) -> Self {
        let claims = json!({ "role": "authenticated", "tenant_id": tenant }).to_string();
        let caller = Caller { role: "authenticated".into(), claims: claims.into(), ..Caller::anonymous() };
        let (client, connection) =
            tokio_postgres::connect(db.urls.data.authenticator.expose(), NoTls).await.unwrap();
        tokio::spawn(connection);
        let claims: &str = &caller.claims;
        client.query("select set_config('request.jwt.claims', $1, false)", &[&claims]).await.unwrap();
        client.batch_execute("set role authenticated").await.unwrap();
        Self { caller, client }
    }

    /// The rows as plain SQL gives them, or the SQLSTATE with which it refuses. Nothing is prepared and nothing is kept.
    async fn plainly(&self, ask: &Ask) -> Result<Value, String> {
        let sql = format!("begin; {}; rollback", ask.sql);
        match self.client.simple_query(&sql).await {
            Ok(messages) => {
                let row = messages.iter().find_map(|message| match message {
                    SimpleQueryMessage::Row(row) => row.get(0),
                    _ => None,
                });
                Ok(serde_json::from_str(row.unwrap()).unwrap())
            }
            Err(error) => {
                self.client.batch_execute("rollback").await.unwrap();
                Err(error.code().unwrap_or_else(|| panic!("{error} for {sql}")).code().to_owned())
            }
        }
    }

    async fn over_http(&self, router: &Router, ask: &Ask) -> RouterResponse {
        let mut request = Request::builder().method(ask.method).uri(&ask.target);
        for (name, value) in [("prefer", "return=representation"), ("content-type", "application/json")] {
            request = request.header(name, value);
        }
        let identity = Identity::Caller(Arc::new(self.caller.clone()));
        send(router, Some(identity), request.body(Body::from(ask.body.clone())).unwrap()).await
    }
}

/// The database whose schema moves.
struct Fixture {
    harness: Harness,
    router: Router,
    askers: Vec<Asker>,
    admin: Client,
}

impl Fixture {
    async fn new(model: &Model) -> Self {
        let harness = Harness::with_connections(&model.create(), &["public"], CONNECTIONS).await;
        let router = harness.router(RestSettings { tx_end: TxEnd::Rollback, ..RestSettings::default() });
        let admin = harness.db.superuser().await;
        let mut askers = Vec::new();
        for tenant in [1_u128, 2] {
            let tenant = Uuid::from_u128(0x5eed_0000 + tenant);
            admin.execute("select public.fill($1)", &[&tenant]).await.unwrap();
            askers.push(Asker::new(&harness.db, tenant).await);
        }
        Self { harness, router, askers, admin }
    }

    /// Changes the schema while requests are under way, whose answers may be of before or after, and has it read again.
    async fn change(&self, sql: &str, beside: &[Ask]) {
        let sent = beside.iter().zip(self.askers.iter().cycle());
        let requests = join_all(sent.map(|(ask, asker)| asker.over_http(&self.router, ask)));
        tokio::join!(self.change_schema(sql), requests);
        self.harness.schema_changed(&["public"]).await;
    }

    /// PostgreSQL may end it as the victim of a deadlock with a request that has locked another of its tables; then it is
    /// run again, as `migrate up` is by its user.
    async fn change_schema(&self, sql: &str) {
        for _ in 0..ATTEMPTS {
            match self.admin.batch_execute(sql).await {
                Err(error) if error.code() == Some(&SqlState::T_R_DEADLOCK_DETECTED) => {}
                changed => return changed.unwrap_or_else(|error| panic!("{error:?}: {sql}")),
            }
        }
        panic!("{ATTEMPTS} deadlocks: {sql}");
    }

    /// Asks on several connections at a time; the number of rows that were the same by plain SQL.
    async fn compare(&self, asks: &[Ask]) -> Result<usize, String> {
        let mut rows = 0;
        for together in asks.chunks(CONNECTIONS as usize) {
            let sent = together.iter().zip(self.askers.iter().cycle());
            let answers = join_all(sent.clone().map(|(ask, asker)| asker.over_http(&self.router, ask))).await;
            for ((ask, asker), answer) in sent.zip(answers) {
                rows += same(ask, &asker.plainly(ask).await, &answer)?;
            }
        }
        Ok(rows)
    }
}

/// Whether an answer is that of plain SQL.
fn same(ask: &Ask, plainly: &Result<Value, String>, answer: &RouterResponse) -> Result<usize, String> {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let is_same = match &plainly {
        Ok(rows) => answer.status.is_success() && body == *rows,
        Err(code) => body["code"] == **code,
    };
    let rows = plainly.as_ref().ok().and_then(Value::as_array).map_or(0, Vec::len);
    is_same
        .then_some(rows)
        .ok_or_else(|| format!("{ask:?}\nplain SQL: {plainly:?}\n{} {body}", answer.status))
}

/// How long to go on: as long as the environment says, or for a number of changes.
fn goes_on(started: Instant, changes: usize) -> bool {
    let minutes = std::env::var("ROWHOUSE_PROPERTY_MINUTES").ok().and_then(|minutes| minutes.parse().ok());
    minutes.map_or(changes < CHANGES, |minutes: u64| started.elapsed() < Duration::from_secs(60 * minutes))
}

fn asks(dice: &mut Dice, model: &Model, number: usize) -> Vec<Ask> {
    (0..number).map(|_| ask::random(dice, model)).collect()
}

#[tokio::test]
async fn no_answer_differs_from_plain_sql_while_the_schema_changes() {
    let seed =
        std::env::var("ROWHOUSE_PROPERTY_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(SEED);
    let (mut dice, mut model) = (Dice(seed), Model::new());
    let fixture = Fixture::new(&model).await;
    let (mut changes, mut requests, mut rows) = (BTreeMap::<&str, usize>::new(), 0, 0);
    let (started, mut story) = (Instant::now(), Vec::new());
    while goes_on(started, changes.values().sum()) {
        let beside = asks(&mut dice, &model, BESIDE);
        let (kind, sql) = change::random(&mut dice, &mut model);
        fixture.change(&sql, &beside).await;
        story.push(sql);
        let asks = asks(&mut dice, &model, REQUESTS);
        rows += fixture.compare(&asks).await.unwrap_or_else(|complaint| {
            let last = story[story.len().saturating_sub(3)..].join("\n-- then\n");
            panic!("seed {seed}, change {}:\n{last}\n{complaint}", story.len())
        });
        *changes.entry(kind).or_default() += 1;
        requests += asks.len();
    }
    let report = json!({ "changes": changes, "requests": requests, "rows": rows, "seed": seed });
    // The long campaign reads its figures here.
    println!("moving: {report}");
    assert!(rows > 3 * requests, "{report}");
    assert!(changes.len() > 8, "{report}");
}

/// Without `schema_changed`, connections go on with what they have prepared, and the comparison sees it.
#[tokio::test]
async fn schema_that_is_not_read_again_is_caught() {
    let (mut dice, mut model) = (Dice(SEED), Model::new());
    let fixture = Fixture::new(&model).await;
    let mut caught = false;
    for _ in 0..CHANGES {
        let (_, sql) = change::random(&mut dice, &mut model);
        fixture.admin.batch_execute(&sql).await.unwrap();
        caught |= fixture.compare(&asks(&mut dice, &model, REQUESTS)).await.is_err();
    }
    assert!(caught);
}
