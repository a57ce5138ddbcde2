//! Where receiving begins: after the last whole segment of the store, or where the slot is.

use rowhouse_db::replication::{Lsn, Replication};

use super::ReceiveError;
use crate::lsn::parse_segment_name;
use crate::store::{Store, WalStore};

/// The position, and where what follows goes.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) wal: WalStore,
    pub(super) timeline: u32,
    pub(super) segment_bytes: u64,
    /// The segment to begin with.
    pub(super) number: u64,
    /// Whether the server no longer has what follows the store's last segment.
    pub(super) has_gap: bool,
}

impl Start {
    pub(super) fn position(&self) -> Lsn {
        Lsn(self.number * self.segment_bytes)
    }
}

pub(super) async fn find(
    replication: &mut Replication,
    slot: &str,
    store: &Store,
) -> Result<Start, ReceiveError> {
    let identity = replication.identify().await?;
    let segment_bytes = segment_bytes(replication).await?;
    let slot = replication.find_slot(slot).await?;
    let (slot, timeline) =
        slot.map_or((identity.flushed, identity.timeline), |slot| (slot.restart, slot.timeline));
    let wal = store.ensure_wal(&identity.system_id, timeline).await?;
    if timeline > 1 {
        let (name, content) = replication.timeline_history(timeline).await?;
        wal.put(&name, content.into()).await?;
    }
    let files = wal.list().await?;
    let whole = files.iter().filter_map(|file| parse_segment_name(&file.name, segment_bytes));
    let next = whole.map(|(_, number)| number + 1).max();
    let (first, end) = (slot.segment(segment_bytes), identity.flushed.segment(segment_bytes));
    let has_gap = next.is_some_and(|next| next < first);
    // A store that is ahead is of another copy of this cluster; its segments are replaced.
    let number = next.filter(|next| (first..=end).contains(next)).unwrap_or(first);
    Ok(Start { wal, timeline, segment_bytes, number, has_gap })
}

/// `wal_segment_size`, which is shown with a unit.
pub(crate) async fn segment_bytes(replication: &mut Replication) -> Result<u64, rowhouse_db::DbError> {
    let shown = replication.show("wal_segment_size").await?;
    parse_bytes(&shown)
        .ok_or_else(|| rowhouse_db::DbError::Protocol(format!("wal_segment_size {shown}").into()))
}

fn parse_bytes(shown: &str) -> Option<u64> {
    let digits = shown.find(|c: char| !c.is_ascii_digit()).unwrap_or(shown.len());
    let (number, unit) = shown.split_at(digits);
    let unit = match unit {
        "" | "B" => 1,
        "kB" => 1 << 10,
        "MB" => 1 << 20,
        "GB" => 1 << 30,
        _ => return None,
    };
    Some(number.parse::<u64>().ok()? * unit)
}

#[cfg(test)]
mod tests {
    use super::parse_bytes;

    #[test]
    fn sizes_are_read_with_their_units() {
        assert_eq!(
            [parse_bytes("16MB"), parse_bytes("1GB"), parse_bytes("64kB"), parse_bytes("7")],
            [Some(16 << 20), Some(1 << 30), Some(64 << 10), Some(7)]
        );
        assert_eq!([parse_bytes("16TB"), parse_bytes("MB")], [None, None]);
    }
}
