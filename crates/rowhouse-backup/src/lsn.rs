//! Positions in the write-ahead log and the names of its segments. Leaves what is in them to PostgreSQL.

pub use rowhouse_db::replication::Lsn;

/// Bytes that the third part of a segment's name counts.
const LOG_BYTES: u64 = 1 << 32;

/// The name of a segment: timeline, log and segment, eight digits each.
#[must_use]
pub fn segment_name(timeline: u32, number: u64, segment_bytes: u64) -> String {
    let per_log = (LOG_BYTES / segment_bytes.max(1)).max(1);
    format!("{timeline:08X}{:08X}{:08X}", number / per_log, number % per_log)
}

/// Timeline and number of a whole segment; none for histories, partial segments and everything else.
#[must_use]
pub fn parse_segment_name(name: &str, segment_bytes: u64) -> Option<(u32, u64)> {
    let is_name = name.len() == 24 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'F'));
    if !is_name {
        return None;
    }
    let part = |range| u64::from_str_radix(name.get(range)?, 16).ok();
    let (timeline, log, segment) = (part(0..8)?, part(8..16)?, part(16..24)?);
    let per_log = (LOG_BYTES / segment_bytes.max(1)).max(1);
    if segment >= per_log { None } else { Some((u32::try_from(timeline).ok()?, log * per_log + segment)) }
}

#[cfg(test)]
mod tests {
    use super::{Lsn, parse_segment_name, segment_name};

    const MIB: u64 = 1 << 20;

    #[test]
    fn segments_are_named_as_postgres_names_them() {
        let lsn = Lsn(0x0000_0001_0200_0028);
        let number = lsn.segment(16 * MIB);
        assert_eq!(segment_name(3, number, 16 * MIB), "000000030000000100000002");
        assert_eq!(parse_segment_name("000000030000000100000002", 16 * MIB), Some((3, number)));
        for name in ["00000003.history", "000000030000000100000002.partial", "000000030000000100000100"] {
            assert_eq!(parse_segment_name(name, 16 * MIB), None, "{name}");
        }
    }
}
