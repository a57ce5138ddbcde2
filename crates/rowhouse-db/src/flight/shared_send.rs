//! Shared sends: reads that wait for a connection are pipelined on it in one send, each with its own Sync and so its
//! own transaction. Under load that saves both sides system calls and context switches. Only for reads, since a
//! flight that is delayed by another, or fails because of it, is repeated. Leaves waiting to the pool.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use rowhouse_kernel::Caller;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::connection::{Connection, Flying, Phase, Taken};
use super::export::{PREFIX, long_message};
use super::pipeline::{Pipeline, Statement};
use super::places::{Granted, Holder};
use super::pool::{DRAIN_TIMEOUT, Pool, PooledConnection};
use super::statement::Key;
use super::{Query, Row};
use crate::error::DbError;

/// Most flights in a shared send, which bounds how many others the last one waits for.
const MOST: usize = 4;
/// Flights with more bytes of values are sent alone: a shared send must fit into the socket's buffers, else both
/// sides could wait for the other to read.
const MOST_BYTES: usize = 8 * 1024;
/// How long a flight may delay those behind it, which then move to another connection. Long enough for a backend that
/// waits for a processor: moving flights away earlier made the slowest answers slower.
const HOLD_UP_LIMIT: Duration = Duration::from_millis(100);

/// A flight that owns its data, because its request may be dropped before it ends.
pub(super) struct Flight {
    caller: Option<Caller>,
    statements: Vec<(Arc<str>, Query)>,
    opening: usize,
    answering: usize,
}

/// A waiting flight and the channel for its answer.
pub(super) struct Waiter {
    /// Its place in a queue.
    pub(super) number: u64,
    pub(super) holder: Holder,
    /// Its share, held until it is answered. `None` while it waits for it, or when it flies at another's expense.
    pub(super) share: Option<Granted>,
    flight: Flight,
    reply: oneshot::Sender<Landed>,
}

/// The rows; `None` if they are too long to buffer and have to be fetched by a flight of their own.
pub(super) type Landed = Result<Option<Vec<Row>>, DbError>;

impl Flight {
    /// `None` if its values are too large.
    pub(super) fn of(flight: &Pipeline<'_>) -> Option<Self> {
        let bytes = |statement: &Statement<'_>| -> usize {
            statement.query.params.iter().flatten().map(Bytes::len).sum()
        };
        if flight.statements.iter().map(bytes).sum::<usize>() > MOST_BYTES {
            return None;
        }
        let statements = flight
            .statements
            .iter()
            .map(|statement| (Arc::clone(statement.role), statement.query.clone()))
            .collect();
        let (opening, answering) = (flight.opening, flight.answering);
        Some(Self { caller: flight.caller.cloned(), statements, opening, answering })
    }

    /// Whether other flights may be pipelined behind it on this connection.
    fn is_quick(&self, connection: &Connection) -> bool {
        let answering = self.statements.get(self.answering);
        answering.is_some_and(|(role, query)| connection.statements.is_quick(&Key::of(role, &query.sql)))
    }

    fn pipeline(&self) -> Pipeline<'_> {
        let statements = self.statements.iter().map(|(role, query)| Statement { role, query }).collect();
        Pipeline {
            caller: self.caller.as_ref(),
            statements,
            opening: self.opening,
            answering: self.answering,
        }
    }
}

impl Waiter {
    pub(super) fn new(holder: Holder, flight: Flight) -> (Self, oneshot::Receiver<Landed>) {
        let (reply, answer) = oneshot::channel();
        (Self { number: 0, holder, share: None, flight, reply }, answer)
    }

    pub(super) fn is_awaited(&self) -> bool {
        !self.reply.is_closed()
    }
}

/// Collects flights to send with `first`: those in `queue`, as long as the previous one is quick.
pub(super) fn gather(connection: &Connection, first: Waiter, queue: &mut VecDeque<Waiter>) -> Vec<Waiter> {
    let mut waiters = vec![first];
    while waiters.len() < MOST && waiters.last().is_some_and(|last| last.flight.is_quick(connection)) {
        let Some(next) = queue.pop_front() else { break };
        waiters.push(next);
    }
    waiters
}

/// One attempt at a shared send.
#[derive(Default)]
struct Attempt {
    /// Without a waiter if this one's request was dropped.
    under_way: VecDeque<(Option<Waiter>, Flying)>,
    /// A cancel request was sent; it may come late.
    disturbed: bool,
    again: Vec<Waiter>,
    stale: bool,
    /// Bytes of a long row that are still to be skipped, and whether the flight has had one.
    passing: usize,
    is_long: bool,
}

/// Runs the waiters' flights and answers each.
pub(super) async fn run(mut pooled: PooledConnection, waiters: Vec<Waiter>) {
    let pool = Arc::clone(pooled.pool());
    let Ok(connection) = pooled.connection() else { return };
    pool.count_shared(waiters.len());
    let again = attempt(connection, waiters, &pool, true).await;
    if !again.is_empty() && connection.phase == Phase::Idle {
        attempt(connection, again, &pool, false).await;
    }
}

/// Returns the flights to repeat on this connection: rolled back because of another.
async fn attempt(
    connection: &mut Connection,
    waiters: Vec<Waiter>,
    pool: &Arc<Pool>,
    is_first: bool,
) -> Vec<Waiter> {
    let mut shared = Attempt::default();
    let outcome = shared.fly(connection, waiters, pool, is_first).await;
    if let Err(error) = outcome {
        connection.phase = Phase::Broken;
        let left = shared.under_way.drain(..).filter_map(|(waiter, _)| waiter);
        refuse(left.chain(shared.again.drain(..)), &error);
    }
    shared.again
}

/// Fails the waiters whose flights are not sent.
pub(super) fn refuse(waiters: impl IntoIterator<Item = Waiter>, error: &DbError) {
    for waiter in waiters {
        let error = match error {
            DbError::PoolTimeout(waited) => DbError::PoolTimeout(*waited),
            DbError::ShareTimeout(waited) => DbError::ShareTimeout(*waited),
            other => DbError::Unavailable(other.to_string().into()),
        };
        let _gone = waiter.reply.send(Err(error));
    }
}

impl Attempt {
    async fn fly(
        &mut self,
        connection: &mut Connection,
        waiters: Vec<Waiter>,
        pool: &Arc<Pool>,
        is_first: bool,
    ) -> Result<(), DbError> {
        self.write(connection, waiters);
        if self.under_way.is_empty() {
            return Ok(());
        }
        connection.send().await?;
        // Several answers follow; if the connection is dropped now, it cannot be reused.
        connection.phase = Phase::Midway;
        while let Some((mut waiter, mut flying)) = self.under_way.pop_front() {
            (self.passing, self.is_long) = (0, false);
            let read = match &mut waiter {
                Some(waiter) => self.read(connection, waiter, &mut flying, pool).await,
                None => self.read_to_end(connection, &mut flying).await,
            };
            if let Err(error) = read {
                self.under_way.push_front((waiter, flying));
                return Err(error);
            }
            let landed = connection.land(flying);
            if let Some((_, next)) = self.under_way.front_mut() {
                connection.phase = Phase::Midway;
                next.begin();
            }
            if let Some(waiter) = waiter {
                self.answer(waiter, landed, is_first && connection.must_recover);
            }
        }
        self.consume_late_cancel(connection).await
    }

    fn write(&mut self, connection: &mut Connection, waiters: Vec<Waiter>) {
        connection.out.clear();
        for waiter in waiters {
            let position = connection.out.position();
            match connection.write(&waiter.flight.pipeline()) {
                Ok(flying) => {
                    connection.out.sync();
                    self.under_way.push_back((Some(waiter), flying));
                }
                Err(error) => {
                    connection.out.cut(position);
                    let _gone = waiter.reply.send(Err(error));
                }
            }
        }
    }

    /// Reads one flight to its end; cancels it if its request was dropped. Flights behind it wait for a bounded time,
    /// and never for a cancelled one: the cancel request may arrive late and hit the next.
    async fn read(
        &mut self,
        connection: &mut Connection,
        waiter: &mut Waiter,
        flying: &mut Flying,
        pool: &Arc<Pool>,
    ) -> Result<(), DbError> {
        loop {
            let has_others = self.under_way.iter().any(|(other, _)| other.is_some());
            tokio::select! {
                biased;
                read = self.read_to_end(connection, flying) => return read,
                () = waiter.reply.closed() => break,
                () = sleep(HOLD_UP_LIMIT), if has_others => self.release_others(pool),
            }
        }
        self.release_others(pool);
        self.disturbed = true;
        let ending = async {
            pool.cancel(connection).await?;
            self.read_to_end(connection, flying).await
        };
        timeout(DRAIN_TIMEOUT, ending)
            .await
            .unwrap_or_else(|_| Err(DbError::Unavailable("a cancelled flight did not end".into())))
    }

    /// Flights behind it move to other connections; their answers on this one are read and dropped.
    fn release_others(&mut self, pool: &Arc<Pool>) {
        let others: Vec<_> = self.under_way.iter_mut().filter_map(|(other, _)| other.take()).collect();
        if !others.is_empty() {
            tokio::spawn(Arc::clone(pool).fly_elsewhere(others));
        }
    }

    /// As [`Connection::read_to_end`], but buffers no long row: the next flight waits, and must not depend on a
    /// client's speed. Cancel-safe: may be dropped and called again.
    async fn read_to_end(&mut self, connection: &mut Connection, flying: &mut Flying) -> Result<(), DbError> {
        loop {
            while self.passing > 0 || connection.greeted.read.len() < PREFIX {
                if connection.greeted.read.is_empty() || self.passing == 0 {
                    connection.fill().await?;
                }
                let passed = self.passing.min(connection.greeted.read.len());
                connection.greeted.read.advance(passed);
                self.passing -= passed;
            }
            if let Some(length) = long_message(&connection.greeted.read) {
                (self.passing, self.is_long) = (length, true);
            } else if let Taken::End = connection.take(flying).await? {
                return Ok(());
            }
        }
    }

    fn answer(&mut self, waiter: Waiter, landed: Result<Vec<Row>, DbError>, flies_again: bool) {
        if flies_again && !waiter.reply.is_closed() {
            self.stale = true;
            self.again.push(waiter);
        } else {
            let _gone = waiter.reply.send(landed.map(|rows| (!self.is_long).then_some(rows)));
        }
    }

    /// An empty round trip, which consumes a late cancel request.
    async fn consume_late_cancel(&mut self, connection: &mut Connection) -> Result<(), DbError> {
        if self.disturbed {
            connection.out.clear();
            connection.out.sync();
            connection.send().await?;
            connection.read_to_end(&mut Flying::discarding()).await?;
            connection.phase = Phase::Idle;
        }
        if self.disturbed || self.stale { connection.recover().await } else { Ok(()) }
    }
}
