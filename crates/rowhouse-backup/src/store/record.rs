//! What has been done with a backup since: verified, restored in a drill. One document each, so that neither overwrites the other.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;

use super::Store;
use crate::blob::Put;
use crate::document::{self, Document, MAX_DOCUMENT};
use crate::error::StoreError;
use crate::key::DataKey;
use crate::manifest::BackupId;

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// Everything was read back and compared.
    Verified,
    /// It was restored, started and tested.
    Drilled,
}

impl Deed {
    /// Each.
    pub(crate) const ALL: [Self; 2] = [Self::Verified, Self::Drilled];

    pub(crate) fn file(self) -> &'static str {
        match self {
            Self::Verified => "verified.json",
            Self::Drilled => "drilled.json",
        }
    }
}

/// When it was done, and with what result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// Whether it went well.
    pub good: bool,
    /// When it last went well, whatever came of it since.
    #[serde(with = "time::serde::rfc3339::option", default)]
    pub last_good_at: Option<OffsetDateTime>,
    /// What whoever did it wants to keep.
    pub details: Value,
}

/// The last time of each.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BackupState {
    /// The last verification.
    pub verified: Option<Record>,
    /// The last drill.
    pub drilled: Option<Record>,
}

impl Store {
    /// Records what was done with a backup, now.
    ///
    /// # Errors
    /// If there is no such backup, or the store does not answer.
    pub async fn record(
        &self,
        id: &BackupId,
        deed: Deed,
        good: bool,
        details: Value,
    ) -> Result<(), StoreError> {
        let (_, key) = self.manifest(id).await?;
        let former = self.undamaged(id, deed, &key).await?;
        let at = self.now();
        let last_good_at = if good { Some(at) } else { former.and_then(|former| former.last_good_at) };
        let (path, record) = (path(id, deed), Record { at, good, last_good_at, details });
        let bytes = document::write(&path, &record, &key)?;
        self.put(&path, bytes.into(), Put::Replace).await
    }

    /// What was last done with a backup. A damaged record counts as none: `verify` names it.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn state(&self, id: &BackupId) -> Result<BackupState, StoreError> {
        let (_, key) = self.manifest(id).await?;
        Ok(BackupState {
            verified: self.undamaged(id, Deed::Verified, &key).await?,
            drilled: self.undamaged(id, Deed::Drilled, &key).await?,
        })
    }

    async fn undamaged(
        &self,
        id: &BackupId,
        deed: Deed,
        key: &DataKey,
    ) -> Result<Option<Record>, StoreError> {
        match self.read_record(id, deed, key).await {
            Err(StoreError::Corrupt { .. }) => Ok(None),
            found => found,
        }
    }

    /// Fails if a record is there and damaged.
    pub(crate) async fn require_records(&self, id: &BackupId) -> Result<(), StoreError> {
        let (_, key) = self.manifest(id).await?;
        for deed in Deed::ALL {
            self.read_record(id, deed, &key).await?;
        }
        Ok(())
    }

    async fn read_record(
        &self,
        id: &BackupId,
        deed: Deed,
        key: &DataKey,
    ) -> Result<Option<Record>, StoreError> {
        let path = path(id, deed);
        let bytes = match self.0.blobs.get(&path, MAX_DOCUMENT).await {
            Err(StoreError::NotFound { .. }) => return Ok(None),
            bytes => bytes?,
        };
        let document = Document::read(&path, &bytes)?;
        document.verify(key)?;
        document.peek().map(Some)
    }
}

fn path(id: &BackupId, deed: Deed) -> String {
    format!("backups/{id}/{}", deed.file())
}
