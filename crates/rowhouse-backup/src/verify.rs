//! Reading a store back: every byte authenticated, every object against its digest, the log without a gap.
//!
//! Leaves starting a restored cluster to a drill.

mod piece;

use std::collections::{BTreeMap, BTreeSet};

use piece::Pieces;
use serde::Serialize;
use serde_json::json;

use crate::coverage::{Coverage, branches, covered};
use crate::error::StoreError;
use crate::logical;
use crate::lsn::{parse_segment_name, segment_name};
use crate::manifest::{BackupId, BackupKind, Manifest, ObjectEntry};
use crate::store::{Condition, Deed, ObjectReader, Store, WalFile, WalStore};

/// Something that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Damage {
    /// Path in the store.
    pub object: String,
    /// The chunk, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chunk: Option<u64>,
    /// What is wrong.
    pub why: String,
}

/// One backup that was read.
#[derive(Debug, Serialize)]
pub struct Checked {
    /// Its name.
    pub id: BackupId,
    /// Whether all of it, and the log that it needs, is as it was written.
    pub good: bool,
    /// Bytes of its objects before compression.
    pub bytes: u64,
}

/// What was read, and what of it is damaged.
#[derive(Debug, Default, Serialize)]
pub struct Verification {
    /// The backups.
    pub backups: Vec<Checked>,
    /// Files of write-ahead log.
    pub wal_files: u64,
    /// Everything that is wrong.
    pub damage: Vec<Damage>,
    /// Backups that were never finished; they do not count as damage.
    pub incomplete: Vec<BackupId>,
    /// What the key does not open, with those for whom it is sealed: nobody knows whether it is good.
    pub closed: Vec<Closed>,
}

/// Something that another key opens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Closed {
    /// Path in the store.
    pub object: String,
    /// Public keys whose owners can open it.
    pub recipients: String,
}

impl Verification {
    /// Whether everything was read, and nothing is damaged.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.damage.is_empty() && self.closed.is_empty()
    }

    /// Whether there was no backup to read: of log alone nothing can be restored.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.backups.is_empty() && self.damage.is_empty() && self.closed.is_empty()
    }
}

/// One verification under way.
struct Verifier<'a> {
    store: &'a Store,
    found: Verification,
    /// Told of the bytes in the store that have been read.
    progress: &'a mut (dyn FnMut(u64) + Send),
}

impl Store {
    /// Reads one backup with its log, or everything, and records the result with each backup.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if there is no such backup, and if the store does not answer. Damage is no
    /// error: it is what was looked for.
    pub async fn verify(
        &self,
        only: Option<&BackupId>,
        progress: &mut (dyn FnMut(u64) + Send),
    ) -> Result<Verification, StoreError> {
        let mut verifier = Verifier { store: self, found: Verification::default(), progress };
        let listed = self.list().await?;
        if let Some(id) = only
            && !listed.iter().any(|listed| listed.id == *id)
        {
            return Err(StoreError::NotFound { what: format!("a backup {id}") });
        }
        // The log first: whether a backup is good depends on it.
        verifier
            .logs(only, &listed.iter().filter_map(|listed| listed.manifest()).collect::<Vec<_>>())
            .await?;
        for listed in listed.into_iter().filter(|listed| only.is_none_or(|id| *id == listed.id)) {
            match listed.condition {
                Condition::Good(manifest) => verifier.backup(&manifest).await?,
                Condition::Incomplete => verifier.found.incomplete.push(listed.id),
                Condition::Unreadable(error) => verifier.note(error)?,
            }
        }
        if only.is_none() {
            verifier.points().await?;
        }
        Ok(verifier.found)
    }

    /// How far the log in the store reaches from a backup on; `None` for a dump, which has none.
    pub(crate) async fn coverage(&self, manifest: &Manifest) -> Result<Option<Coverage>, StoreError> {
        let (Some(start), Some(stop)) = (manifest.start_lsn, manifest.stop_lsn) else { return Ok(None) };
        let bytes = manifest.wal_segment_bytes;
        let (mut present, mut histories) = (BTreeMap::new(), Vec::new());
        for (system_id, timeline) in self.list_timelines().await? {
            if system_id != manifest.system_id || timeline < manifest.timeline {
                continue;
            }
            let wal = self.open_wal(&system_id, timeline).await?;
            let files = wal.list().await?;
            let whole = |file: &WalFile| Some((parse_segment_name(&file.name, bytes)?, file.modified));
            present.extend(files.iter().filter_map(whole));
            let history = format!("{timeline:08X}.history");
            if files.iter().any(|file| file.name == history) {
                let text = wal.get(&history).await?;
                histories.push((timeline, String::from_utf8_lossy(&text).into_owned()));
            }
        }
        let branches = branches(manifest.timeline, stop, bytes, &histories);
        let names: BTreeSet<(u32, u64)> = present.keys().copied().collect();
        let mut coverage = covered((start.segment(bytes), stop.segment(bytes)), &branches, &names);
        coverage.stored_at = coverage.last.and_then(|last| present.get(&last).copied());
        Ok(Some(coverage))
    }
}

impl Verifier<'_> {
    /// Damage and what another key opens are noted; everything else ends the verification.
    fn note(&mut self, error: StoreError) -> Result<(), StoreError> {
        match error {
            StoreError::Corrupt { object, chunk, why } => {
                self.found.damage.push(Damage { object, chunk, why });
                Ok(())
            }
            StoreError::NotFound { what } => {
                self.found.damage.push(Damage { object: what, chunk: None, why: "it is missing".to_owned() });
                Ok(())
            }
            StoreError::NoPoint(name) => {
                let object = format!("the point {name}");
                self.found.damage.push(Damage { object, chunk: None, why: "it is missing".to_owned() });
                Ok(())
            }
            StoreError::WrongKey { what: object, recipients } => {
                self.found.closed.push(Closed { object, recipients });
                Ok(())
            }
            error => Err(error),
        }
    }

    async fn backup(&mut self, manifest: &Manifest) -> Result<(), StoreError> {
        let before = self.found.damage.len();
        let id = &manifest.id;
        for path in self.store.strangers(manifest).await? {
            self.note(StoreError::corrupt(path, "it does not belong to the backup"))?;
        }
        let reader = self.store.open_backup(id).await?;
        for entry in &manifest.objects {
            self.object(manifest, entry, reader.object(&entry.name)?).await?;
        }
        if let Err(error) = self.store.require_records(id).await {
            self.note(error)?;
        }
        self.log_of(manifest).await?;
        let (good, bytes) = (self.found.damage.len() == before, manifest.bytes());
        let damage = &self.found.damage[before..];
        if let Err(error) = self.store.record(id, Deed::Verified, good, json!({ "damage": damage })).await {
            tracing::warn!("the result is not kept with the backup: {error}");
        }
        self.found.backups.push(Checked { id: id.clone(), good, bytes });
        Ok(())
    }

    /// Reads an object to its end. pg_restore has to accept what is an archive of pg_dump, where it is installed.
    async fn object(
        &mut self,
        manifest: &Manifest,
        entry: &ObjectEntry,
        mut object: ObjectReader,
    ) -> Result<(), StoreError> {
        let is_archive = manifest.kind == BackupKind::Logical && entry.name == logical::ARCHIVE;
        let version = manifest.details["pg_dump"].as_u64().and_then(|version| u32::try_from(version).ok());
        let mut archive = version.filter(|_| is_archive).and_then(logical::lists);
        loop {
            match object.next().await {
                Ok(Some(bytes)) => {
                    (self.progress)(bytes.len() as u64);
                    if let Some(archive) = &mut archive {
                        // It reads the table of contents only, which comes first.
                        archive.feed(&bytes).await;
                    }
                }
                Ok(None) => break,
                Err(error) => return self.note(error),
            }
        }
        match archive {
            Some(archive) => match archive.end().await {
                Ok(()) => Ok(()),
                Err(why) => self.note(StoreError::corrupt(
                    format!("backups/{}/data/{}", manifest.id, entry.name),
                    why.to_string(),
                )),
            },
            None => Ok(()),
        }
    }

    /// The segments that the backup needs, and those after it.
    async fn log_of(&mut self, manifest: &Manifest) -> Result<(), StoreError> {
        let coverage = match self.store.coverage(manifest).await {
            Ok(Some(coverage)) => coverage,
            Ok(None) => return Ok(()),
            Err(error) => return self.note(error),
        };
        for (timeline, number) in coverage.missing {
            let name = segment_name(timeline, number, manifest.wal_segment_bytes);
            let path = format!("wal/{}/{timeline:08X}/{name}", manifest.system_id);
            self.note(StoreError::corrupt(path, format!("it is missing; backup {} needs it", manifest.id)))?;
        }
        Ok(())
    }

    /// Every file of every timeline, or those from a backup's start on.
    async fn logs(&mut self, only: Option<&BackupId>, manifests: &[&Manifest]) -> Result<(), StoreError> {
        let only = only.and_then(|id| manifests.iter().find(|manifest| manifest.id == *id)).copied();
        for (system_id, timeline) in self.store.list_timelines().await? {
            if only.is_some_and(|only| only.system_id != system_id || only.start_lsn.is_none()) {
                continue;
            }
            match self.store.open_wal(&system_id, timeline).await {
                Ok(wal) => self.log(&wal, only).await?,
                Err(error) => self.note(error)?,
            }
        }
        Ok(())
    }

    async fn log(&mut self, wal: &WalStore, only: Option<&Manifest>) -> Result<(), StoreError> {
        let first = only
            .and_then(|only| Some((only.start_lsn?.segment(only.wal_segment_bytes), only.wal_segment_bytes)));
        let (files, mut pieces) = (wal.list().await?, Pieces::default());
        for file in &files {
            let is_before = first.is_some_and(|(first, bytes)| {
                parse_segment_name(&file.name, bytes).is_some_and(|(_, number)| number < first)
            });
            if is_before {
                continue;
            }
            self.found.wal_files += 1;
            match wal.get(&file.name).await {
                Ok(content) => {
                    (self.progress)(file.stored_bytes);
                    pieces.add(&file.name, content.len() as u64);
                }
                // The receiver removes a partial segment once it is whole, and pieces that it has joined.
                Err(StoreError::NotFound { .. }) if file.name.ends_with(".partial") => {
                    pieces.removed(&file.name);
                }
                Err(error) => self.note(error)?,
            }
        }
        let is_whole = |segment: &String| files.iter().any(|file| file.name == *segment);
        for (segment, from) in pieces.gaps().filter(|(segment, _)| !is_whole(segment)) {
            self.note(StoreError::corrupt(
                wal.path(segment),
                format!("a piece of it is missing, from byte {from} on"),
            ))?;
        }
        Ok(())
    }

    async fn points(&mut self) -> Result<(), StoreError> {
        for name in self.store.list_points().await? {
            if let Err(error) = self.store.get_point(&name).await {
                self.note(error)?;
            }
        }
        Ok(())
    }
}
