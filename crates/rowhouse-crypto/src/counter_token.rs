//! Refresh tokens that carry a session and a counter under a message authentication code, so that no row is kept for
//! each, and a forged one is refused without a query. Leaves it to the caller which counters are accepted.
//!
//! Layout, in base64url without padding: version (1 byte), session (16), counter (LEB128), tag (HMAC-SHA256, its first
//! 16 bytes), checksum (SHA-256 of all before, its first 4 bytes). The checksum needs no key: it tells a damaged token
//! from a forged one.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use rowhouse_kernel::{Rng, SessionId};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::base64url;

const VERSION: u8 = 0;
const SESSION_BYTES: usize = 16;
const TAG_BYTES: usize = 16;
const CHECKSUM_BYTES: usize = 4;
/// Of a counter below 2^63.
const LONGEST_COUNTER: usize = 9;
const AROUND_COUNTER: usize = 1 + SESSION_BYTES + TAG_BYTES + CHECKSUM_BYTES;

/// The key of the tags.
pub struct CounterKey(hmac::Key);

impl std::fmt::Debug for CounterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CounterKey")
    }
}

/// What a genuine token says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CounterToken {
    /// The session.
    pub session: SessionId,
    /// How often the session's token had been exchanged, and more.
    pub counter: i64,
}

/// Why a text is no genuine token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CounterTokenError {
    /// No token of this layout, or a damaged one.
    #[error("no refresh token with a counter")]
    Layout,
    /// A token of this layout that another key has signed, or nobody.
    #[error("the refresh token's signature is wrong")]
    Signature,
}

impl CounterKey {
    /// Bytes of a new key.
    #[must_use]
    pub fn generate(rng: &dyn Rng) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(vec![0; 32]);
        rng.fill(&mut bytes);
        bytes
    }

    /// The key of these bytes.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// Another key of the same bytes: neither reads the other's tokens.
    #[must_use]
    pub fn derived(bytes: &[u8], purpose: &str) -> Self {
        let derived = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, bytes), purpose.as_bytes());
        Self(hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref()))
    }

    /// The token of a session for a counter, which is not negative.
    #[must_use]
    pub fn sign(&self, token: CounterToken) -> String {
        let mut bytes = Vec::with_capacity(AROUND_COUNTER + LONGEST_COUNTER);
        bytes.push(VERSION);
        bytes.extend_from_slice(token.session.0.as_bytes());
        write_counter(token.counter.unsigned_abs(), &mut bytes);
        let tag = hmac::sign(&self.0, &bytes);
        bytes.extend_from_slice(&tag.as_ref()[..TAG_BYTES]);
        let checksum = digest(&SHA256, &bytes);
        bytes.extend_from_slice(&checksum.as_ref()[..CHECKSUM_BYTES]);
        base64url::encode(bytes)
    }

    /// Reads a token and checks its tag.
    ///
    /// # Errors
    /// [`CounterTokenError`].
    pub fn read(&self, text: &str) -> Result<CounterToken, CounterTokenError> {
        let longest = (AROUND_COUNTER + LONGEST_COUNTER) * 4 / 3 + 1;
        let bytes = Some(text).filter(|text| text.len() <= longest).and_then(base64url::decode);
        let bytes = bytes.ok_or(CounterTokenError::Layout)?;
        let (signed, tag, token) = parse(&bytes).ok_or(CounterTokenError::Layout)?;
        let expected = hmac::sign(&self.0, signed);
        verify_slices_are_equal(&expected.as_ref()[..TAG_BYTES], tag)
            .map(|()| token)
            .map_err(|_| CounterTokenError::Signature)
    }
}

/// What is signed, the tag, and what it says.
fn parse(bytes: &[u8]) -> Option<(&[u8], &[u8], CounterToken)> {
    let (body, checksum) = bytes.split_at_checked(bytes.len().checked_sub(CHECKSUM_BYTES)?)?;
    if digest(&SHA256, body).as_ref().get(..CHECKSUM_BYTES)? != checksum {
        return None;
    }
    let (signed, tag) = body.split_at_checked(body.len().checked_sub(TAG_BYTES)?)?;
    let (&version, rest) = signed.split_first()?;
    let (session, counter) = rest.split_first_chunk::<SESSION_BYTES>()?;
    let counter = read_counter(counter).filter(|_| version == VERSION)?;
    Some((signed, tag, CounterToken { session: SessionId(Uuid::from_bytes(*session)), counter }))
}

fn write_counter(mut counter: u64, bytes: &mut Vec<u8>) {
    while counter >= 0x80 {
        bytes.push(counter.to_le_bytes()[0] | 0x80);
        counter >>= 7;
    }
    bytes.push(counter.to_le_bytes()[0]);
}

/// Only the shortest form of a counter below 2^63 is read, so that a counter has one token.
fn read_counter(bytes: &[u8]) -> Option<i64> {
    let (last, rest) = bytes.split_last().filter(|_| bytes.len() <= LONGEST_COUNTER)?;
    let ends = last & 0x80 == 0 && (*last != 0 || rest.is_empty());
    let goes_on = rest.iter().all(|byte| byte & 0x80 != 0);
    let counter = bytes.iter().rev().fold(0_i64, |counter, byte| counter << 7 | i64::from(byte & 0x7f));
    (ends && goes_on).then_some(counter)
}

#[cfg(test)]
mod tests;
