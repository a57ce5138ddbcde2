//! Messages on their way to PostgreSQL (protocol 3.0, "Message Formats"): small ones are copied together, large
//! values are sent without copying, so that a 50 MB body is in memory once.

use std::io;

use bytes::{BufMut, Bytes, BytesMut};
use postgres_protocol::message::frontend;

use super::stream::Stream;
use crate::error::{DbError, PgError};

/// Values of at least this many bytes are not copied.
const LARGE: usize = 64 * 1024;
/// A buffer grown beyond this many bytes is dropped after the flight.
const KEPT: usize = 256 * 1024;
const FRESH: usize = 4096;

/// Buffered messages, in order.
pub(super) struct Outgoing {
    parts: Vec<Bytes>,
    tail: BytesMut,
}

impl Outgoing {
    pub(super) fn new() -> Self {
        Self { parts: Vec::new(), tail: BytesMut::with_capacity(FRESH) }
    }

    pub(super) fn clear(&mut self) {
        self.parts.clear();
        self.tail.clear();
    }

    /// The position of the next small message.
    pub(super) fn position(&self) -> usize {
        self.tail.len()
    }

    /// Removes small messages written since `position`.
    pub(super) fn cut(&mut self, position: usize) {
        self.tail.truncate(position);
    }

    pub(super) fn close(&mut self, name: &str) -> Result<(), DbError> {
        frontend::close(b'S', name, &mut self.tail).map_err(|e| encoding(&e))
    }

    pub(super) fn parse(&mut self, name: &str, sql: &str) -> Result<(), DbError> {
        frontend::parse(name, sql, [], &mut self.tail).map_err(|e| encoding(&e))
    }

    /// Binds the unnamed portal; all values and results as text.
    pub(super) fn bind(&mut self, name: &str, params: &[Option<Bytes>]) -> Result<(), DbError> {
        let values: usize = params.iter().map(|value| 4 + value.as_ref().map_or(0, Bytes::len)).sum();
        let length = i32::try_from(12 + name.len() + values).map_err(|_| too_large())?;
        let count = u16::try_from(params.len()).map_err(|_| too_large())?;
        self.tail.put_u8(b'B');
        self.tail.put_i32(length);
        self.tail.put_u8(0);
        self.tail.put_slice(name.as_bytes());
        self.tail.put_u8(0);
        self.tail.put_u16(0);
        self.tail.put_u16(count);
        params.iter().try_for_each(|value| self.value(value.as_ref()))?;
        self.tail.put_u16(0);
        Ok(())
    }

    fn value(&mut self, value: Option<&Bytes>) -> Result<(), DbError> {
        let Some(bytes) = value else {
            self.tail.put_i32(-1);
            return Ok(());
        };
        self.tail.put_i32(i32::try_from(bytes.len()).map_err(|_| too_large())?);
        if bytes.len() < LARGE {
            self.tail.put_slice(bytes);
        } else {
            self.parts.push(self.tail.split().freeze());
            self.parts.push(bytes.clone());
        }
        Ok(())
    }

    pub(super) fn execute(&mut self) -> Result<(), DbError> {
        frontend::execute("", 0, &mut self.tail).map_err(|e| encoding(&e))
    }

    pub(super) fn query(&mut self, sql: &str) -> Result<(), DbError> {
        frontend::query(sql, &mut self.tail).map_err(|e| encoding(&e))
    }

    pub(super) fn sync(&mut self) {
        frontend::sync(&mut self.tail);
    }

    pub(super) fn flush(&mut self) {
        frontend::flush(&mut self.tail);
    }

    /// Sends everything and clears the buffer.
    pub(super) async fn send(&mut self, stream: &mut Stream) -> io::Result<()> {
        for part in self.parts.drain(..) {
            stream.send(&part).await?;
        }
        stream.send(&self.tail).await?;
        self.tail.clear();
        if self.tail.capacity() > KEPT {
            self.tail = BytesMut::with_capacity(FRESH);
        }
        Ok(())
    }
}

/// A message cannot be encoded, for instance because a name contains a NUL byte: an error of the caller's input.
fn encoding(error: &io::Error) -> DbError {
    refused("22021", error.to_string())
}

/// Lengths and counts of the protocol end at 2³¹ and 2¹⁶.
fn too_large() -> DbError {
    refused("54000", "the values are too large for one statement".to_owned())
}

fn refused(code: &str, message: String) -> DbError {
    DbError::Refused(Box::new(PgError { code: code.to_owned(), message, ..PgError::default() }))
}

#[cfg(test)]
mod tests;
