//! Whether the pieces of the segment that is being received follow one another. Leaves reading them to `verify`.

use std::collections::BTreeMap;

use crate::wal::parse_piece;

/// Beyond every segment.
const END: u64 = 1 << 62;

/// How far a segment's pieces reach.
#[derive(Debug, Default)]
struct Reach {
    bytes: u64,
    /// Where the first missing piece begins.
    gap: Option<u64>,
}

/// Pieces by their segments.
#[derive(Debug, Default)]
pub(super) struct Pieces(BTreeMap<String, Reach>);

impl Pieces {
    /// A file of this content; pieces of a segment come in the order of their names, which is that of their beginnings.
    pub(super) fn add(&mut self, name: &str, bytes: u64) {
        let Some((segment, from)) = parse_piece(name) else { return };
        let reach = self.0.entry(segment.to_owned()).or_default();
        if from > reach.bytes && reach.gap.is_none() {
            reach.gap = Some(reach.bytes);
        }
        reach.bytes = reach.bytes.max(from + bytes);
    }

    /// One that went while this looked: what was read before it is no longer all there is.
    pub(super) fn removed(&mut self, name: &str) {
        if let Some((segment, _)) = parse_piece(name) {
            self.0.entry(segment.to_owned()).or_default().bytes = END;
        }
    }

    /// Segments in which one is missing, and from which byte on.
    pub(super) fn gaps(&self) -> impl Iterator<Item = (&String, u64)> {
        self.0.iter().filter_map(|(segment, reach)| Some((segment, reach.gap?)))
    }
}

#[cfg(test)]
mod tests {
    use super::Pieces;

    const SEGMENT: &str = "000000010000000000000003";

    fn gaps(pieces: &[(u64, Option<u64>)]) -> Vec<u64> {
        let mut found = Pieces::default();
        for (from, bytes) in pieces {
            let name = format!("{SEGMENT}.{from:08X}.partial");
            match bytes {
                Some(bytes) => found.add(&name, *bytes),
                None => found.removed(&name),
            }
        }
        found
            .gaps()
            .map(|(segment, from)| {
                assert_eq!(segment, SEGMENT);
                from
            })
            .collect()
    }

    #[test]
    fn piece_that_is_missing_is_found_and_one_that_was_joined_meanwhile_is_not() {
        assert!(gaps(&[(0, Some(10)), (10, Some(5)), (15, Some(1))]).is_empty());
        assert!(gaps(&[(0, Some(20)), (10, Some(5)), (20, Some(1))]).is_empty(), "they may overlap");
        assert_eq!(gaps(&[(0, Some(10)), (15, Some(1)), (40, Some(1))]), [10]);
        assert_eq!(gaps(&[(10, Some(5))]), [0]);
        assert!(gaps(&[(0, Some(10)), (10, None), (15, Some(1))]).is_empty());
    }
}
