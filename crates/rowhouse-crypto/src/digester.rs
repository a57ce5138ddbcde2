//! SHA-256 of what comes in pieces.

use std::fmt::Write as _;

use aws_lc_rs::digest::{Context, SHA256};

/// The digest of the bytes so far.
#[derive(Clone)]
pub struct Digester(Context);

impl Default for Digester {
    fn default() -> Self {
        Self(Context::new(&SHA256))
    }
}

impl Digester {
    /// Appends bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// In lower-case hex.
    #[must_use]
    pub fn hex(self) -> String {
        self.0.finish().as_ref().iter().fold(String::with_capacity(64), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Digester;
    use crate::digest_hex;

    #[test]
    fn digest_of_pieces_is_that_of_the_whole() {
        let mut digester = Digester::default();
        ["row", "", "house"].iter().for_each(|piece| digester.update(piece.as_bytes()));
        assert_eq!(digester.hex(), digest_hex("rowhouse"));
    }
}
