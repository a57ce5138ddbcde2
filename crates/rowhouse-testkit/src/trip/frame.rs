//! The frames of PostgreSQL's protocol: a byte for the type, four for the length, which counts itself, and the rest.

/// Those of one direction, which may come in pieces.
#[derive(Debug, Default)]
pub(super) struct Frames {
    header: Vec<u8>,
    rest: usize,
}

impl Frames {
    /// How many of these types begin in the bytes, which go on where the former ones ended.
    pub(super) fn count(&mut self, bytes: &[u8], types: &[u8]) -> usize {
        let mut found = 0;
        for byte in bytes {
            if self.rest > 0 {
                self.rest -= 1;
                continue;
            }
            self.header.push(*byte);
            if let [kind, a, b, c, d] = self.header[..] {
                let length = u32::from_be_bytes([a, b, c, d]).saturating_sub(4);
                found += usize::from(types.contains(&kind));
                self.rest = usize::try_from(length).unwrap_or(0);
                self.header.clear();
            }
        }
        found
    }
}

/// The types and contents of the frames that begin with a message. Of one that goes on in a further packet, what is there.
pub(super) fn frames(mut bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let ([kind, length @ ..], rest) = bytes.split_first_chunk::<5>()?;
        let length = usize::try_from(u32::from_be_bytes(*length).saturating_sub(4)).ok()?;
        let (content, further) = rest.split_at(length.min(rest.len()));
        bytes = further;
        Some((*kind, content))
    })
}
