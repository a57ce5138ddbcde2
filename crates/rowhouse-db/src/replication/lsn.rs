//! A position in the WAL, written `16/B374D848` as PostgreSQL does.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A log sequence number: bytes since the cluster was created.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Lsn(pub u64);

/// The text is not a position.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a position in the WAL, which looks like 16/B374D848")]
pub struct BadLsn(String);

impl Lsn {
    /// The number of the segment that holds this position.
    #[must_use]
    pub fn segment(self, segment_bytes: u64) -> u64 {
        self.0 / segment_bytes.max(1)
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 & 0xFFFF_FFFF)
    }
}

impl FromStr for Lsn {
    type Err = BadLsn;

    fn from_str(text: &str) -> Result<Self, BadLsn> {
        let half = |half: &str| match half.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            true => u32::from_str_radix(half, 16).ok(),
            // A sign, which numbers in Rust may have.
            false => None,
        };
        let halves = text.trim().split_once('/').and_then(|(high, low)| Some((half(high)?, half(low)?)));
        let (high, low) = halves.ok_or_else(|| BadLsn(text.to_owned()))?;
        Ok(Self(u64::from(high) << 32 | u64::from(low)))
    }
}

impl TryFrom<String> for Lsn {
    type Error = BadLsn;

    fn try_from(text: String) -> Result<Self, BadLsn> {
        text.parse()
    }
}

impl From<Lsn> for String {
    fn from(lsn: Lsn) -> Self {
        lsn.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::Lsn;

    #[test]
    fn position_is_read_as_it_is_written() {
        let lsn: Lsn = "16/B374D848".parse().unwrap();
        assert_eq!((lsn.0, lsn.to_string()), (0x16_B374_D848, "16/B374D848".to_owned()));
    }

    #[test]
    fn other_text_is_refused() {
        for text in ["", "16", "16/", "/1", "16/B374D8481", "x/1", "16-1", "+1/1"] {
            assert!(text.parse::<Lsn>().is_err(), "{text}");
        }
    }
}
