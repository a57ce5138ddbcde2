//! Replication commands that answer with rows.

use fallible_iterator::FallibleIterator;
use postgres_protocol::message::backend::{DataRowBody, Message};

use super::{READ_BYTES, Replication};
use crate::error::{DbError, PgError};
use crate::flight::{lost, read_error};

/// One row as text; `None` is NULL.
pub(super) type TextRow = Vec<Option<String>>;

impl Replication {
    /// The only row of a command's answer.
    pub(super) async fn row(&mut self, command: &str) -> Result<TextRow, DbError> {
        let mut rows = self.rows(command).await?;
        rows.pop().ok_or_else(|| DbError::Protocol(format!("{command}: no row").into()))
    }

    /// All rows of a command's answer.
    pub(super) async fn rows(&mut self, command: &str) -> Result<Vec<TextRow>, DbError> {
        self.send(command).await?;
        let (mut rows, mut failure) = (Vec::new(), None);
        loop {
            match self.next().await? {
                Message::DataRow(body) => rows.push(read(&body)?),
                Message::ErrorResponse(body) => failure = Some(read_error(&body)?),
                Message::ReadyForQuery(_) => break,
                _ => {}
            }
        }
        failure.map_or(Ok(rows), |error: PgError| Err(error.into()))
    }

    /// The rows of one of several results of a command, up to its end.
    pub(super) async fn result(&mut self) -> Result<Vec<TextRow>, DbError> {
        let mut rows = Vec::new();
        loop {
            match self.next().await? {
                Message::DataRow(body) => rows.push(read(&body)?),
                Message::ErrorResponse(body) => return Err(read_error(&body)?.into()),
                Message::CommandComplete(_) => return Ok(rows),
                Message::ReadyForQuery(_) => return Err(ended()),
                _ => {}
            }
        }
    }

    /// The next message, read in large pieces. Nothing is lost if the future is dropped.
    pub(super) async fn next(&mut self) -> Result<Message, DbError> {
        loop {
            if let Some(message) = Message::parse(&mut self.greeted.read).map_err(lost)? {
                return Ok(message);
            }
            self.fill().await?;
        }
    }

    pub(super) async fn fill(&mut self) -> Result<(), DbError> {
        self.greeted.read.reserve(READ_BYTES);
        self.greeted.stream.fill(&mut self.greeted.read).await.map_err(lost)
    }
}

fn read(body: &DataRowBody) -> Result<TextRow, DbError> {
    let buffer = body.buffer();
    body.ranges()
        .map(|range| Ok(range.map(|range| String::from_utf8_lossy(&buffer[range]).into_owned())))
        .collect()
        .map_err(lost)
}

/// A column that cannot be NULL.
pub(super) fn column(row: &TextRow, at: usize) -> Result<&str, DbError> {
    row.get(at).and_then(Option::as_deref).ok_or_else(|| DbError::Protocol(format!("no column {at}").into()))
}

/// A column with a number.
pub(super) fn number(row: &TextRow, at: usize) -> Result<u32, DbError> {
    column(row, at)?.parse().map_err(|_| DbError::Protocol(format!("column {at} is not a number").into()))
}

pub(super) fn ended() -> DbError {
    DbError::Protocol("the answer ended early".into())
}
