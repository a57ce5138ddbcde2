//! A base backup under way: archives in tar format, then the manifest, one message at a time.
//!
//! The server writes as fast as it is read, so a slow store slows the backup down and needs no memory.

use std::fmt;

use bytes::{Buf, Bytes};
use postgres_protocol::message::backend::Message;

use super::command::{TextRow, column, ended, number};
use super::{Lsn, Replication, lsn};
use crate::error::DbError;
use crate::flight::read_error;

/// A base backup being read.
pub struct BaseBackup {
    replication: Replication,
    /// Where replay begins.
    pub start: Lsn,
    /// The timeline.
    pub timeline: u32,
    /// Estimate of all archives' bytes.
    pub estimated_bytes: u64,
    is_copying: bool,
}

impl fmt::Debug for BaseBackup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BaseBackup").field("start", &self.start).finish_non_exhaustive()
    }
}

/// An archive that begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// `base.tar`, or `16385.tar` for a tablespace.
    pub name: String,
    /// Where the tablespace lies on the server; empty for the data directory.
    pub location: String,
}

/// One message of a base backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BasePart {
    /// Data of another archive follows.
    Archive(Archive),
    /// The manifest follows: `backup_manifest` of pg_verifybackup.
    Manifest,
    /// Bytes of what was announced last.
    Data(Bytes),
    /// Bytes that the server has read.
    Progress(u64),
    /// All was sent.
    End(Ended),
}

/// The end of a base backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// Replay has to reach this before the copy is consistent.
    pub stop: Lsn,
    /// The timeline then.
    pub timeline: u32,
}

impl BaseBackup {
    pub(super) async fn begin(mut replication: Replication) -> Result<Self, DbError> {
        let first = replication.result().await?;
        let first = first.first().ok_or_else(ended)?;
        let (start, timeline) = (lsn(column(first, 0)?)?, number(first, 1)?);
        let tablespaces = replication.result().await?;
        let estimated_bytes = tablespaces.iter().map(kilobytes).sum::<u64>() * 1024;
        Ok(Self { replication, start, timeline, estimated_bytes, is_copying: true })
    }

    /// The next part.
    ///
    /// # Errors
    /// The connection's, or what the server reports; the backup is then useless.
    pub async fn next(&mut self) -> Result<BasePart, DbError> {
        while self.is_copying {
            match self.replication.next().await? {
                Message::CopyData(body) => {
                    if let Some(part) = part(body.into_bytes())? {
                        return Ok(part);
                    }
                }
                Message::CopyDone => self.is_copying = false,
                Message::ErrorResponse(body) => return Err(read_error(&body)?.into()),
                Message::ReadyForQuery(_) => return Err(ended()),
                _ => {}
            }
        }
        let last = self.replication.result().await?;
        let last = last.first().ok_or_else(ended)?;
        Ok(BasePart::End(Ended { stop: lsn(column(last, 0)?)?, timeline: number(last, 1)? }))
    }
}

fn kilobytes(row: &TextRow) -> u64 {
    row.get(2).and_then(Option::as_deref).and_then(|size| size.parse().ok()).unwrap_or(0)
}

/// A message of the copy: its kind in the first byte, as of PostgreSQL 15. Unknown kinds are skipped.
fn part(mut bytes: Bytes) -> Result<Option<BasePart>, DbError> {
    if bytes.is_empty() {
        return Ok(None);
    }
    Ok(match bytes.get_u8() {
        b'd' => Some(BasePart::Data(bytes)),
        b'n' => {
            let mut texts =
                bytes.split(|byte| *byte == 0).map(|text| String::from_utf8_lossy(text).into_owned());
            let name = texts.next().ok_or_else(ended)?;
            Some(BasePart::Archive(Archive { name, location: texts.next().unwrap_or_default() }))
        }
        b'm' => Some(BasePart::Manifest),
        b'p' if bytes.len() >= 8 => Some(BasePart::Progress(bytes.get_u64())),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{Archive, BasePart, part};

    #[test]
    fn messages_are_told_apart_by_their_first_byte() {
        let base = Archive { name: "base.tar".to_owned(), location: String::new() };
        let of = |bytes: &'static [u8]| part(Bytes::from_static(bytes)).unwrap();
        assert_eq!(of(b"nbase.tar\0\0"), Some(BasePart::Archive(base)));
        assert_eq!(of(b"dabc"), Some(BasePart::Data(Bytes::from_static(b"abc"))));
        assert_eq!(of(b"m"), Some(BasePart::Manifest));
        assert_eq!(of(b"p\0\0\0\0\0\0\x01\0"), Some(BasePart::Progress(256)));
        assert_eq!((of(b"z"), of(b""), of(b"p\0")), (None, None, None));
    }
}
