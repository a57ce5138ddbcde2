//! Detects a long row before it has arrived (DataRow, protocol 3.0 "Message Formats").

use bytes::{Buf, BytesMut};

use super::super::Row;
use super::super::connection::{Connection, Flying, Phase, Taken};
use super::super::pipeline::Pipeline;
use crate::error::DbError;

/// A last column of more bytes than this is streamed in pieces.
const LONG: usize = 4 * 1024 * 1024;
/// Type and length of a message.
pub(in super::super) const PREFIX: usize = 5;

/// A flight of one row, as far as it has been read.
pub(in super::super) enum Begun {
    Whole(Vec<Row>),
    /// The columns before the long one, the flight and the remaining length.
    Long(Row, Box<(Flying, usize)>),
}

/// Starts a flight and reads its answer, up to a long last column.
pub(in super::super) async fn begin(
    connection: &mut Connection,
    pipeline: &Pipeline<'_>,
) -> Result<Begun, DbError> {
    match attempt(connection, pipeline).await {
        Err(_) if connection.must_recover => {
            connection.recover().await?;
            attempt(connection, pipeline).await
        }
        begun => begun,
    }
}

async fn attempt(connection: &mut Connection, pipeline: &Pipeline<'_>) -> Result<Begun, DbError> {
    let mut flying = connection.depart(pipeline).await?;
    loop {
        while connection.greeted.read.len() < PREFIX {
            connection.fill().await?;
        }
        if flying.completed == pipeline.answering
            && let Some((leading, length)) = long_row(connection).await?
        {
            connection.phase = Phase::Midway;
            return Ok(Begun::Long(leading, Box::new((flying, length))));
        }
        if let Taken::End = connection.take(&mut flying).await? {
            return connection.land(flying).map(Begun::Whole);
        }
    }
}

/// The length of the message at the buffer's start, if it is a long row.
pub(in super::super) fn long_message(read: &BytesMut) -> Option<usize> {
    let length = read.get(1..PREFIX)?.get_u32() as usize;
    (read.first() == Some(&b'D') && length > LONG).then_some(1 + length)
}

/// Consumes the leading columns of a long row; leaves any other message in the buffer.
async fn long_row(connection: &mut Connection) -> Result<Option<(Row, usize)>, DbError> {
    if long_message(&connection.greeted.read).is_none() {
        return Ok(None);
    }
    loop {
        if let Some(columns) = Columns::find(&connection.greeted.read) {
            let long = columns.last.filter(|length| *length > LONG);
            return Ok(long.map(|length| (columns.split_off(&mut connection.greeted.read), length)));
        }
        connection.fill().await?;
    }
}

/// Positions of a row's leading columns in the buffer.
struct Columns {
    ranges: Vec<Option<std::ops::Range<usize>>>,
    /// Length of the last column, unless it is NULL.
    last: Option<usize>,
    /// Where the last column begins.
    end: usize,
}

impl Columns {
    /// `None` if they have not all arrived.
    fn find(read: &BytesMut) -> Option<Self> {
        let count = read.get(PREFIX..PREFIX + 2)?.get_u16();
        let mut end = PREFIX + 2;
        let mut ranges = Vec::with_capacity(usize::from(count));
        for _ in 1..count {
            let length = read.get(end..end + 4)?.get_i32();
            end += 4;
            let range = usize::try_from(length).ok().map(|length| end..end + length);
            end = range.as_ref().map_or(end, |range| range.end);
            ranges.push(range);
        }
        let last = read.get(end..end + 4)?.get_i32();
        Some(Self { ranges, last: usize::try_from(last).ok(), end: end + 4 })
    }

    fn split_off(self, read: &mut BytesMut) -> Row {
        let bytes = read.split_to(self.end).freeze();
        self.ranges.into_iter().map(|range| range.map(|range| bytes.slice(range))).collect()
    }
}
