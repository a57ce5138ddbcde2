//! One data-plane connection: writes a flight, reads its answer up to ReadyForQuery.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use fallible_iterator::FallibleIterator;
use postgres_protocol::IsNull;
use postgres_protocol::message::{backend, frontend};

use super::login::{Greeted, Login, lost, read_error};
use super::statement::StatementCache;
use super::{Query, Row};
use crate::error::{DbError, PgError};

/// Buffers grown beyond this many bytes are dropped after the flight.
const KEPT_BUFFER: usize = 256 * 1024;

/// A connection this old is replaced: backends grow, and project functions may have changed session settings.
const LIFETIME: Duration = Duration::from_secs(1800);

/// Where a connection stands in its exchange; decides what a dropped request leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Between flights.
    Idle,
    /// A flight is partly written; the connection cannot be saved.
    Writing,
    /// A flight is out and its answer is not complete.
    Reading,
    /// Input, output or protocol failed.
    Broken,
}

pub(crate) struct Connection {
    greeted: Greeted,
    out: BytesMut,
    statements: StatementCache,
    opened: Instant,
    pub(crate) phase: Phase,
}

/// A statement of a flight and the role under which it is planned.
pub(crate) struct Leg<'a> {
    pub(crate) role: &'a Arc<str>,
    pub(crate) query: &'a Query,
}

/// What came back for a whole flight.
#[derive(Default)]
struct Answer {
    rows: Vec<Row>,
    /// Statements completed so far; rows belong to the one after.
    completed: usize,
    parsed: usize,
    error: Option<PgError>,
}

impl Connection {
    pub(crate) async fn open(login: &Login, statement_cache_size: usize) -> Result<Self, DbError> {
        let greeted = login.connect().await?;
        let statements = StatementCache::new(statement_cache_size);
        Ok(Self {
            greeted,
            out: BytesMut::with_capacity(4096),
            statements,
            opened: Instant::now(),
            phase: Phase::Idle,
        })
    }

    pub(crate) fn is_usable(&self) -> bool {
        self.phase == Phase::Idle && self.opened.elapsed() < LIFETIME && self.greeted.stream.is_quiet()
    }

    /// Runs the legs as one transaction and returns the rows of the one at `answering`.
    ///
    /// A statement whose plan went stale (DDL, or a pooler that dropped it) is prepared anew and the flight
    /// flown once more: the first attempt was rolled back whole.
    pub(crate) async fn fly(&mut self, legs: &[Leg<'_>], answering: usize) -> Result<Vec<Row>, DbError> {
        match self.attempt(legs, answering).await {
            Err(DbError::Refused(error)) if is_stale(&error) => {
                self.forget_all().await?;
                self.attempt(legs, answering).await
            }
            answer => answer,
        }
    }

    async fn attempt(&mut self, legs: &[Leg<'_>], answering: usize) -> Result<Vec<Row>, DbError> {
        let new = self.write_legs(legs)?;
        self.exchange(answering, &new, legs).await
    }

    async fn exchange(
        &mut self,
        answering: usize,
        new: &[usize],
        legs: &[Leg<'_>],
    ) -> Result<Vec<Row>, DbError> {
        self.phase = Phase::Writing;
        let sent = self.greeted.stream.send(&self.out).await;
        self.phase = if sent.is_ok() { Phase::Reading } else { Phase::Broken };
        sent.map_err(lost)?;
        let answer = self.read_answer(answering).await.inspect_err(|_| self.phase = Phase::Broken)?;
        self.phase = Phase::Idle;
        self.give_back_memory();
        // Parse is not transactional: what was parsed before an error stays, what came after never was.
        for &leg in new.iter().skip(answer.parsed) {
            self.statements.forget(legs[leg].role, &legs[leg].query.sql);
        }
        match answer.error {
            Some(error) => Err(error.into()),
            None => Ok(answer.rows),
        }
    }

    /// One large body must not stay with the connection for good.
    fn give_back_memory(&mut self) {
        if self.out.capacity() > KEPT_BUFFER {
            self.out = BytesMut::with_capacity(4096);
        }
        if self.greeted.read.capacity() > KEPT_BUFFER && self.greeted.read.is_empty() {
            self.greeted.read = BytesMut::with_capacity(8192);
        }
    }

    /// Writes Close for evicted statements first, so that no error can skip them, then each leg, then one Sync.
    /// Returns which legs have to be parsed.
    fn write_legs(&mut self, legs: &[Leg<'_>]) -> Result<Vec<usize>, DbError> {
        self.out.clear();
        let prepared: Vec<_> =
            legs.iter().map(|leg| self.statements.prepare(leg.role, &leg.query.sql)).collect();
        for evicted in prepared.iter().filter_map(|p| p.evicted.as_deref()) {
            frontend::close(b'S', evicted, &mut self.out).map_err(|e| encoding(&e))?;
        }
        let mut new = Vec::new();
        for (i, (leg, prepared)) in legs.iter().zip(&prepared).enumerate() {
            if prepared.is_new {
                frontend::parse(&prepared.name, &leg.query.sql, [], &mut self.out)
                    .map_err(|e| encoding(&e))?;
                new.push(i);
            }
            bind(&prepared.name, &leg.query.params, &mut self.out)?;
            frontend::execute("", 0, &mut self.out).map_err(|e| encoding(&e))?;
        }
        frontend::sync(&mut self.out);
        Ok(new)
    }

    async fn read_answer(&mut self, answering: usize) -> Result<Answer, DbError> {
        let mut answer = Answer::default();
        loop {
            while let Some(message) = backend::Message::parse(&mut self.greeted.read).map_err(lost)? {
                if take(message, answering, &mut answer)? {
                    return Ok(answer);
                }
            }
            self.greeted.stream.fill(&mut self.greeted.read).await.map_err(lost)?;
        }
    }

    /// Reads the rest of an abandoned flight, then makes one empty round trip: a cancel request that arrived
    /// late has then been consumed and cannot hit the next flight.
    pub(crate) async fn drain(&mut self, login: &Login) -> Result<(), DbError> {
        login.cancel(self.greeted.process_id, self.greeted.secret_key).await?;
        self.read_answer(usize::MAX).await?;
        self.out.clear();
        frontend::sync(&mut self.out);
        self.greeted.stream.send(&self.out).await.map_err(lost)?;
        self.read_answer(usize::MAX).await?;
        // Which of the abandoned flight's statements were parsed is not known.
        self.phase = Phase::Idle;
        self.forget_all().await
    }

    async fn forget_all(&mut self) -> Result<(), DbError> {
        self.statements.clear();
        self.out.clear();
        frontend::query("deallocate all", &mut self.out).map_err(|e| encoding(&e))?;
        self.exchange(usize::MAX, &[], &[]).await.map(drop)
    }
}

/// Takes one message in; true at ReadyForQuery.
fn take(message: backend::Message, answering: usize, answer: &mut Answer) -> Result<bool, DbError> {
    match message {
        backend::Message::DataRow(body) if answer.completed == answering => {
            answer.rows.push(read_row(&body)?);
        }
        backend::Message::ParseComplete => answer.parsed += 1,
        backend::Message::CommandComplete(_) | backend::Message::EmptyQueryResponse => answer.completed += 1,
        backend::Message::ErrorResponse(body) => {
            answer.error.get_or_insert(read_error(&body)?);
        }
        backend::Message::ReadyForQuery(body) if body.status() == b'I' => return Ok(true),
        backend::Message::ReadyForQuery(_) => {
            return Err(DbError::Protocol("a flight left its transaction open".to_owned()));
        }
        backend::Message::CopyInResponse(_) | backend::Message::CopyOutResponse(_) => {
            return Err(DbError::Protocol("copy is not a query".to_owned()));
        }
        _ => {}
    }
    Ok(false)
}

fn read_row(body: &backend::DataRowBody) -> Result<Row, DbError> {
    let buffer = body.buffer_bytes();
    body.ranges().map(|range| Ok(range.map(|range| buffer.slice(range)))).collect().map_err(lost)
}

fn bind(name: &str, params: &[Option<Bytes>], out: &mut BytesMut) -> Result<(), DbError> {
    let write = |param: &Option<Bytes>, out: &mut BytesMut| {
        Ok(match param {
            Some(bytes) => {
                out.extend_from_slice(bytes);
                IsNull::No
            }
            None => IsNull::Yes,
        })
    };
    frontend::bind("", name, [], params, write, [], out).map_err(|error| match error {
        frontend::BindError::Conversion(error) => DbError::Protocol(error.to_string()),
        frontend::BindError::Serialization(error) => encoding(&error),
    })
}

/// The plan no longer fits its prepared statement, or the statement is gone.
fn is_stale(error: &PgError) -> bool {
    error.code == "26000"
        || (error.code == "0A000" && error.routine.as_deref() == Some("RevalidateCachedQuery"))
}

/// A message cannot be written, for instance because a value holds a NUL byte: the caller's input.
fn encoding(error: &std::io::Error) -> DbError {
    DbError::Refused(Box::new(PgError {
        code: "22021".to_owned(),
        message: error.to_string(),
        ..PgError::default()
    }))
}
