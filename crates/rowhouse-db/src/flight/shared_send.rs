//! Flights that waited for a connection together fly together: one send, each with its own Sync and so with its own
//! transaction, answers in order. That saves both sides system calls and switches between processes when there is most
//! to do. Only flights that read: whichever is held up, or fails for no reason of its own, may be flown again. Leaves
//! waiting to the pool.

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
use super::pool::{DRAIN_TIMEOUT, Pool, PooledConnection};
use super::statement::Key;
use super::{Query, Row};
use crate::error::DbError;

/// Most flights in a shared send: the last waits for so many others at most, less one.
const MOST: usize = 4;
/// Values of more bytes fly alone: all of a shared send must fit into the socket's buffers, else both sides could wait for
/// the other to read.
const MOST_BYTES: usize = 8 * 1024;
/// How long one flight may hold up those behind it; they then fly on another connection. Long enough for a backend that
/// the kernel keeps waiting: taking its load away then starves it all the more, and the slowest answers show it.
const HOLD_UP_LIMIT: Duration = Duration::from_millis(100);

/// A flight that owns what it needs, because its requester may leave before it ends.
pub(super) struct Flight {
    caller: Caller,
    statements: Vec<(Arc<str>, Query)>,
    opening: usize,
    answering: usize,
}

/// A flight that waits, and who waits for it.
pub(super) struct Waiter {
    pub(super) number: u64,
    flight: Flight,
    reply: oneshot::Sender<Landed>,
}

/// The answer's rows; nothing if they are too long to hold and have to be asked for alone.
pub(super) type Landed = Result<Option<Vec<Row>>, DbError>;

impl Flight {
    /// Nothing if it has too much to carry.
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
        Some(Self { caller: flight.caller.clone(), statements, opening, answering })
    }

    /// Whether others may be sent behind it on this connection.
    fn is_quick(&self, connection: &Connection) -> bool {
        let answering = self.statements.get(self.answering);
        answering.is_some_and(|(role, query)| connection.statements.is_quick(&Key::of(role, &query.sql)))
    }

    fn pipeline(&self) -> Pipeline<'_> {
        let statements = self.statements.iter().map(|(role, query)| Statement { role, query }).collect();
        Pipeline { caller: &self.caller, statements, opening: self.opening, answering: self.answering }
    }
}

impl Waiter {
    pub(super) fn new(number: u64, flight: Flight) -> (Self, oneshot::Receiver<Landed>) {
        let (reply, answer) = oneshot::channel();
        (Self { number, flight, reply }, answer)
    }

    pub(super) fn is_awaited(&self) -> bool {
        !self.reply.is_closed()
    }
}

/// Those who fly with `first`: as many as wait on `queue`, behind each other as long as the one before is quick.
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
    /// Without a waiter where nobody waits for this one's answer any more.
    under_way: VecDeque<(Option<Waiter>, Flying)>,
    /// A cancel request was sent; it may come late.
    disturbed: bool,
    again: Vec<Waiter>,
    stale: bool,
    /// Bytes of a long row that are still to be passed over, and whether the flight has had one.
    passing: usize,
    is_long: bool,
}

/// Flies the waiters' flights and answers each.
pub(super) async fn run(mut pooled: PooledConnection, waiters: Vec<Waiter>) {
    let pool = Arc::clone(pooled.pool());
    let Ok(connection) = pooled.connection() else { return };
    pool.count_shared(waiters.len());
    let again = attempt(connection, waiters, &pool, true).await;
    if !again.is_empty() && connection.phase == Phase::Idle {
        attempt(connection, again, &pool, false).await;
    }
}

/// Returns those that have to fly again on this connection: rolled back whole, for no reason of their own.
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

/// Answers those who will not fly.
pub(super) fn refuse(waiters: impl IntoIterator<Item = Waiter>, error: &DbError) {
    for waiter in waiters {
        let error = match error {
            DbError::PoolTimeout(waited) => DbError::PoolTimeout(*waited),
            other => DbError::Unavailable(other.to_string()),
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
        // Several answers follow; who drops the connection now cannot save it.
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
        self.settle(connection).await
    }

    fn write(&mut self, connection: &mut Connection, waiters: Vec<Waiter>) {
        connection.out.clear();
        for waiter in waiters {
            let mark = connection.out.mark();
            match connection.write(&waiter.flight.pipeline()) {
                Ok(flying) => {
                    connection.out.sync();
                    self.under_way.push_back((Some(waiter), flying));
                }
                Err(error) => {
                    connection.out.cut(mark);
                    let _gone = waiter.reply.send(Err(error));
                }
            }
        }
    }

    /// Reads one flight to its end; cancels it if nobody waits for it any more. Those behind it do not wait long, and
    /// never for one that is cancelled: the request may come late and hit the next.
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
            .unwrap_or_else(|_| Err(DbError::Unavailable("a cancelled flight did not end".to_owned())))
    }

    /// Those behind fly elsewhere; what was sent for them is read and dropped.
    fn release_others(&mut self, pool: &Arc<Pool>) {
        let others: Vec<_> = self.under_way.iter_mut().filter_map(|(other, _)| other.take()).collect();
        if !others.is_empty() {
            tokio::spawn(Arc::clone(pool).fly_elsewhere(others));
        }
    }

    /// As [`Connection::read_to_end`], but holds no long row: the next flight's requester waits, and no client's pace
    /// may decide for how long. Dropped and called again, it goes on.
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

    /// A cancel request that arrives late has been consumed after an empty round trip.
    async fn settle(&mut self, connection: &mut Connection) -> Result<(), DbError> {
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
