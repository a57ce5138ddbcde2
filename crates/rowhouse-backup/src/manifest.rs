//! What a backup says of itself. Leaves how it is written and authenticated to `document`.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;

use crate::key::Wrapped;
use crate::lsn::Lsn;

/// The newest layout that this release reads, and the one that it writes.
pub(crate) const FORMAT: u32 = 1;

/// Name of a backup: the time when it began and a few random digits; sorts by time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BackupId(String);

impl BackupId {
    /// Reads a name; none for what cannot be one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        ((1..=64).contains(&text.len()) && text.bytes().all(is_plain)).then(|| Self(text.to_owned()))
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Of a backup that begins at a time.
    pub(crate) fn at(time: OffsetDateTime, random: [u8; 3]) -> Self {
        let (date, clock) = (time.date(), time.time());
        let [a, b, c] = random;
        Self(format!(
            "{:04}{:02}{:02}T{:02}{:02}{:02}Z-{a:02x}{b:02x}{c:02x}",
            date.year(),
            u8::from(date.month()),
            date.day(),
            clock.hour(),
            clock.minute(),
            clock.second()
        ))
    }
}

impl fmt::Display for BackupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a backup holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BackupKind {
    /// The files of a cluster; with write-ahead log it restores to any later point.
    Physical,
    /// A dump of one database; restores to the moment when it began.
    Logical,
}

impl BackupKind {
    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Physical => "physical",
            Self::Logical => "logical",
        }
    }
}

/// One object of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectEntry {
    /// Its name: letters, digits, `.`, `_` and `-`.
    pub name: String,
    /// Its number, part of the nonces of its chunks.
    pub number: u32,
    /// Bytes before compression.
    pub bytes: u64,
    /// Bytes in the store.
    pub stored_bytes: u64,
    /// How many chunks it has.
    pub chunks: u64,
    /// SHA-256 before compression, in hexadecimal digits.
    pub sha256: String,
}

/// A whole backup.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The layout.
    pub format: u32,
    /// Its name.
    pub id: BackupId,
    /// What it holds.
    pub kind: BackupKind,
    /// What somebody has called it; may be empty.
    pub label: String,
    /// When it began.
    #[serde(with = "time::serde::rfc3339")]
    pub started_at: OffsetDateTime,
    /// When everything was written.
    #[serde(with = "time::serde::rfc3339")]
    pub finished_at: OffsetDateTime,
    /// The release that wrote it.
    pub rowhouse_version: String,
    /// PostgreSQL's `server_version`.
    pub postgres_version: String,
    /// The cluster's system identifier; empty where the server does not tell.
    pub system_id: String,
    /// Timeline on which it began; 0 for a dump.
    pub timeline: u32,
    /// First position of the write-ahead log that a restore needs.
    pub start_lsn: Option<Lsn>,
    /// Position from which on the restored cluster is consistent.
    pub stop_lsn: Option<Lsn>,
    /// Bytes of a segment of write-ahead log.
    pub wal_segment_bytes: u64,
    /// The most that a chunk holds before compression.
    pub chunk_bytes: u64,
    /// The data key.
    pub(crate) key: Wrapped,
    /// Its objects, by number.
    pub objects: Vec<ObjectEntry>,
    /// What whoever made it wants to know when it is restored.
    pub details: Value,
}

impl Manifest {
    /// Bytes before compression.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.objects.iter().map(|object| object.bytes).sum()
    }

    /// The database of a dump; none of a physical backup, which has all of its cluster.
    #[must_use]
    pub fn dumped(&self) -> Option<&str> {
        match self.kind {
            BackupKind::Physical => None,
            BackupKind::Logical => Some(self.details["database"].as_str().unwrap_or_default()),
        }
    }

    /// The public keys whose owners can open it.
    #[must_use]
    pub fn recipients(&self) -> &[String] {
        &self.key.recipients
    }
}
