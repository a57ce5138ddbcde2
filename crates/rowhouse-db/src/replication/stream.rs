//! WAL as it is written: messages from the server, and what has been stored confirmed to it.

use std::fmt;
use std::io;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use postgres_protocol::message::backend::Message;
use rowhouse_kernel::Clock;

use super::command::ended;
use super::{Lsn, Replication};
use crate::error::DbError;
use crate::flight::{lost, read_error};

/// CopyBothResponse, which the protocol's crate does not know.
const COPY_BOTH: u8 = b'W';
/// Longest message that is taken: a WAL sender sends 128 kB at most.
const MAX_MESSAGE: usize = 16 * 1024 * 1024;
/// Microseconds from 1970 to 2000, PostgreSQL's epoch.
const EPOCH_MICROS: i128 = 946_684_800_000_000;

/// The stream.
pub struct WalStream {
    replication: Replication,
    confirmed: Lsn,
}

impl fmt::Debug for WalStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WalStream").field("confirmed", &self.confirmed).finish_non_exhaustive()
    }
}

/// What the server sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WalMessage {
    /// Bytes of WAL, without a gap after those before.
    Data {
        /// The position of the first byte.
        start: Lsn,
        /// The end of the server's WAL when it sent this.
        end: Lsn,
        /// The bytes.
        bytes: Bytes,
    },
    /// A sign of life.
    Keepalive {
        /// The end of the server's WAL.
        end: Lsn,
        /// The server closes the connection unless it is answered soon.
        must_answer: bool,
    },
    /// The timeline ends here; the server follows another one now.
    End,
}

impl WalStream {
    pub(super) async fn begin(mut replication: Replication, start: Lsn) -> Result<Self, DbError> {
        loop {
            match first_frame(&mut replication.greeted.read)? {
                First::CopyBoth => return Ok(Self { replication, confirmed: start }),
                First::Incomplete => replication.fill().await?,
                First::Other => match replication.next().await? {
                    Message::ErrorResponse(body) => {
                        return Err(read_error(&body)?.into());
                    }
                    Message::ReadyForQuery(_) => return Err(ended()),
                    _ => {}
                },
            }
        }
    }

    /// The next message. Nothing is lost if the future is dropped.
    ///
    /// # Errors
    /// The connection's, or what the server reports.
    pub async fn next(&mut self) -> Result<WalMessage, DbError> {
        loop {
            match self.replication.next().await? {
                Message::CopyData(body) => {
                    if let Some(message) = message(body.into_bytes()) {
                        return Ok(message);
                    }
                }
                Message::CopyDone => return Ok(WalMessage::End),
                Message::ErrorResponse(body) => return Err(read_error(&body)?.into()),
                Message::ReadyForQuery(_) => return Err(ended()),
                _ => {}
            }
        }
    }

    /// Tells the server that everything before `stored` is safe, so that it need not keep it.
    ///
    /// # Errors
    /// The connection's.
    pub async fn confirm(&mut self, stored: Lsn) -> Result<(), DbError> {
        self.confirmed = self.confirmed.max(stored);
        let sent_at = micros(&*self.replication.clock);
        let mut out = BytesMut::with_capacity(39);
        out.put_u8(b'd');
        out.put_i32(4 + 34);
        out.put_u8(b'r');
        // written, flushed; applied is for standbys that replay
        out.put_u64(self.confirmed.0);
        out.put_u64(self.confirmed.0);
        out.put_u64(0);
        out.put_i64(sent_at);
        out.put_u8(0);
        self.replication.greeted.stream.send(&out).await.map_err(lost)
    }
}

fn micros(clock: &dyn Clock) -> i64 {
    i64::try_from(clock.now().unix_timestamp_nanos() / 1000 - EPOCH_MICROS).unwrap_or(0)
}

enum First {
    CopyBoth,
    Incomplete,
    Other,
}

/// Takes a CopyBothResponse off the buffer; leaves any other message there.
fn first_frame(read: &mut BytesMut) -> Result<First, DbError> {
    let (Some(tag), Some(length)) = (read.first().copied(), read.get(1..5)) else {
        return Ok(First::Incomplete);
    };
    if tag != COPY_BOTH {
        return Ok(First::Other);
    }
    let length = length.iter().fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte));
    if length > MAX_MESSAGE {
        return Err(lost(io::Error::from(io::ErrorKind::InvalidData)));
    }
    if read.len() <= length {
        return Ok(First::Incomplete);
    }
    read.advance(length + 1);
    Ok(First::CopyBoth)
}

/// `w`: start, end, time, bytes; `k`: end, time, whether to answer. Others are skipped.
fn message(mut bytes: Bytes) -> Option<WalMessage> {
    match (bytes.first().copied()?, bytes.len()) {
        (b'w', 25..) => {
            bytes.advance(1);
            let (start, end) = (Lsn(bytes.get_u64()), Lsn(bytes.get_u64()));
            bytes.advance(8);
            Some(WalMessage::Data { start, end, bytes })
        }
        (b'k', 18..) => {
            bytes.advance(1);
            let end = Lsn(bytes.get_u64());
            bytes.advance(8);
            Some(WalMessage::Keepalive { end, must_answer: bytes.get_u8() == 1 })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use bytes::{BufMut, Bytes, BytesMut};

    use super::{Lsn, WalMessage, message};

    fn header(kind: u8, numbers: &[u64]) -> BytesMut {
        let mut bytes = BytesMut::new();
        bytes.put_u8(kind);
        numbers.iter().for_each(|number| bytes.put_u64(*number));
        bytes
    }

    #[test]
    fn data_and_keepalives_are_read() {
        let mut data = header(b'w', &[16, 32, 0]);
        data.put_slice(b"wal");
        let expected = WalMessage::Data { start: Lsn(16), end: Lsn(32), bytes: Bytes::from_static(b"wal") };
        assert_eq!(message(data.freeze()), Some(expected));
        let mut alive = header(b'k', &[32, 0]);
        alive.put_u8(1);
        let expected = WalMessage::Keepalive { end: Lsn(32), must_answer: true };
        assert_eq!(message(alive.freeze()), Some(expected));
    }

    #[test]
    fn short_and_unknown_messages_are_skipped() {
        assert_eq!(message(Bytes::from_static(b"w123")), None);
        assert_eq!(message(Bytes::from_static(b"x123")), None);
        assert_eq!(message(Bytes::new()), None);
    }
}
