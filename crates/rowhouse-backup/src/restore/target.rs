//! How far to replay, and the WAL that this needs.

use std::fmt;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use bytes::Bytes;
use rowhouse_db::embedded::Account;
use rowhouse_db::replication::Lsn;
use rowhouse_kernel::SharedClock;
use rowhouse_module::CannotRun;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};

use crate::error::StoreError;
use crate::lsn::{parse_segment_name, segment_name};
use crate::manifest::Manifest;
use crate::progress::Progress;
use crate::store::{Point, Store, WalFile, WalStore};
use crate::wal::{join, parse_piece};

/// How often a segment is read whose pieces are being joined.
const READ_ATTEMPTS: u32 = 5;

/// Where replay ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// With the last WAL that is there.
    Latest,
    /// After the last transaction that was committed by then.
    Time(OffsetDateTime),
    /// At this position.
    Lsn(Lsn),
    /// At a named point.
    Point(Point),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latest => f.write_str("the end of the write-ahead log"),
            Self::Time(at) => write!(f, "the time {}", at.format(&Rfc3339).unwrap_or_default()),
            Self::Lsn(lsn) => write!(f, "the position {lsn}"),
            Self::Point(point) => write!(f, "the point {} ({})", point.name, point.lsn),
        }
    }
}

impl Target {
    /// PostgreSQL's settings for it.
    pub(super) fn settings(&self) -> Option<(&'static str, String)> {
        let form =
            format_description!("[year]-[month]-[day] [hour]:[minute]:[second].[subsecond digits:6]+00");
        match self {
            Self::Latest => None,
            Self::Time(at) => {
                let text = at.to_offset(UtcOffset::UTC).format(form).unwrap_or_default();
                Some(("recovery_target_time", text))
            }
            Self::Lsn(lsn) => Some(("recovery_target_lsn", lsn.to_string())),
            // By its name replay would end at the first point that anybody has called so.
            Self::Point(point) => Some(("recovery_target_lsn", point.lsn.to_string())),
        }
    }

    fn lsn(&self) -> Option<Lsn> {
        match self {
            Self::Lsn(lsn) => Some(*lsn),
            Self::Point(point) => Some(point.lsn),
            Self::Latest | Self::Time(_) => None,
        }
    }

    /// Whether a backup was consistent before the target.
    pub(super) fn require_after(&self, manifest: &Manifest) -> Result<(), CannotRun> {
        let is_after = match self {
            Self::Latest => true,
            Self::Time(at) => manifest.finished_at <= *at,
            Self::Lsn(_) | Self::Point(_) => self.lsn() >= manifest.stop_lsn,
        };
        if is_after { Ok(()) } else { Err(self.too_early(manifest)) }
    }

    /// The error for a target before the first backup.
    pub(super) fn too_early(&self, first: &Manifest) -> CannotRun {
        let finished = first.finished_at.format(&Rfc3339).unwrap_or_default();
        let stop = first.stop_lsn.map(|lsn| lsn.to_string()).unwrap_or_default();
        CannotRun::because(format!(
            "{self} is before the end of backup {}, which is at {finished} ({stop}); a backup restores to later points only",
            first.id
        ))
    }
}

/// A segment that is not whole yet.
struct Partial {
    wal: WalStore,
    segment: String,
}

impl Partial {
    /// As much of it as there is. A receiver at work may join the pieces meanwhile, or finish the segment: then it is read again.
    async fn read(&self) -> Result<Vec<u8>, StoreError> {
        let mut attempt = 1;
        loop {
            match self.read_once().await {
                Err(StoreError::NotFound { .. }) if attempt < READ_ATTEMPTS => attempt += 1,
                read => return read,
            }
        }
    }

    async fn read_once(&self) -> Result<Vec<u8>, StoreError> {
        let files = self.wal.list().await?;
        if files.iter().any(|file| file.name == self.segment) {
            return Ok(self.wal.get(&self.segment).await?.to_vec());
        }
        let mut pieces: Vec<(u64, Bytes)> = Vec::new();
        for file in &files {
            if let Some((_, from)) = parse_piece(&file.name).filter(|(of, _)| *of == self.segment) {
                pieces.push((from, self.wal.get(&file.name).await?));
            }
        }
        Ok(join(&pieces))
    }
}

/// The files of WAL between a backup and its target.
pub(super) struct Wal {
    segment_bytes: u64,
    /// Whole files.
    files: Vec<(WalStore, String)>,
    partial: Vec<Partial>,
    end: Option<Lsn>,
}

impl Wal {
    /// Fails if what the backup itself needs is not there.
    pub(super) async fn find(store: &Store, manifest: &Manifest, target: &Target) -> Result<Self, CannotRun> {
        let segment_bytes = manifest.wal_segment_bytes;
        let first = manifest.start_lsn.unwrap_or_default().segment(segment_bytes);
        let mut found = Self { segment_bytes, files: Vec::new(), partial: Vec::new(), end: None };
        let timelines = store.list_timelines().await?;
        let later = timelines
            .iter()
            .filter(|(system, timeline)| *system == manifest.system_id && *timeline >= manifest.timeline);
        for (_, timeline) in later {
            let wal = store.open_wal(&manifest.system_id, *timeline).await?;
            found.add(&wal, *timeline, first, target).await?;
        }
        found.require_backup(manifest)?;
        Ok(found)
    }

    /// For a time everything is taken: when a segment was stored says nothing about when it was written.
    async fn add(
        &mut self,
        wal: &WalStore,
        timeline: u32,
        first: u64,
        target: &Target,
    ) -> Result<(), StoreError> {
        let files = wal.list().await?;
        let whole =
            |file: &WalFile| parse_segment_name(&file.name, self.segment_bytes).map(|(_, number)| number);
        let mut next = None;
        for file in &files {
            if file.name.ends_with(".history") {
                self.files.push((wal.clone(), file.name.clone()));
            }
            let Some(number) = whole(file).filter(|number| *number >= first) else { continue };
            if is_beyond(target, number, self.segment_bytes) {
                break;
            }
            if let Some(missing) = next.filter(|next| *next != number) {
                let name = segment_name(timeline, missing, self.segment_bytes);
                return Err(gap(name));
            }
            self.files.push((wal.clone(), file.name.clone()));
            next = Some(number + 1);
            self.end = Some(Lsn((number + 1) * self.segment_bytes));
        }
        let segment = segment_name(timeline, next.unwrap_or(first), self.segment_bytes);
        let has_pieces =
            files.iter().filter_map(|file| parse_piece(&file.name)).any(|(of, _)| *of == segment);
        // What was received after a gap is in pieces of a later segment.
        let later = files.iter().filter_map(|file| parse_piece(&file.name)).any(|(of, _)| *of > *segment);
        if later && target.lsn().is_none() {
            return Err(gap(segment));
        }
        if has_pieces {
            self.partial.push(Partial { wal: wal.clone(), segment });
        }
        Ok(())
    }

    /// Every segment from the beginning to the end of the backup.
    fn require_backup(&self, manifest: &Manifest) -> Result<(), CannotRun> {
        let (start, stop) = (manifest.start_lsn.unwrap_or_default(), manifest.stop_lsn.unwrap_or_default());
        let last = Lsn(stop.0.saturating_sub(1)).segment(self.segment_bytes);
        for number in start.segment(self.segment_bytes)..=last {
            let name = segment_name(manifest.timeline, number, self.segment_bytes);
            if !self.files.iter().any(|(_, file)| *file == name) {
                return Err(CannotRun::because(format!(
                    "the write-ahead log of backup {} is not complete: {name} of cluster {} is missing; use another backup",
                    manifest.id, manifest.system_id
                )));
            }
        }
        Ok(())
    }

    /// What it takes on disk.
    pub(super) fn bytes(&self) -> u64 {
        (self.files.len() + self.partial.len()) as u64 * self.segment_bytes
    }

    /// The end of the whole segments.
    pub(super) fn end(&self) -> Option<Lsn> {
        self.end
    }

    /// Writes the files into a folder, for `restore_command`. A partial segment is filled with zeros, where replay ends.
    pub(super) async fn fetch(
        &self,
        folder: &Path,
        account: &Account,
        clock: &SharedClock,
    ) -> Result<(), CannotRun> {
        let mut progress = Progress::new("fetched write-ahead log,", Some(self.bytes()), clock.clone());
        let _of_a_former_attempt = std::fs::remove_dir_all(folder);
        account.own_folder(folder)?;
        for (wal, name) in &self.files {
            let bytes = wal.get(name).await?;
            progress.add(bytes.len() as u64);
            write(&folder.join(name), &bytes, account)?;
        }
        for partial in &self.partial {
            let mut bytes = partial.read().await?;
            bytes.resize(usize::try_from(self.segment_bytes).unwrap_or(usize::MAX), 0);
            progress.add(bytes.len() as u64);
            write(&folder.join(&partial.segment), &bytes, account)?;
        }
        progress.end();
        Ok(())
    }
}

fn gap(segment: String) -> StoreError {
    StoreError::corrupt(segment, "the write-ahead log has a gap here; restore to what is before it by --lsn")
}

fn is_beyond(target: &Target, number: u64, segment_bytes: u64) -> bool {
    target.lsn().is_some_and(|lsn| number > lsn.segment(segment_bytes))
}

fn write(path: &Path, bytes: &[u8], account: &Account) -> Result<(), CannotRun> {
    let failed = |error: std::io::Error| CannotRun::because(format!("{}: {error}", path.display()));
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    account.own(&file, path)?;
    Ok(())
}
