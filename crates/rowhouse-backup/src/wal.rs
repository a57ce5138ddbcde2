//! The WAL that has been received and is on its way into the store: whole segments, and pieces of the one that is being
//! written.
//!
//! What is in the store is what a restore can reach, so pieces are put there, not on this machine's disk. They are removed
//! once their segment is there.

use bytes::{Bytes, BytesMut};
use rowhouse_db::replication::Lsn;

use crate::error::StoreError;
use crate::lsn::segment_name;
use crate::store::WalStore;

/// So many pieces become one, so that a quiet cluster does not leave thousands.
const MOST_PIECES: usize = 60;
const PARTIAL: &str = ".partial";

/// The end of the WAL of one timeline.
#[derive(Debug)]
pub(crate) struct Tail {
    wal: WalStore,
    timeline: u32,
    segment_bytes: u64,
    number: u64,
    /// The current segment so far.
    bytes: BytesMut,
    /// How much of it is in the store.
    stored: usize,
    pieces: Vec<String>,
}

impl Tail {
    /// Begins with the segment of this number.
    pub(crate) fn new(wal: WalStore, timeline: u32, segment_bytes: u64, number: u64) -> Self {
        Self { wal, timeline, segment_bytes, number, bytes: BytesMut::new(), stored: 0, pieces: Vec::new() }
    }

    /// Everything before this has been received.
    pub(crate) fn received(&self) -> Lsn {
        Lsn(self.number * self.segment_bytes + self.bytes.len() as u64)
    }

    /// Everything before this is in the store.
    pub(crate) fn stored(&self) -> Lsn {
        Lsn(self.number * self.segment_bytes + self.stored as u64)
    }

    /// Takes WAL that begins where the last ended; whole segments go into the store.
    pub(crate) async fn push(&mut self, mut wal: Bytes) -> Result<(), StoreError> {
        while !wal.is_empty() {
            let room = self.segment_bytes.saturating_sub(self.bytes.len() as u64);
            let now = wal.split_to(wal.len().min(usize::try_from(room).unwrap_or(usize::MAX)));
            self.bytes.extend_from_slice(&now);
            if self.bytes.len() as u64 >= self.segment_bytes {
                self.finish().await?;
            }
        }
        Ok(())
    }

    /// Puts what is not there yet into the store as a piece.
    pub(crate) async fn save(&mut self) -> Result<(), StoreError> {
        if self.stored == self.bytes.len() {
            return Ok(());
        }
        let is_long = self.pieces.len() >= MOST_PIECES;
        let from = if is_long { 0 } else { self.stored };
        let name = piece_name(&self.segment(), from);
        self.wal.put(&name, Bytes::copy_from_slice(&self.bytes[from..])).await?;
        self.stored = self.bytes.len();
        if is_long {
            self.remove_pieces(&name).await?;
        }
        if self.pieces.last() != Some(&name) {
            self.pieces.push(name);
        }
        Ok(())
    }

    async fn finish(&mut self) -> Result<(), StoreError> {
        // Copied rather than taken: if the store fails, the segment is put again.
        self.wal.put(&self.segment(), Bytes::copy_from_slice(&self.bytes)).await?;
        self.remove_pieces("").await?;
        self.number += 1;
        self.stored = 0;
        self.bytes.clear();
        Ok(())
    }

    /// Those of this process; those of one that died are removed by [`remove_covered`].
    async fn remove_pieces(&mut self, except: &str) -> Result<(), StoreError> {
        for piece in self.pieces.drain(..).filter(|piece| piece != except) {
            self.wal.delete(&piece).await?;
        }
        Ok(())
    }

    fn segment(&self) -> String {
        segment_name(self.timeline, self.number, self.segment_bytes)
    }
}

/// `000000010000000000000003.0000A000.partial`: where in the segment it begins.
fn piece_name(segment: &str, from: usize) -> String {
    format!("{segment}.{from:08X}{PARTIAL}")
}

/// Segment and beginning of a piece.
pub(crate) fn parse_piece(name: &str) -> Option<(&str, u64)> {
    let (segment, from) = name.strip_suffix(PARTIAL)?.split_once('.')?;
    Some((segment, u64::from_str_radix(from, 16).ok()?))
}

/// Removes pieces whose segment is whole.
pub(crate) async fn remove_covered(wal: &WalStore) -> Result<(), StoreError> {
    let files = wal.list().await?;
    let is_whole = |segment: &str| files.iter().any(|file| file.name == segment);
    for file in &files {
        if parse_piece(&file.name).is_some_and(|(segment, _)| is_whole(segment)) {
            wal.delete(&file.name).await?;
        }
    }
    Ok(())
}

/// Joins pieces, given in order, as far as they follow one another; they may overlap.
pub(crate) fn join(pieces: &[(u64, Bytes)]) -> Vec<u8> {
    let mut segment: Vec<u8> = Vec::new();
    for (from, bytes) in pieces {
        let have = segment.len() as u64;
        if *from > have {
            break;
        }
        let known = usize::try_from(have - from).unwrap_or(usize::MAX);
        segment.extend_from_slice(bytes.get(known..).unwrap_or_default());
    }
    segment
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{join, parse_piece, piece_name};

    #[test]
    fn piece_names_are_read_back() {
        let segment = "000000010000000000000003";
        let name = piece_name(segment, 0xA000);
        assert_eq!(name, "000000010000000000000003.0000A000.partial");
        assert_eq!(parse_piece(&name), Some((segment, 0xA000)));
        assert_eq!(parse_piece(segment), None);
        assert_eq!(parse_piece("00000002.history"), None);
    }

    #[test]
    fn pieces_are_joined_up_to_the_first_gap() {
        let piece = |from, bytes: &'static [u8]| (from, Bytes::from_static(bytes));
        assert_eq!(join(&[piece(0, b"abc"), piece(3, b"de")]), b"abcde");
        assert_eq!(join(&[piece(0, b"abcd"), piece(2, b"cdef"), piece(1, b"b")]), b"abcdef");
        assert_eq!(join(&[piece(0, b"abc"), piece(4, b"e")]), b"abc");
        assert_eq!(join(&[piece(1, b"b")]), b"");
    }
}
