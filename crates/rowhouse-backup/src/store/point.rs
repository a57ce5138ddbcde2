//! Names for positions in the write-ahead log, to which a cluster can be restored.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{Store, require_name};
use crate::blob::Put;
use crate::document::{self, Document, MAX_DOCUMENT};
use crate::error::StoreError;
use crate::lsn::Lsn;

/// A named position.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    /// Its name: letters, digits, `.`, `_` and `-`.
    pub name: String,
    /// The cluster's system identifier.
    pub system_id: String,
    /// Timeline of the position.
    pub timeline: u32,
    /// The position.
    pub lsn: Lsn,
    /// When it was named.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
}

impl Store {
    /// Names a position.
    ///
    /// # Errors
    /// [`StoreError::Exists`] if the name is taken; if the store does not answer.
    pub async fn put_point(&self, point: &Point) -> Result<(), StoreError> {
        require_name(&point.name)?;
        let wal = self.ensure_wal(&point.system_id, point.timeline).await?;
        let path = path(&point.name);
        let bytes = document::write(&path, point, wal.key())?;
        match self.put(&path, bytes.into(), Put::Create).await {
            Err(StoreError::Exists { .. }) => {
                Err(StoreError::Exists { what: format!("the point {}", point.name) })
            }
            written => written,
        }
    }

    /// Finds a position by its name.
    ///
    /// # Errors
    /// [`StoreError::NoPoint`], [`StoreError::Corrupt`], [`StoreError::WrongKey`].
    pub async fn get_point(&self, name: &str) -> Result<Point, StoreError> {
        require_name(name)?;
        let path = path(name);
        let bytes = match self.0.blobs.get(&path, MAX_DOCUMENT).await {
            Err(StoreError::NotFound { .. }) => return Err(StoreError::NoPoint(name.to_owned())),
            bytes => bytes?,
        };
        let document = Document::read(&path, &bytes)?;
        let point: Point = document.peek()?;
        let wal = self.open_wal(&point.system_id, point.timeline).await?;
        document.verify(wal.key())?;
        Ok(point)
    }

    /// The names of all points, in order.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn list_points(&self) -> Result<Vec<String>, StoreError> {
        let blobs = self.0.blobs.list("points/").await?;
        let name = |path: &str| Some(path.strip_prefix("points/")?.strip_suffix(".json")?.to_owned());
        Ok(blobs.iter().filter_map(|blob| name(&blob.path)).collect())
    }

    /// Forgets a name; nothing happens if there is none.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn delete_point(&self, name: &str) -> Result<(), StoreError> {
        require_name(name)?;
        self.0.blobs.delete(&path(name)).await
    }
}

fn path(name: &str) -> String {
    format!("points/{name}.json")
}
