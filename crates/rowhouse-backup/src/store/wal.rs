//! Write-ahead log in the store: one object for each segment, history or partial segment of a timeline.
//!
//! Leaves which segments are needed to `verify` and `retention`.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tokio::task::spawn_blocking;

use super::{Head, Store, require_name};
use crate::blob::Put;
use crate::chunk::{self, Place};
use crate::document::{self, Document, MAX_DOCUMENT};
use crate::error::StoreError;
use crate::key::{DataKey, Wrapped};
use crate::manifest::FORMAT;

const DIED: StoreError = StoreError::Internal("a thread that compresses and encrypts died");
/// Name of the key's document among the segments.
const KEY: &str = "key.json";
/// Bytes in front of a sealed segment: each has a key of its own, so that one may be written again.
const SALT: usize = 32;
/// PostgreSQL's largest segment.
const MAX_SEGMENT: usize = 1 << 30;
/// A segment that does not compress, with its salt and tag.
const MAX_STORED: u64 = MAX_SEGMENT as u64 + (MAX_SEGMENT as u64 >> 7) + 1024;

/// One file of a timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WalFile {
    /// As PostgreSQL names it, such as `000000010000000000000003`.
    pub name: String,
    /// Bytes in the store.
    pub stored_bytes: u64,
    /// When it was written.
    pub modified: OffsetDateTime,
}

/// The write-ahead log of one timeline of one cluster; clones share it.
#[derive(Debug, Clone)]
pub struct WalStore {
    store: Store,
    folder: Arc<str>,
    key: DataKey,
}

#[derive(Debug, Serialize, Deserialize)]
struct KeyDocument {
    format: u32,
    key: Wrapped,
}

impl Store {
    /// The log of a timeline, for writing: makes its key when there is none, and wraps it anew when the recipients have changed.
    ///
    /// # Errors
    /// [`StoreError::WrongKey`] if it belongs to another server; if the store does not answer.
    pub async fn ensure_wal(&self, system_id: &str, timeline: u32) -> Result<WalStore, StoreError> {
        let folder = folder(system_id, timeline)?;
        let path = format!("{folder}{KEY}");
        let key = match self.wal_key(&folder).await {
            Ok((key, wrapped)) => {
                if self.0.keys.is_author() && !self.0.keys.are_those_of(&wrapped) {
                    self.put_wal_key(&path, &key, Put::Replace).await?;
                }
                key
            }
            Err(StoreError::NotFound { .. }) if self.has_log(&folder).await? => {
                return Err(StoreError::corrupt(
                    path,
                    "it is missing, and without it no segment opens; bring it back, or give backup.store another place",
                ));
            }
            Err(StoreError::NotFound { .. }) => {
                let (key, _) = self.0.keys.wrap_new(&*self.0.rng)?;
                match self.put_wal_key(&path, &key, Put::Create).await {
                    Ok(()) => key,
                    Err(StoreError::Exists { .. }) => self.wal_key(&folder).await?.0,
                    Err(error) => return Err(error),
                }
            }
            Err(error) => return Err(error),
        };
        Ok(WalStore { store: self.clone(), folder: folder.into(), key })
    }

    /// The log of a timeline, for reading.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if there is none, [`StoreError::WrongKey`].
    pub async fn open_wal(&self, system_id: &str, timeline: u32) -> Result<WalStore, StoreError> {
        let folder = folder(system_id, timeline)?;
        let (key, _) = self.wal_key(&folder).await?;
        Ok(WalStore { store: self.clone(), folder: folder.into(), key })
    }

    /// Clusters and timelines of which there is log.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn list_timelines(&self) -> Result<Vec<(String, u32)>, StoreError> {
        let mut found = Vec::new();
        for blob in self.0.blobs.list("wal/").await? {
            let mut parts = blob.path.split('/').skip(1);
            let (Some(system_id), Some(timeline), Some(_)) = (parts.next(), parts.next(), parts.next())
            else {
                continue;
            };
            let Ok(timeline) = u32::from_str_radix(timeline, 16) else { continue };
            found.push((system_id.to_owned(), timeline));
        }
        found.dedup();
        Ok(found)
    }

    /// Whether backups of the cluster were begun in this store.
    pub(crate) async fn has_log_of(&self, system_id: &str) -> Result<bool, StoreError> {
        Ok(self.list_timelines().await?.iter().any(|(known, _)| known == system_id))
    }

    /// Whether segments lie there: a new key would open none of them.
    async fn has_log(&self, folder: &str) -> Result<bool, StoreError> {
        Ok(!self.0.blobs.list(folder).await?.is_empty())
    }

    async fn wal_key(&self, folder: &str) -> Result<(DataKey, Wrapped), StoreError> {
        let path = format!("{folder}{KEY}");
        let document = Document::read(&path, &self.0.blobs.get(&path, MAX_DOCUMENT).await?)?;
        let head: Head = document.peek()?;
        if head.format > FORMAT {
            return Err(StoreError::Version { what: path, found: head.format, known: FORMAT });
        }
        let KeyDocument { key: wrapped, .. } = document.peek()?;
        let key = self.0.keys.unwrap(&wrapped, &path)?;
        document.verify(&key)?;
        Ok((key, wrapped))
    }

    async fn put_wal_key(&self, path: &str, key: &DataKey, put: Put) -> Result<(), StoreError> {
        let wrapped = self.0.keys.wrap(key, &*self.0.rng)?;
        let bytes = document::write(path, &KeyDocument { format: FORMAT, key: wrapped }, key)?;
        self.put(path, bytes.into(), put).await
    }
}

impl WalStore {
    /// Writes a file, in the place of one of the same name. It is durable once this returns.
    ///
    /// # Errors
    /// [`StoreError::Full`], and what the store says; then nothing has changed.
    pub async fn put(&self, name: &str, content: Bytes) -> Result<(), StoreError> {
        require_file(name)?;
        if content.len() > MAX_SEGMENT {
            return Err(StoreError::Invalid(format!("{name} is larger than a segment can be")));
        }
        // A folder that is not mounted any more would take what nobody could open.
        if let Err(StoreError::NotFound { .. }) = self.store.0.blobs.get(&self.path(KEY), MAX_DOCUMENT).await
        {
            let why = "it is missing: is the store mounted, and the one that was here before?";
            return Err(StoreError::corrupt(self.path(KEY), why));
        }
        let mut salt = [0; SALT];
        self.store.0.rng.fill(&mut salt);
        let (key, folder, object) = (self.key.clone(), Arc::clone(&self.folder), name.to_owned());
        let seal = move || {
            let sealed = chunk::seal(&content, &place(&folder, &object), &key.cipher_of(&salt)?)?;
            Ok::<_, StoreError>([&salt[..], &sealed].concat())
        };
        let sealed = spawn_blocking(seal).await.map_err(|_| DIED)??;
        self.store.put(&self.path(name), sealed.into(), Put::Replace).await
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Corrupt`].
    pub async fn get(&self, name: &str) -> Result<Bytes, StoreError> {
        require_file(name)?;
        let path = self.path(name);
        let body = self.store.0.blobs.get(&path, MAX_STORED).await?;
        let (key, folder, object) = (self.key.clone(), Arc::clone(&self.folder), name.to_owned());
        let open = move || {
            let (salt, sealed) =
                body.split_at_checked(SALT).ok_or_else(|| StoreError::corrupt(&path, "it is too short"))?;
            let plain = chunk::open(sealed, &place(&folder, &object), &key.cipher_of(salt)?, MAX_SEGMENT);
            plain.map(Bytes::from).map_err(|why| StoreError::corrupt(&path, why))
        };
        spawn_blocking(open).await.map_err(|_| DIED)?
    }

    /// The files of the timeline, by name.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn list(&self) -> Result<Vec<WalFile>, StoreError> {
        let blobs = self.store.0.blobs.list(&self.folder).await?;
        let files = blobs.into_iter().filter_map(|blob| {
            let name = blob.path.strip_prefix(&*self.folder)?.to_owned();
            (name != KEY).then_some(WalFile { name, stored_bytes: blob.bytes, modified: blob.modified })
        });
        Ok(files.collect())
    }

    /// Removes a file; nothing happens if there is none.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn delete(&self, name: &str) -> Result<(), StoreError> {
        require_file(name)?;
        self.store.0.blobs.delete(&self.path(name)).await
    }

    /// The key of documents that belong to the timeline.
    pub(super) fn key(&self) -> &DataKey {
        &self.key
    }

    /// Where a file is in the store.
    pub(crate) fn path(&self, name: &str) -> String {
        format!("{}{name}", self.folder)
    }
}

fn require_file(name: &str) -> Result<(), StoreError> {
    match name {
        KEY => Err(StoreError::Invalid(format!("{KEY} is not a file of a write-ahead log"))),
        _ => require_name(name),
    }
}

fn place<'a>(folder: &'a str, object: &'a str) -> Place<'a> {
    Place { owner: folder, object, number: 0, index: 0, is_last: true }
}

fn folder(system_id: &str, timeline: u32) -> Result<String, StoreError> {
    let is_id = (1..=20).contains(&system_id.len()) && system_id.bytes().all(|byte| byte.is_ascii_digit());
    if is_id {
        Ok(format!("wal/{system_id}/{timeline:08X}/"))
    } else {
        Err(StoreError::Invalid(format!("\"{system_id}\" is not a system identifier of PostgreSQL")))
    }
}
