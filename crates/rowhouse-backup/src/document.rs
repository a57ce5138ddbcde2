//! Documents in a store: JSON with a checksum, which finds damage without any key, and a MAC, which finds changes.
//!
//! Leaves what the documents say to their types.

use aws_lc_rs::{constant_time, digest, hmac};
use data_encoding::HEXLOWER;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::error::StoreError;
use crate::key::DataKey;

/// The largest document that is read: the manifest of a backup with a hundred thousand objects has less.
pub(crate) const MAX_DOCUMENT: u64 = 64 << 20;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Signed {
    body: Box<RawValue>,
    sha256: String,
    mac: String,
}

/// A document whose checksum is right.
#[derive(Debug)]
pub(crate) struct Document {
    path: String,
    body: Box<RawValue>,
    mac: Vec<u8>,
}

/// The document's bytes, for its path only.
pub(crate) fn write<T: Serialize>(path: &str, body: &T, key: &DataKey) -> Result<Vec<u8>, StoreError> {
    let body =
        serde_json::value::to_raw_value(body).map_err(|_| StoreError::Internal("JSON cannot be written"))?;
    let mac = hmac::sign(&key.mac()?, &signed_bytes(path, &body));
    compose(body, mac.as_ref())
}

impl Document {
    /// Reads a document and compares its checksum. Every byte counts: what is not written exactly so is damaged.
    pub(crate) fn read(path: &str, bytes: &[u8]) -> Result<Self, StoreError> {
        let damaged = |why: &str| StoreError::corrupt(path, why);
        let signed: Signed =
            serde_json::from_slice(bytes).map_err(|_| damaged("it is not a document of a store"))?;
        let mac = HEXLOWER.decode(signed.mac.as_bytes()).map_err(|_| damaged("its MAC is damaged"))?;
        if compose(signed.body.clone(), &mac)? != bytes {
            return Err(damaged("its checksum is wrong"));
        }
        Ok(Self { path: path.to_owned(), body: signed.body, mac })
    }

    /// The body, unauthenticated: for what is needed to find the key.
    pub(crate) fn peek<T: DeserializeOwned>(&self) -> Result<T, StoreError> {
        let why =
            |error: serde_json::Error| StoreError::corrupt(&self.path, format!("it cannot be read: {error}"));
        serde_json::from_str(self.body.get()).map_err(why)
    }

    /// Whether the key has written it.
    pub(crate) fn verify(&self, key: &DataKey) -> Result<(), StoreError> {
        hmac::verify(&key.mac()?, &signed_bytes(&self.path, &self.body), &self.mac).map_err(|_| {
            StoreError::corrupt(&self.path, "its MAC is wrong: somebody without the key has changed it")
        })
    }
}

/// Both parts have a length of their own or a zero byte between them, so that no other path with another body is the same.
fn signed_bytes(path: &str, body: &RawValue) -> Vec<u8> {
    [path.as_bytes(), b"\0", body.get().as_bytes()].concat()
}

fn compose(body: Box<RawValue>, mac: &[u8]) -> Result<Vec<u8>, StoreError> {
    let sum = digest::digest(&digest::SHA256, body.get().as_bytes());
    let signed = Signed { body, sha256: HEXLOWER.encode(sum.as_ref()), mac: HEXLOWER.encode(mac) };
    serde_json::to_vec(&signed).map_err(|_| StoreError::Internal("JSON cannot be written"))
}

/// Whether two digests are the same.
pub(crate) fn is_same(a: &[u8], b: &[u8]) -> bool {
    constant_time::verify_slices_are_equal(a, b).is_ok()
}
