//! One data-plane connection: writes a flight, reads its answer up to ReadyForQuery.

use std::time::{Duration, Instant};

use bytes::BytesMut;
use fallible_iterator::FallibleIterator;
use postgres_protocol::message::backend;

use super::Row;
use super::login::{Greeted, Login, lost, read_error};
use super::outgoing::Outgoing;
use super::pipeline::{Pipeline, Statement};
use super::session::SessionState;
use super::statement::{Key, Prepared, StatementCache};
use crate::error::{DbError, PgError};

/// A read buffer grown beyond this many bytes is dropped after the flight.
const KEPT_BUFFER: usize = 256 * 1024;

/// Longest life of a connection, since backends' memory grows.
const LIFETIME: Duration = Duration::from_secs(1800);

/// A connection's protocol state, which decides how it is cleaned up when a request is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Between flights.
    Idle,
    /// A message is partly written or read, or no Sync was sent yet; the connection cannot be reused.
    Midway,
    /// A flight was sent and its answer is not complete.
    Reading,
    /// Input, output or protocol failed.
    Broken,
}

pub(crate) struct Connection {
    pub(super) greeted: Greeted,
    pub(super) out: Outgoing,
    pub(super) statements: StatementCache,
    pub(super) session: SessionState,
    opened: Instant,
    pub(crate) phase: Phase,
    /// The last flight failed because of the session's state, and may be repeated after [`Connection::recover`].
    pub(super) must_recover: bool,
}

/// A flight whose answer is being read.
#[derive(Default)]
pub(super) struct Flying {
    /// The statement whose rows are kept.
    pub(super) answering: usize,
    pub(super) rows: Vec<Row>,
    /// Statements completed so far; rows belong to the one after.
    pub(super) completed: usize,
    pub(super) error: Option<PgError>,
    /// Statements that clear the session and are not complete yet; not counted in `completed`.
    clearing: usize,
    /// As [`Pipeline::opening`].
    opening: usize,
    /// Statements that this flight parses, in order, and how many of them have been.
    pub(super) new: Vec<Key>,
    parsed: usize,
    /// The answering statement, and when waiting for it began.
    timed: Option<(Key, Instant)>,
}

/// The kind of a message that was read.
pub(super) enum Taken {
    /// A row of a statement whose rows are not kept.
    Row(backend::DataRowBody),
    /// ReadyForQuery.
    End,
    Other,
}

impl Connection {
    pub(crate) async fn open(
        login: &Login,
        statement_cache_size: usize,
        schema_version: u64,
    ) -> Result<Self, DbError> {
        Ok(Self {
            greeted: login.connect().await?,
            out: Outgoing::new(),
            statements: StatementCache::new(statement_cache_size),
            session: SessionState::new(login.statement_timeout, schema_version),
            opened: Instant::now(),
            phase: Phase::Idle,
            must_recover: false,
        })
    }

    pub(crate) fn is_usable(&self) -> bool {
        self.phase == Phase::Idle
            && self.opened.elapsed() < LIFETIME
            && self.greeted.is_fit()
            && self.greeted.stream.is_quiet()
    }

    /// Runs the statements as one transaction and returns the rows of the one that answers.
    ///
    /// If a prepared statement is stale (DDL, or dropped by a pooler), it is prepared again and the flight repeated:
    /// the first attempt was rolled back.
    pub(crate) async fn fly(&mut self, pipeline: &Pipeline<'_>) -> Result<Vec<Row>, DbError> {
        match self.attempt(pipeline).await {
            Err(_) if self.must_recover => {
                self.recover().await?;
                self.attempt(pipeline).await
            }
            answer => answer,
        }
    }

    async fn attempt(&mut self, pipeline: &Pipeline<'_>) -> Result<Vec<Row>, DbError> {
        let mut flying = self.depart(pipeline).await?;
        self.read_to_end(&mut flying).await?;
        self.land(flying)
    }

    /// Sends the statements and one Sync.
    pub(super) async fn depart(&mut self, pipeline: &Pipeline<'_>) -> Result<Flying, DbError> {
        self.out.clear();
        let flying = self.write(pipeline)?;
        self.out.sync();
        self.send().await?;
        Ok(flying)
    }

    /// Writes a flight without its Sync; if the session has served another caller, preceded by the statements that
    /// clear it.
    pub(super) fn write(&mut self, pipeline: &Pipeline<'_>) -> Result<Flying, DbError> {
        self.must_recover = false;
        let clear = self.session.clearing(pipeline.caller);
        let clear: Vec<_> = clear.iter().flat_map(|clear| clear.statements()).collect();
        let mut new = self.write_statements(&clear)?;
        let written = self.write_statements(&pipeline.statements);
        new.extend(written.inspect_err(|_| new.iter().for_each(|key| self.statements.forget(key)))?);
        self.session.serve(pipeline.caller);
        let timed =
            pipeline.statements.get(pipeline.answering).map(|statement| (statement.key(), Instant::now()));
        let (answering, opening) = (pipeline.answering, pipeline.opening);
        Ok(Flying { answering, opening, clearing: clear.len(), new, timed, ..Flying::default() })
    }

    /// Sends what has been written.
    pub(super) async fn send(&mut self) -> Result<(), DbError> {
        self.phase = Phase::Midway;
        let sent = self.out.send(&mut self.greeted.stream).await;
        self.phase = if sent.is_ok() { Phase::Reading } else { Phase::Broken };
        sent.map_err(lost)
    }

    /// After ReadyForQuery: the rows that were kept, or what the database refused.
    pub(super) fn land(&mut self, flying: Flying) -> Result<Vec<Row>, DbError> {
        (self.phase, self.must_recover) = (Phase::Idle, false);
        if self.greeted.read.capacity() > KEPT_BUFFER && self.greeted.read.is_empty() {
            self.greeted.read = BytesMut::with_capacity(8192);
        }
        // Parse is not transactional: statements parsed before an error stay prepared, later ones were skipped.
        flying.new.iter().skip(flying.parsed).for_each(|key| self.statements.forget(key));
        if let Some((key, since)) = &flying.timed {
            self.statements.took(key, since.elapsed());
        }
        match flying.error {
            Some(error) if flying.is_opening() && is_read_only(&error) => {
                // Another server may be the primary now.
                self.phase = Phase::Broken;
                Err(DbError::Unavailable(error.to_string().into()))
            }
            Some(error) if flying.clearing > 0 => {
                self.session.distrust();
                self.must_recover = true;
                Err(DbError::Unavailable(
                    format!("the database session could not be cleared: {error}").into(),
                ))
            }
            Some(error) => {
                self.must_recover = is_stale(&error);
                Err(error.into())
            }
            None => Ok(flying.rows),
        }
    }

    /// Writes Close for evicted statements first, so that no error can skip them, then each statement. Returns what is
    /// to be parsed.
    pub(super) fn write_statements(&mut self, statements: &[Statement<'_>]) -> Result<Vec<Key>, DbError> {
        let prepared: Vec<_> = statements
            .iter()
            .map(|statement| self.statements.prepare(statement.role, &statement.query.sql))
            .collect();
        let both = || statements.iter().zip(&prepared);
        let new: Vec<_> = both().filter(|(_, p)| p.is_new).map(|(statement, _)| statement.key()).collect();
        let mut write = || {
            prepared.iter().filter_map(|p| p.evicted.as_deref()).try_for_each(|name| self.out.close(name))?;
            both().try_for_each(|(statement, prepared)| write_statement(&mut self.out, statement, prepared))
        };
        match write() {
            Ok(()) => Ok(new),
            Err(error) => {
                new.iter().for_each(|key| self.statements.forget(key));
                Err(error)
            }
        }
    }

    /// Reads up to ReadyForQuery.
    pub(super) async fn read_to_end(&mut self, flying: &mut Flying) -> Result<(), DbError> {
        while !matches!(self.take(flying).await?, Taken::End) {}
        Ok(())
    }

    /// Reads one message and updates the flight's state.
    pub(super) async fn take(&mut self, flying: &mut Flying) -> Result<Taken, DbError> {
        let message = self.next().await?;
        if let backend::Message::ParameterStatus(status) = &message {
            self.greeted.note(status);
        }
        take(message, flying).inspect_err(|_| self.phase = Phase::Broken)
    }

    async fn next(&mut self) -> Result<backend::Message, DbError> {
        loop {
            let parsed = backend::Message::parse(&mut self.greeted.read);
            if let Some(message) = parsed.inspect_err(|_| self.phase = Phase::Broken).map_err(lost)? {
                return Ok(message);
            }
            self.fill().await?;
        }
    }

    /// Reads available input.
    pub(super) async fn fill(&mut self) -> Result<(), DbError> {
        self.greeted.stream.fill(&mut self.greeted.read).await.map_err(|error| {
            self.phase = Phase::Broken;
            lost(error)
        })
    }

    pub(super) async fn cancel(&self, login: &Login) -> Result<(), DbError> {
        login.cancel(&self.greeted).await
    }

    /// Reads the rest of an abandoned flight, then makes an empty round trip, which consumes a late cancel request so
    /// that it cannot hit the next flight.
    pub(crate) async fn drain(&mut self, login: &Login) -> Result<(), DbError> {
        self.cancel(login).await?;
        self.read_to_end(&mut Flying::discarding()).await?;
        self.out.clear();
        self.out.sync();
        self.send().await?;
        self.read_to_end(&mut Flying::discarding()).await?;
        // It is unknown which of the abandoned flight's statements were parsed, and whether the session was cleared.
        self.phase = Phase::Idle;
        self.session.distrust();
        self.forget_all().await
    }

    /// Prepares the connection for another attempt. A leftover setting may have made clearing fail.
    pub(super) async fn recover(&mut self) -> Result<(), DbError> {
        self.must_recover = false;
        self.session.distrust();
        self.run("reset all").await?;
        self.forget_all().await
    }

    /// Drops all prepared statements, on both sides.
    pub(super) async fn forget_all(&mut self) -> Result<(), DbError> {
        self.statements.clear();
        self.run("deallocate all").await
    }

    async fn run(&mut self, sql: &str) -> Result<(), DbError> {
        self.out.clear();
        self.out.query(sql)?;
        self.send().await?;
        let mut flying = Flying::discarding();
        self.read_to_end(&mut flying).await?;
        self.land(flying).map(drop)
    }
}

impl Flying {
    /// Called when the answer of the flight in front of it has ended: its own begins.
    pub(super) fn begin(&mut self) {
        if let Some((_, since)) = &mut self.timed {
            *since = Instant::now();
        }
    }

    /// Whether the caller's own statements have not begun.
    fn is_opening(&self) -> bool {
        self.clearing > 0 || self.completed < self.opening
    }

    /// A flight whose rows are dropped.
    pub(super) fn discarding() -> Self {
        Self { answering: usize::MAX, ..Self::default() }
    }
}

fn write_statement(
    out: &mut Outgoing,
    statement: &Statement<'_>,
    prepared: &Prepared,
) -> Result<(), DbError> {
    if prepared.is_new {
        out.parse(&prepared.name, &statement.query.sql)?;
    }
    out.bind(&prepared.name, &statement.query.params)?;
    out.execute()
}

fn take(message: backend::Message, flying: &mut Flying) -> Result<Taken, DbError> {
    match message {
        backend::Message::DataRow(_) if flying.clearing > 0 => {}
        backend::Message::DataRow(body) if flying.completed == flying.answering => {
            flying.rows.push(read_row(&body)?);
        }
        backend::Message::DataRow(body) => return Ok(Taken::Row(body)),
        backend::Message::ParseComplete => flying.parsed += 1,
        backend::Message::CommandComplete(_) if flying.clearing > 0 => flying.clearing -= 1,
        backend::Message::CommandComplete(_) | backend::Message::EmptyQueryResponse => flying.completed += 1,
        backend::Message::ErrorResponse(body) => {
            flying.error.get_or_insert(read_error(&body)?);
        }
        backend::Message::ReadyForQuery(body) if body.status() == b'I' => return Ok(Taken::End),
        backend::Message::ReadyForQuery(_) => {
            return Err(DbError::Protocol("a flight left its transaction open".into()));
        }
        backend::Message::CopyInResponse(_) | backend::Message::CopyOutResponse(_) => {
            return Err(DbError::Protocol("copy is not a query".into()));
        }
        _ => {}
    }
    Ok(Taken::Other)
}

pub(super) fn read_row(body: &backend::DataRowBody) -> Result<Row, DbError> {
    let buffer = body.buffer_bytes();
    body.ranges().map(|range| Ok(range.map(|range| buffer.slice(range)))).collect().map_err(lost)
}

/// The server takes no writes: it is a standby (0A000, 25006), or read-only by default (25001: the open transaction was
/// begun as one that reads).
fn is_read_only(error: &PgError) -> bool {
    matches!(error.code.as_str(), "25001" | "25006") || (error.code == "0A000" && !is_stale(error))
}

/// The plan no longer fits its prepared statement, or the statement is gone.
fn is_stale(error: &PgError) -> bool {
    error.code == "26000"
        || (error.code == "0A000" && error.routine.as_deref() == Some("RevalidateCachedQuery"))
}
