//! Requests of two tenants that follow one another in one connection: the first leaves what it can, fails, is dropped midway or
//! runs beside others, and the second looks for it. Leaves what a flight clears to `rowhouse-db`.

use std::time::Duration;

use futures_util::future::join_all;
use http::Method;
use rowhouse_db::DbError;
use rowhouse_module::CannotRun;
use serde_json::json;
use tokio::time::{Instant, sleep};
use tokio_postgres::Client;

use super::super::cell::Cell;
use super::super::judge::Judged;
use super::super::proof::{Leak, Mark, Unproven};
use super::super::scene::{Actor, OWNER, SELF};
use super::super::stage::Stage;
use super::super::{Plan, quoted};
use super::call::{Answer, Call};
use super::service::Service;

/// What the matrix calls it.
pub(super) const NAME: &str = "(connections)";

const FUNCTIONS: &str = include_str!("../../../sql/prove/bleed.sql");
/// For which the first request waits until it is dropped.
const LOCK: i64 = 20_261_129;
/// How long it may take to get there, below the statement timeout of [`super::service`].
const MAX_WAIT: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(5);
/// Pairs of requests that run at a time.
const PAIRS: usize = 4;

/// What the first request does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum First {
    Reads,
    Leaves,
    Fails,
    IsDropped,
    RunsBeside,
}

impl First {
    const ALL: [Self; 5] = [Self::Reads, Self::Leaves, Self::Fails, Self::IsDropped, Self::RunsBeside];

    fn told(self) -> &'static str {
        match self {
            Self::Reads => "a request that reads",
            Self::Leaves => "a request that leaves settings, tables, cursors and statements in the session",
            Self::Fails => "a request that leaves the same and fails",
            Self::IsDropped => "a request that leaves the same and is dropped midway",
            Self::RunsBeside => "requests that run at the same time",
        }
    }
}

fn schema(plan: &Plan) -> String {
    plan.scope.served.first().cloned().unwrap_or_default()
}

/// Creates the functions for it, as the project's owner.
pub(super) async fn prepare(client: &Client, plan: &Plan) -> Result<(), CannotRun> {
    let functions = FUNCTIONS.replace("{schema}", &quoted(&schema(plan)));
    let sql = format!("set local role rowhouse_project; {functions} set local role none");
    client.batch_execute(&sql).await.map_err(DbError::from)?;
    Ok(())
}

/// Both requests, and what the first must not show to the second.
struct Bleed<'a> {
    client: &'a Client,
    service: &'a Service,
    schema: String,
    /// An id of the owner's that nobody else's token has.
    tag: &'a str,
    /// What callers read in between: a relation with rows of all.
    read: Option<Call>,
}

/// Every first request before every caller's second one.
pub(super) async fn attack(
    client: &Client,
    service: &Service,
    stage: &Stage,
    plan: &Plan,
) -> Result<Judged, CannotRun> {
    let tag = &stage.scene.parties[OWNER].session;
    let bleed = Bleed { client, service, schema: schema(plan), tag, read: read(stage) };
    let mut judged = Judged::default();
    let others = stage.scene.actors.iter().enumerate();
    for (index, actor) in others.filter(|(index, actor)| *index != SELF && actor.is_live) {
        for first in First::ALL {
            let mark = bleed.pair(first, index, actor, &mut judged).await?;
            let before = judged.marks.entry((index, Cell::Bleed)).or_insert(mark);
            *before = (*before).max(mark);
        }
    }
    Ok(judged)
}

/// Reads all rows of a relation in which the owner has one.
fn read(stage: &Stage) -> Option<Call> {
    let has_row = |at: &usize| {
        let relation = &stage.catalog.relations[*at];
        let is_readable =
            relation.rights.values().any(|rights| rights.select.len() == relation.columns.len());
        relation.is_protected && is_readable && stage.rows(*at).of.contains_key(&OWNER)
    };
    let at = (0..stage.catalog.relations.len()).find(has_row)?;
    let relation = &stage.catalog.relations[at];
    Some(Call::new(Method::GET, &relation.schema, &relation.bare_name))
}

impl Bleed<'_> {
    fn leave(&self, fails: bool, waits: bool) -> Call {
        let call = Call::new(Method::POST, &self.schema, "rpc/rowhouse_prove_leave");
        call.body(json!({ "tag": self.tag, "fails": fails, "waits": waits }))
    }

    fn look(&self) -> Call {
        Call::new(Method::POST, &self.schema, "rpc/rowhouse_prove_look").body(json!({}))
    }

    async fn pair(
        &self,
        first: First,
        index: usize,
        actor: &Actor,
        judged: &mut Judged,
    ) -> Result<Mark, CannotRun> {
        let (looked, unproven) = self.run(first, index).await?;
        if let Some(look) = looked.iter().find(|(_, answer)| answer.body.contains(self.tag)) {
            judged.leaks.push(self.leak(first, actor, &look.0));
            return Ok(Mark::Leak);
        }
        let failed = looked.iter().find(|(_, answer)| !answer.is_success());
        let failed = failed.map(|(call, answer)| format!("{call}: {}", answer.outcome().told()));
        let Some(reason) = unproven.or(failed) else { return Ok(Mark::Held) };
        let reason = format!("after {}: {reason}", first.told());
        let cell = Some(Cell::Bleed);
        judged.unproven.push(Unproven { relation: NAME.to_owned(), cell, reason, declared: None });
        Ok(Mark::Unproven)
    }

    /// The answers to the second's requests, and why the first does not count.
    async fn run(
        &self,
        first: First,
        index: usize,
    ) -> Result<(Vec<(Call, Answer)>, Option<String>), CannotRun> {
        let before = self.reading(index).await?;
        let unproven = match first {
            First::Reads => match &self.read {
                Some(read) => failure(&self.service.send(SELF, read).await?),
                None => None,
            },
            First::Leaves => {
                let left = self.service.send(SELF, &self.leave(false, false)).await?;
                let is_seen = left.body.contains(self.tag);
                (!is_seen)
                    .then(|| format!("the request does not even see it itself: {}", left.outcome().told()))
            }
            First::Fails => {
                let left = self.service.send(SELF, &self.leave(true, false)).await?;
                left.is_success().then(|| "the request did not fail".to_owned())
            }
            First::IsDropped => self.dropped().await?,
            First::RunsBeside => return self.beside(index).await,
        };
        let looked = self.service.send(index, &self.look()).await?;
        let after = self.reading(index).await?;
        let same = (before == after).then_some(()).ok_or("what it reads differs");
        Ok((vec![(self.look(), looked)], unproven.or(same.err().map(str::to_owned))))
    }

    async fn reading(&self, index: usize) -> Result<Option<Answer>, CannotRun> {
        match &self.read {
            Some(read) => Ok(Some(self.service.send(index, read).await?)),
            None => Ok(None),
        }
    }

    /// Drops a request while the database works on it.
    async fn dropped(&self) -> Result<Option<String>, CannotRun> {
        self.lock("lock").await?;
        let leave = self.leave(false, true);
        let unproven = tokio::select! {
            answer = self.service.send(SELF, &leave) => Some(format!("it was not held up: {}", answer?.outcome().told())),
            waits = self.until_waiting() => (!waits?).then(|| format!("it did not come as far in {MAX_WAIT:?}")),
        };
        self.lock("unlock").await?;
        Ok(unproven)
    }

    async fn lock(&self, verb: &str) -> Result<(), CannotRun> {
        let sql = format!("select pg_catalog.pg_advisory_{verb}({LOCK})");
        Ok(self.client.batch_execute(&sql).await.map_err(DbError::from)?)
    }

    async fn until_waiting(&self) -> Result<bool, CannotRun> {
        let sql = "select exists (select from pg_catalog.pg_locks l join pg_catalog.pg_database d on d.oid = l.database
            where l.locktype = 'advisory' and not l.granted and d.datname = pg_catalog.current_database())";
        let until = Instant::now() + MAX_WAIT;
        while Instant::now() < until {
            if self.client.query_one(sql, &[]).await.map_err(DbError::from)?.get(0) {
                return Ok(true);
            }
            sleep(PAUSE).await;
        }
        Ok(false)
    }

    /// Many at a time, in turns.
    async fn beside(&self, index: usize) -> Result<(Vec<(Call, Answer)>, Option<String>), CannotRun> {
        let (leave, look) = (self.leave(false, false), self.look());
        let pairs = (0..PAIRS).map(|_| async {
            let both = join_all([self.service.send(SELF, &leave), self.service.send(index, &look)]);
            both.await.into_iter().collect::<Result<Vec<_>, _>>()
        });
        let answers: Vec<Vec<Answer>> = join_all(pairs).await.into_iter().collect::<Result<_, _>>()?;
        let mut looked = Vec::new();
        for pair in answers {
            if let Some(failed) = pair.first().and_then(failure) {
                return Ok((looked, Some(failed)));
            }
            looked.extend(pair.into_iter().nth(1).map(|answer| (look.clone(), answer)));
        }
        Ok((looked, None))
    }

    fn leak(&self, first: First, actor: &Actor, look: &Call) -> Leak {
        Leak {
            relation: NAME.to_owned(),
            actor: actor.name.clone(),
            cell: Cell::Bleed,
            detail: format!("sees what another tenant has left in the database session, after {}", first.told()),
            statement: format!("{}; then {look}", self.leave(first == First::Fails, first == First::IsDropped)),
            remedy: "Look at rowhouse.clear_session(text), which a request of another caller runs first: it must be as the \
                     platform's migrations have made it"
                .to_owned(),
        }
    }
}

fn failure(answer: &Answer) -> Option<String> {
    (!answer.is_success()).then(|| answer.outcome().told())
}
