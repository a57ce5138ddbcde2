//! Writing a backup: objects in chunks, several at once, and the manifest when all are there.
//!
//! Leaves what the objects hold to whoever makes the backup.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::aead::LessSafeKey;
use aws_lc_rs::digest;
use bytes::{Bytes, BytesMut};
use data_encoding::HEXLOWER;
use serde_json::Value;
use time::OffsetDateTime;
use tokio::sync::oneshot;
use tokio::task::{JoinSet, spawn_blocking};

use super::{Store, chunk_path, manifest_path, require_name};
use crate::blob::Put;
use crate::chunk::{self, Place};
use crate::document;
use crate::error::StoreError;
use crate::key::{DataKey, Wrapped};
use crate::lsn::Lsn;
use crate::manifest::{BackupId, BackupKind, FORMAT, Manifest, ObjectEntry};

const DIED: StoreError = StoreError::Internal("a thread that compresses and encrypts died");

/// What is known when a backup begins.
#[derive(Debug, Clone)]
pub struct Start {
    /// What it will hold.
    pub kind: BackupKind,
    /// What somebody calls it; may be empty.
    pub label: String,
    /// PostgreSQL's `server_version`.
    pub postgres_version: String,
    /// The cluster's system identifier in digits; empty where the server does not tell.
    pub system_id: String,
    /// Bytes of a segment of write-ahead log; 0 for a dump.
    pub wal_segment_bytes: u64,
    /// How much will be written at most, as far as is known: it is refused if there is less room.
    pub expected_bytes: u64,
}

/// What is known when everything has been written.
#[derive(Debug, Clone, Default)]
pub struct Finish {
    /// Timeline on which it began.
    pub timeline: u32,
    /// First position of the write-ahead log that a restore needs.
    pub start_lsn: Option<Lsn>,
    /// Position from which on the restored cluster is consistent.
    pub stop_lsn: Option<Lsn>,
    /// When it was finished by the server's clock, with which times of transactions are compared; none: now, by this machine's.
    pub finished_at: Option<OffsetDateTime>,
    /// What is to be known at restoring.
    pub details: Value,
}

/// A backup that is being written. It counts only once [`BackupWriter::commit`] has returned; dropped before, it lists as
/// incomplete.
#[derive(Debug)]
pub struct BackupWriter(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    store: Store,
    id: BackupId,
    start: Start,
    started_at: OffsetDateTime,
    key: DataKey,
    wrapped: Wrapped,
    cipher: LessSafeKey,
    begun: AtomicU32,
    finished: Mutex<Vec<ObjectEntry>>,
}

impl Store {
    /// Begins a backup.
    ///
    /// # Errors
    /// [`StoreError::Full`] if there is less room than it needs; if the store does not answer.
    pub async fn begin_backup(&self, start: Start) -> Result<BackupWriter, StoreError> {
        self.require_room(start.expected_bytes).await?;
        let (rng, started_at) = (&*self.0.rng, self.now());
        let (key, wrapped) = self.0.keys.wrap_new(rng)?;
        let mut random = [0; 3];
        rng.fill(&mut random);
        Ok(BackupWriter(Arc::new(Shared {
            store: self.clone(),
            id: BackupId::at(started_at, random),
            start,
            started_at,
            cipher: key.cipher()?,
            key,
            wrapped,
            begun: AtomicU32::new(0),
            finished: Mutex::default(),
        })))
    }
}

impl BackupWriter {
    /// Its name.
    #[must_use]
    pub fn id(&self) -> &BackupId {
        &self.0.id
    }

    /// Begins an object. Several may be written at the same time; each has the memory of its chunks.
    ///
    /// # Errors
    /// If the name cannot be one.
    pub fn object(&self, name: &str) -> Result<ObjectWriter, StoreError> {
        require_name(name)?;
        let (before, hash) = oneshot::channel();
        let _receiver_is_alive = before.send(digest::Context::new(&digest::SHA256));
        let number = self.0.begun.fetch_add(1, Ordering::Relaxed);
        let entry = ObjectEntry {
            name: name.to_owned(),
            number,
            bytes: 0,
            stored_bytes: 0,
            chunks: 0,
            sha256: String::new(),
        };
        let (buffer, tasks) = (BytesMut::new(), JoinSet::new());
        Ok(ObjectWriter { shared: Arc::clone(&self.0), entry, buffer, hash, tasks })
    }

    /// Writes the manifest: from now on it is a backup.
    ///
    /// # Errors
    /// If an object was not finished or two have the same name; if the store does not answer.
    pub async fn commit(self, finish: Finish) -> Result<Manifest, StoreError> {
        let shared = &*self.0;
        let mut objects = std::mem::take(&mut *lock(&shared.finished));
        objects.sort_unstable_by_key(|object| object.number);
        let mut names: Vec<&str> = objects.iter().map(|object| object.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        if names.len() != shared.begun.load(Ordering::Relaxed) as usize {
            return Err(StoreError::Invalid("not every object of the backup was finished".to_owned()));
        }
        let (manifest, path) = (shared.manifest(objects, finish), manifest_path(&shared.id));
        let bytes = document::write(&path, &manifest, &shared.key)?;
        shared.store.put(&path, bytes.into(), Put::Replace).await?;
        Ok(manifest)
    }

    /// Removes what was written.
    ///
    /// # Errors
    /// If the store does not answer; then it lists as incomplete, and `prune` removes it.
    pub async fn abort(self) -> Result<(), StoreError> {
        self.0.store.delete(&self.0.id).await
    }
}

impl Shared {
    fn manifest(&self, objects: Vec<ObjectEntry>, finish: Finish) -> Manifest {
        let start = self.start.clone();
        Manifest {
            format: FORMAT,
            id: self.id.clone(),
            kind: start.kind,
            label: start.label,
            started_at: self.started_at,
            finished_at: finish.finished_at.unwrap_or_else(|| self.store.now()),
            rowhouse_version: env!("CARGO_PKG_VERSION").to_owned(),
            postgres_version: start.postgres_version,
            system_id: start.system_id,
            timeline: finish.timeline,
            start_lsn: finish.start_lsn,
            stop_lsn: finish.stop_lsn,
            wal_segment_bytes: start.wal_segment_bytes,
            chunk_bytes: self.store.0.limits.chunk_bytes as u64,
            key: self.wrapped.clone(),
            objects,
            details: finish.details,
        }
    }
}

/// An object that is being written. Dropped before [`ObjectWriter::finish`], it keeps the backup from being committed.
pub struct ObjectWriter {
    shared: Arc<Shared>,
    entry: ObjectEntry,
    buffer: BytesMut,
    /// The digest of what precedes the next chunk, once that has been computed.
    hash: oneshot::Receiver<digest::Context>,
    /// Chunks being compressed, encrypted and written; each returns its size in the store.
    tasks: JoinSet<Result<u64, StoreError>>,
}

impl ObjectWriter {
    /// Adds bytes. Returns while chunks are still being written; waits when there are as many as may be in memory.
    ///
    /// # Errors
    /// Those of chunks before: the backup cannot be finished.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let size = self.shared.store.0.limits.chunk_bytes;
        let mut rest = bytes;
        while !rest.is_empty() {
            // A full chunk waits for the next byte: only then it is known not to be the last.
            if self.buffer.len() == size {
                self.send(false).await?;
            }
            if self.buffer.is_empty() {
                self.buffer = BytesMut::with_capacity(size);
            }
            let (taken, left) = rest.split_at(rest.len().min(size - self.buffer.len()));
            self.buffer.extend_from_slice(taken);
            rest = left;
        }
        Ok(())
    }

    /// Writes what is left and returns when all of it is durable.
    ///
    /// # Errors
    /// If a chunk could not be written.
    pub async fn finish(mut self) -> Result<ObjectEntry, StoreError> {
        self.send(true).await?;
        while let Some(done) = self.tasks.join_next().await {
            self.entry.stored_bytes += done.map_err(|_| DIED)??;
        }
        let hash = self.hash.await.map_err(|_| DIED)?;
        self.entry.sha256 = HEXLOWER.encode(hash.finish().as_ref());
        lock(&self.shared.finished).push(self.entry.clone());
        Ok(self.entry)
    }

    async fn send(&mut self, is_last: bool) -> Result<(), StoreError> {
        while self.tasks.len() >= self.shared.store.0.limits.parallel_chunks {
            let Some(done) = self.tasks.join_next().await else { break };
            self.entry.stored_bytes += done.map_err(|_| DIED)??;
        }
        let plain = std::mem::take(&mut self.buffer).freeze();
        let index = self.entry.chunks;
        self.entry.chunks += 1;
        self.entry.bytes += plain.len() as u64;
        let (after, hash) = oneshot::channel();
        let before = std::mem::replace(&mut self.hash, hash);
        let (shared, name, number) = (Arc::clone(&self.shared), self.entry.name.clone(), self.entry.number);
        self.tasks.spawn(async move {
            let path = chunk_path(&shared.id, &name, index);
            let before = before.await.map_err(|_| DIED)?;
            let sealing = Arc::clone(&shared);
            let seal = move || sealing.seal(&plain, &name, number, index, is_last, (before, after));
            let sealed = spawn_blocking(seal).await.map_err(|_| DIED)??;
            let bytes = sealed.len() as u64;
            shared.store.put(&path, sealed.into(), Put::Replace).await?;
            Ok(bytes)
        });
        Ok(())
    }
}

impl Shared {
    /// Passes the digest on to the next chunk before the longer work begins.
    fn seal(
        &self,
        plain: &Bytes,
        object: &str,
        number: u32,
        index: u64,
        is_last: bool,
        (mut hash, after): (digest::Context, oneshot::Sender<digest::Context>),
    ) -> Result<Vec<u8>, StoreError> {
        hash.update(plain);
        let _writer_was_dropped = after.send(hash);
        let place = Place { owner: self.id.as_str(), object, number, index, is_last };
        chunk::seal(plain, &place, &self.cipher)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
