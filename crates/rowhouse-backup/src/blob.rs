//! Where a store's objects lie: whole objects under paths, each there or not. Leaves what is in them to `store`.

mod disk;
mod s3;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use time::OffsetDateTime;

pub(crate) use disk::Disk;
pub(crate) use s3::Bucket;

use crate::error::StoreError;

/// Why an object is not read.
const TOO_LARGE: &str = "it is larger than what is written here";

/// What a listing says of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Blob {
    /// Its path in the store, with `/`.
    pub(crate) path: String,
    /// Its size, as stored.
    pub(crate) bytes: u64,
    /// When it was written.
    pub(crate) modified: OffsetDateTime,
}

/// What to do about an object of the same path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Put {
    /// Replace it in one step.
    Replace,
    /// Leave it, and fail with [`StoreError::Exists`].
    Create,
}

pub(crate) type BlobFuture<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

/// A folder or a bucket. An object is durable once `put` has returned.
pub(crate) trait Blobs: Send + Sync + std::fmt::Debug {
    /// Where it is, for messages.
    fn place(&self) -> String;

    /// Writes an object.
    fn put<'a>(&'a self, path: &'a str, body: Bytes, put: Put) -> BlobFuture<'a, ()>;

    /// Reads an object of at most so many bytes; a larger one is [`StoreError::Corrupt`], and is not read into memory.
    fn get<'a>(&'a self, path: &'a str, most: u64) -> BlobFuture<'a, Bytes>;

    /// All objects whose path begins with the prefix, a folder with its `/` or nothing, by path.
    fn list<'a>(&'a self, prefix: &'a str) -> BlobFuture<'a, Vec<Blob>>;

    /// Removes an object; nothing happens if there is none.
    fn delete<'a>(&'a self, path: &'a str) -> BlobFuture<'a, ()>;

    /// Bytes that can be written; `None` where there is no such limit.
    fn free(&self) -> BlobFuture<'_, Option<u64>>;

    /// Removes what processes that died have left under other names, if it is older than the time.
    fn tidy(&self, older_than: OffsetDateTime) -> BlobFuture<'_, u64>;
}
