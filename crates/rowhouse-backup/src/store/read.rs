//! Reading a backup: chunks ahead of whoever reads, each authenticated, and the whole against its digest at the end.

use std::collections::VecDeque;
use std::sync::Arc;

use aws_lc_rs::aead::LessSafeKey;
use aws_lc_rs::digest;
use bytes::Bytes;
use data_encoding::HEXLOWER;
use tokio::task::{JoinHandle, spawn_blocking};

use super::{Store, chunk_path};
use crate::chunk::{self, Place};
use crate::document::is_same;
use crate::error::StoreError;
use crate::manifest::{BackupId, Manifest, ObjectEntry};
use crate::settings::LARGEST_CHUNK;

const DIED: StoreError = StoreError::Internal("a thread that decrypts and decompresses died");

/// A backup that is being read.
#[derive(Debug)]
pub struct BackupReader {
    /// What it says of itself, authenticated.
    pub manifest: Manifest,
    store: Store,
    cipher: Arc<LessSafeKey>,
}

impl Store {
    /// Opens a backup.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::WrongKey`], and whatever is wrong with its manifest.
    pub async fn open_backup(&self, id: &BackupId) -> Result<BackupReader, StoreError> {
        let (manifest, key) = self.manifest(id).await?;
        Ok(BackupReader { manifest, store: self.clone(), cipher: Arc::new(key.cipher()?) })
    }
}

impl BackupReader {
    /// Begins to read an object.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if the backup has none of this name.
    pub fn object(&self, name: &str) -> Result<ObjectReader, StoreError> {
        let entry = self.manifest.objects.iter().find(|entry| entry.name == name);
        let missing = || StoreError::NotFound { what: format!("{name} of backup {}", self.manifest.id) };
        let limit = usize::try_from(self.manifest.chunk_bytes.min(LARGEST_CHUNK)).unwrap_or_default();
        Ok(ObjectReader {
            entry: entry.cloned().ok_or_else(missing)?,
            id: self.manifest.id.clone(),
            store: self.store.clone(),
            cipher: Arc::clone(&self.cipher),
            limit,
            ahead: VecDeque::new(),
            asked: 0,
            bytes: 0,
            hash: Some(digest::Context::new(&digest::SHA256)),
        })
    }
}

/// An object that is being read.
pub struct ObjectReader {
    entry: ObjectEntry,
    id: BackupId,
    store: Store,
    cipher: Arc<LessSafeKey>,
    /// The most that a chunk can hold.
    limit: usize,
    /// Chunks that are on their way, in order.
    ahead: VecDeque<JoinHandle<Result<Bytes, StoreError>>>,
    /// How many chunks have been asked for.
    asked: u64,
    bytes: u64,
    /// None once the digest has been compared.
    hash: Option<digest::Context>,
}

impl ObjectReader {
    /// The next bytes; `None` once the whole was read and is what was written. Do not trust what was read before that.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] with the chunk, or what the store says.
    pub async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        while self.ahead.len() < self.store.0.limits.parallel_chunks && self.asked < self.entry.chunks {
            let handle = self.fetch(self.asked);
            self.ahead.push_back(handle);
            self.asked += 1;
        }
        let Some(chunk) = self.ahead.pop_front() else { return self.end().map(|()| None) };
        let plain = chunk.await.map_err(|_| DIED)??;
        self.bytes += plain.len() as u64;
        if let Some(mut hash) = self.hash.take() {
            let hashed = plain.clone();
            let update = spawn_blocking(move || {
                hash.update(&hashed);
                hash
            });
            self.hash = Some(update.await.map_err(|_| DIED)?);
        }
        Ok(Some(plain))
    }

    fn fetch(&self, index: u64) -> JoinHandle<Result<Bytes, StoreError>> {
        let (store, cipher, limit) = (self.store.clone(), Arc::clone(&self.cipher), self.limit);
        let (id, entry) = (self.id.clone(), self.entry.clone());
        tokio::spawn(async move {
            let path = chunk_path(&id, &entry.name, index);
            let damaged = |why: &str| StoreError::Corrupt {
                object: format!("backups/{id}/data/{}", entry.name),
                chunk: Some(index),
                why: why.to_owned(),
            };
            let sealed = match store.0.blobs.get(&path, chunk::most_sealed(limit)).await {
                Err(StoreError::NotFound { .. }) => return Err(damaged("it is missing")),
                sealed => sealed?,
            };
            let (owner, object, is_last) = (id.clone(), entry.name.clone(), index + 1 == entry.chunks);
            let open = move || {
                let place =
                    Place { owner: owner.as_str(), object: &object, number: entry.number, index, is_last };
                chunk::open(&sealed, &place, &cipher, limit)
            };
            let opened = spawn_blocking(open).await.map_err(|_| DIED)?;
            opened.map(Bytes::from).map_err(damaged)
        })
    }

    /// Compares the whole with the manifest.
    fn end(&mut self) -> Result<(), StoreError> {
        let Some(hash) = self.hash.take() else { return Ok(()) };
        let sum = HEXLOWER.encode(hash.finish().as_ref());
        if self.bytes == self.entry.bytes && is_same(sum.as_bytes(), self.entry.sha256.as_bytes()) {
            return Ok(());
        }
        let object = format!("backups/{}/data/{}", self.id, self.entry.name);
        Err(StoreError::corrupt(object, "its size or digest is not that of the manifest"))
    }
}

impl Drop for ObjectReader {
    fn drop(&mut self) {
        self.ahead.iter().for_each(JoinHandle::abort);
    }
}
