//! Streaming of results too large for memory: rows, or one long value, passed on as PostgreSQL sends them.
//!
//! The connection stays checked out until ReadyForQuery, or until the reader is dropped: then the query is cancelled.

mod long;

use bytes::{Bytes, BytesMut};
use fallible_iterator::FallibleIterator;

use super::Row;
use super::connection::{Flying, Phase, Taken};
use super::login::lost;
use super::pipeline::Pipeline;
use super::places::Place;
use super::pool::PooledConnection;
use crate::error::DbError;
use crate::liveness::Liveness;

pub(super) use long::{Begun, PREFIX, begin, long_message};

/// Approximate bytes of a piece.
const PIECE: usize = 64 * 1024;
/// `query_canceled`.
const CANCELED: &str = "57014";

/// Pieces of a result. Dropping it before its end cancels the query.
pub struct Pieces {
    pooled: PooledConnection,
    flying: Flying,
    kind: ResultShape,
    ended: bool,
    liveness: Liveness,
    /// One of this pool's streams.
    _place: Place,
}

enum ResultShape {
    /// The first column of each row, a line each.
    Lines,
    /// Remaining bytes of the long value.
    Value(usize),
}

/// The start of a result in lines.
pub struct Lines {
    /// Rows of the head query.
    pub head: Vec<Row>,
    /// The first lines, each with its line feed.
    pub first: Bytes,
    /// The remaining lines; `None` if there are none, and then the flight has been committed.
    pub rest: Option<Pieces>,
}

/// A result of one row whose last column may be long.
pub enum Value {
    /// It was short; the flight has been committed.
    Whole(Vec<Row>),
    /// The columns before the long one, its length in bytes, and its pieces.
    Long(Row, usize, Box<Pieces>),
}

impl Lines {
    /// Starts a flight whose statement after the one that answers gives lines, and reads the first of them.
    pub(super) async fn start(mut pieces: Pieces, pipeline: &Pipeline<'_>) -> Result<Self, DbError> {
        let liveness = pieces.liveness.clone();
        let first = liveness.guard(pieces.first_lines(pipeline)).await?;
        let head = std::mem::take(&mut pieces.flying.rows);
        Ok(Self { head, first, rest: (!pieces.ended).then_some(pieces) })
    }
}

impl Pieces {
    pub(super) fn of_lines(pooled: PooledConnection, place: Place, liveness: Liveness) -> Self {
        let flying = Flying::default();
        Self { pooled, flying, kind: ResultShape::Lines, ended: false, liveness, _place: place }
    }

    pub(super) fn of_value(
        pooled: PooledConnection,
        place: Place,
        liveness: Liveness,
        (flying, length): (Flying, usize),
    ) -> Self {
        Self { pooled, flying, kind: ResultShape::Value(length), ended: false, liveness, _place: place }
    }

    /// The next piece; `None` after the last, which is returned only once the flight has been committed.
    ///
    /// # Errors
    /// What the database raised while it produced the rest, or its absence.
    pub async fn next(&mut self) -> Result<Option<Bytes>, DbError> {
        if self.ended {
            return Ok(None);
        }
        let liveness = self.liveness.clone();
        let piece = match self.kind {
            ResultShape::Lines => liveness.guard(self.lines()).await?,
            ResultShape::Value(left) => liveness.guard(self.value(left)).await?,
        };
        Ok((!piece.is_empty()).then_some(piece))
    }

    async fn first_lines(&mut self, pipeline: &Pipeline<'_>) -> Result<Bytes, DbError> {
        self.flying = self.pooled.connection()?.depart(pipeline).await?;
        match self.lines().await {
            Err(_) if self.pooled.connection()?.must_recover => {
                let connection = self.pooled.connection()?;
                connection.recover().await?;
                self.flying = connection.depart(pipeline).await?;
                self.lines().await
            }
            lines => lines,
        }
    }

    async fn lines(&mut self) -> Result<Bytes, DbError> {
        let connection = self.pooled.connection()?;
        let mut lines = BytesMut::with_capacity(PIECE + PIECE / 4);
        while lines.len() < PIECE {
            match connection.take(&mut self.flying).await? {
                Taken::Row(row) if self.flying.completed > self.flying.answering => {
                    if let Some(Some(range)) = row.ranges().next().map_err(lost)? {
                        lines.extend_from_slice(&row.buffer()[range]);
                    }
                    lines.extend_from_slice(b"\n");
                }
                Taken::End => {
                    self.flying.rows = connection.land(std::mem::take(&mut self.flying))?;
                    self.ended = true;
                    break;
                }
                Taken::Row(_) | Taken::Other => {}
            }
        }
        Ok(lines.freeze())
    }

    async fn value(&mut self, left: usize) -> Result<Bytes, DbError> {
        let connection = self.pooled.connection()?;
        if connection.greeted.read.is_empty() {
            connection.greeted.read.reserve(PIECE);
            connection.fill().await?;
        }
        let read = &mut connection.greeted.read;
        let piece = read.split_to(left.min(read.len())).freeze();
        self.kind = ResultShape::Value(left - piece.len());
        if left == piece.len() {
            connection.phase = Phase::Reading;
            connection.read_to_end(&mut self.flying).await?;
            whole(connection.land(std::mem::take(&mut self.flying)))?;
            self.ended = true;
        }
        Ok(piece)
    }
}

/// The value is complete and nothing was written: a cancellation now is the statement timeout, caused by a slow
/// client.
fn whole(landed: Result<Vec<Row>, DbError>) -> Result<(), DbError> {
    match landed {
        Err(DbError::Refused(error)) if error.code == CANCELED => Ok(()),
        other => other.map(drop),
    }
}
