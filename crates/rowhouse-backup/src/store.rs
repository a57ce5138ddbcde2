//! The store: backups, write-ahead log and named points, sealed for the server's key and the escrow keys.
//!
//! Layout: `backups/ID/manifest.json` and `backups/ID/data/OBJECT/CHUNK`, `wal/SYSTEM/TIMELINE/SEGMENT`, `points/NAME.json`.
//! Leaves what is stored to those who make and restore backups.

mod point;
mod read;
mod record;
mod server_key;
mod wal;
mod write;

use std::sync::Arc;

use bytes::Bytes;
use rowhouse_kernel::{SharedClock, SharedRng};
use rowhouse_module::Project;
use time::OffsetDateTime;

use crate::age::Identity;
use crate::blob::{Blob, Blobs, Bucket, Disk, Put};
use crate::document::{Document, MAX_DOCUMENT};
use crate::error::StoreError;
use crate::key::{DataKey, Keys};
use crate::manifest::{BackupId, FORMAT, Manifest};
use crate::settings::BackupSettings;

pub use point::Point;
pub use read::{BackupReader, ObjectReader};
pub use record::{BackupState, Deed, Record};
pub use server_key::{ensure_server_key, find_server_key};
pub use wal::{WalFile, WalStore};
pub use write::{BackupWriter, Finish, ObjectWriter, Start};

/// What makes a backup one.
const MANIFEST: &str = "manifest.json";

/// A store; clones share it.
#[derive(Debug, Clone)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    blobs: Box<dyn Blobs>,
    keys: Keys,
    clock: SharedClock,
    rng: SharedRng,
    limits: Limits,
}

/// How much is in memory and on disk at most.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Bytes of a chunk before compression.
    pub(crate) chunk_bytes: usize,
    /// Chunks of an object in memory at once.
    pub(crate) parallel_chunks: usize,
    /// Bytes that must stay free.
    pub(crate) min_free_bytes: u64,
}

/// One backup of a listing.
#[derive(Debug)]
pub struct Listed {
    /// Its name.
    pub id: BackupId,
    /// Whether it is one.
    pub condition: Condition,
    /// Bytes in the store.
    pub stored_bytes: u64,
    /// When something of it was last written.
    pub modified: OffsetDateTime,
    /// When it was last verified and drilled.
    pub state: BackupState,
}

/// Whether a folder of backups is a backup.
#[derive(Debug)]
pub enum Condition {
    /// It has a manifest, which the key has written.
    Good(Box<Manifest>),
    /// It has none: it is being made, or was never finished.
    Incomplete,
    /// It has one that cannot be used.
    Unreadable(StoreError),
}

impl Condition {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Good(_) => "good",
            Self::Incomplete => "incomplete",
            Self::Unreadable(StoreError::WrongKey { .. }) => "wrong_key",
            Self::Unreadable(_) => "damaged",
        }
    }
}

impl Listed {
    /// Whether its last verification found damage.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        self.state.verified.as_ref().is_some_and(|record| !record.good)
    }

    /// The manifest of a good backup.
    #[must_use]
    pub fn manifest(&self) -> Option<&Manifest> {
        match &self.condition {
            Condition::Good(manifest) => Some(manifest),
            _ => None,
        }
    }
}

impl Store {
    /// The store of the settings, opened with another key, such as the escrow key.
    ///
    /// # Errors
    /// If the settings name no store.
    pub fn open_with(
        settings: &BackupSettings,
        project: &Project,
        identity: Identity,
        clock: SharedClock,
        rng: SharedRng,
    ) -> Result<Self, StoreError> {
        let own = find_server_key(settings, project)?;
        let is_author = own.is_some_and(|own| own.recipient() == identity.recipient());
        let keys = Keys::new(identity, &settings.recipients(), is_author);
        let limits = Limits {
            chunk_bytes: usize::try_from(settings.chunk_bytes).unwrap_or(usize::MAX),
            parallel_chunks: usize::try_from(settings.parallel_chunks).unwrap_or(1),
            min_free_bytes: settings.min_free_bytes,
        };
        let blobs: Box<dyn Blobs> = match settings.bucket() {
            Some(_) => Box::new(Bucket::new(settings, Arc::clone(&clock))?),
            None => Box::new(Disk::new(&settings.folder(project.root()))),
        };
        Ok(Self(Arc::new(Inner { blobs, keys, clock, rng, limits })))
    }

    /// Where it is, for people.
    #[must_use]
    pub fn place(&self) -> String {
        self.0.blobs.place()
    }

    /// The time, as everything that is written has it: to the millisecond.
    pub(crate) fn now(&self) -> OffsetDateTime {
        let now = self.0.clock.now();
        now.replace_millisecond(now.millisecond()).unwrap_or(now)
    }

    /// Everything that is or was to become a backup, the oldest first.
    ///
    /// # Errors
    /// If the store does not answer. A backup that cannot be read is listed as such.
    pub async fn list(&self) -> Result<Vec<Listed>, StoreError> {
        let mut listed: Vec<Listed> = Vec::new();
        for blob in self.0.blobs.list("backups/").await? {
            let Some(id) = owner(&blob) else { continue };
            match listed.last_mut().filter(|last| last.id == id) {
                Some(last) => {
                    last.stored_bytes += blob.bytes;
                    last.modified = last.modified.max(blob.modified);
                }
                None => {
                    let (condition, state) = (self.condition(&id).await?, BackupState::default());
                    let (stored_bytes, modified) = (blob.bytes, blob.modified);
                    listed.push(Listed { id, condition, stored_bytes, modified, state });
                }
            }
        }
        for listed in &mut listed {
            if matches!(listed.condition, Condition::Good(_)) {
                listed.state = self.state(&listed.id).await?;
            }
        }
        Ok(listed)
    }

    /// The manifest of a backup, authenticated, and its data key.
    pub(crate) async fn manifest(&self, id: &BackupId) -> Result<(Manifest, DataKey), StoreError> {
        let path = manifest_path(id);
        let bytes = match self.0.blobs.get(&path, MAX_DOCUMENT).await {
            Err(StoreError::NotFound { .. }) => {
                return Err(StoreError::NotFound { what: format!("a backup {id}") });
            }
            bytes => bytes?,
        };
        let document = Document::read(&path, &bytes)?;
        let head: Head = document.peek()?;
        if head.format > FORMAT {
            return Err(StoreError::Version { what: path, found: head.format, known: FORMAT });
        }
        let manifest: Manifest = document.peek()?;
        let key = self.0.keys.unwrap(&manifest.key, &path)?;
        document.verify(&key)?;
        if manifest.id != *id {
            return Err(StoreError::corrupt(path, format!("it is the manifest of {}", manifest.id)));
        }
        Ok((manifest, key))
    }

    /// Objects in a backup's folder that its manifest does not name.
    pub(crate) async fn strangers(&self, manifest: &Manifest) -> Result<Vec<String>, StoreError> {
        let id = &manifest.id;
        let is_known = |path: &str| {
            let Some(rest) = path.strip_prefix(&format!("backups/{id}/")) else { return false };
            if rest == MANIFEST || Deed::ALL.iter().any(|deed| rest == deed.file()) {
                return true;
            }
            let Some((object, index)) = rest.strip_prefix("data/").and_then(|rest| rest.split_once('/'))
            else {
                return false;
            };
            let entry = manifest.objects.iter().find(|entry| entry.name == object);
            let index: Option<u64> = index.parse().ok();
            entry
                .zip(index)
                .is_some_and(|(entry, index)| index < entry.chunks && path == chunk_path(id, object, index))
        };
        let blobs = self.0.blobs.list(&format!("backups/{id}/")).await?;
        Ok(blobs.into_iter().map(|blob| blob.path).filter(|path| !is_known(path)).collect())
    }

    /// Removes a backup: its manifest first, so that what is left of it never counts as one.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn delete(&self, id: &BackupId) -> Result<(), StoreError> {
        self.0.blobs.delete(&manifest_path(id)).await?;
        for blob in self.0.blobs.list(&format!("backups/{id}/")).await? {
            self.0.blobs.delete(&blob.path).await?;
        }
        Ok(())
    }

    /// Removes what writers that died have left under names that do not count, if it is older than the time; how many there were.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn remove_leftovers(&self, older_than: OffsetDateTime) -> Result<u64, StoreError> {
        self.0.blobs.tidy(older_than).await
    }

    /// Whether there is room for this many bytes more beside the reserve.
    ///
    /// # Errors
    /// [`StoreError::Full`] if there is not.
    pub async fn require_room(&self, bytes: u64) -> Result<(), StoreError> {
        let needed = self.0.limits.min_free_bytes.saturating_add(bytes);
        match self.0.blobs.free().await? {
            Some(free) if free < needed => Err(StoreError::Full { place: self.place(), free, needed }),
            _ => Ok(()),
        }
    }

    /// Writes an object unless the disk would fall below its reserve.
    async fn put(&self, path: &str, body: Bytes, put: Put) -> Result<(), StoreError> {
        self.require_room(body.len() as u64).await?;
        self.0.blobs.put(path, body, put).await
    }

    async fn condition(&self, id: &BackupId) -> Result<Condition, StoreError> {
        match self.manifest(id).await {
            Ok((manifest, _)) => Ok(Condition::Good(Box::new(manifest))),
            Err(StoreError::NotFound { .. }) => Ok(Condition::Incomplete),
            Err(
                error @ (StoreError::Corrupt { .. }
                | StoreError::WrongKey { .. }
                | StoreError::Version { .. }),
            ) => Ok(Condition::Unreadable(error)),
            Err(error) => Err(error),
        }
    }
}

/// What is read of a document before its layout is known.
#[derive(serde::Deserialize)]
struct Head {
    format: u32,
}

fn manifest_path(id: &BackupId) -> String {
    format!("backups/{id}/{MANIFEST}")
}

/// The path of a chunk.
fn chunk_path(id: &BackupId, object: &str, index: u64) -> String {
    format!("backups/{id}/data/{object}/{index:08}")
}

/// The backup to which an object belongs.
fn owner(blob: &Blob) -> Option<BackupId> {
    BackupId::parse(blob.path.strip_prefix("backups/")?.split_once('/')?.0)
}

/// Names of objects, points and segments, which become parts of paths.
fn require_name(name: &str) -> Result<(), StoreError> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if (1..=64).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(is_plain) {
        Ok(())
    } else {
        Err(StoreError::Invalid(format!(
            "\"{name}\" is not a name: expected 1 to 64 letters, digits, `.`, `_` or `-`, the first no dot"
        )))
    }
}
