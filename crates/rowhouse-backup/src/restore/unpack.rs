//! Unpacks the archives of a backup into a data directory, and compares every file with PostgreSQL's own list of them.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use rowhouse_db::embedded::Account;
use rowhouse_kernel::SharedClock;
use rowhouse_module::CannotRun;
use serde::Deserialize;
use tokio::sync::mpsc;

use crate::base::{Details, FILES_OBJECT};
use crate::checksum::Crc32c;
use crate::error::StoreError;
use crate::progress::Progress;
use crate::store::BackupReader;
use crate::tar::{BadArchive, Entry, EntryKind, Reader, Sink};

/// Pieces between the reader of the store and the writer of files.
const QUEUE: usize = 4;
/// Not in the list: PostgreSQL makes them for the copy.
const UNLISTED: [&str; 2] = ["backup_label", "tablespace_map"];

/// Why a file cannot be unpacked.
#[derive(Debug, thiserror::Error)]
pub(super) enum UnpackError {
    #[error("{0}")]
    Archive(#[from] BadArchive),
    #[error("{path}: {error}")]
    Io { path: String, error: std::io::Error },
    #[error("{path} is not as it was when it was backed up: {why}; use another backup")]
    Differs { path: String, why: String },
    #[error("{0}")]
    Account(#[from] rowhouse_db::embedded::EmbeddedError),
}

/// Unpacks all archives into `data`, which must not exist.
pub(super) async fn unpack(
    reader: &BackupReader,
    details: &Details,
    data: &Path,
    account: &Account,
    clock: &SharedClock,
) -> Result<(), CannotRun> {
    let listed = listed(reader).await?;
    let mut progress = Progress::new("unpacked", Some(reader.manifest.bytes()), clock.clone());
    folder(data, account).map_err(failed)?;
    let mut spaces = Vec::new();
    for tablespace in &details.tablespaces {
        let target = data.with_file_name("tablespaces").join(tablespace.oid.to_string());
        let prefix = format!("pg_tblspc/{}/", tablespace.oid);
        spaces.push((tablespace.archive.as_str(), target, prefix));
    }
    let archives = std::iter::once(("base.tar", data.to_owned(), String::new())).chain(spaces);
    let mut left = listed;
    for (archive, target, prefix) in archives {
        let files = Files::new(target, prefix, account.clone(), left);
        left = unpack_one(reader, archive, files, &mut progress).await?;
    }
    for tablespace in &details.tablespaces {
        let target = data.with_file_name("tablespaces").join(tablespace.oid.to_string());
        let link = data.join("pg_tblspc").join(tablespace.oid.to_string());
        symlink(target, &link).map_err(|error| CannotRun::because(format!("{}: {error}", link.display())))?;
    }
    progress.end();
    match left.keys().next() {
        None => Ok(()),
        Some(path) => Err(CannotRun::because(format!("{path} is missing in the backup; use another backup"))),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "used as a function in map_err")]
fn failed(error: UnpackError) -> CannotRun {
    CannotRun::because(error.to_string())
}

async fn unpack_one(
    reader: &BackupReader,
    archive: &str,
    mut files: Files,
    progress: &mut Progress,
) -> Result<HashMap<String, Listed>, CannotRun> {
    let (sender, mut receiver) = mpsc::channel::<Bytes>(QUEUE);
    let writing = tokio::task::spawn_blocking(move || {
        folder(&files.root, &files.account)?;
        let mut tar = Reader::default();
        while let Some(bytes) = receiver.blocking_recv() {
            tar.push(&bytes, &mut files)?;
        }
        tar.finish()?;
        Ok::<_, UnpackError>(files.left)
    });
    let mut object = reader.object(archive)?;
    let mut read: Result<(), StoreError> = Ok(());
    loop {
        match object.next().await {
            Ok(Some(bytes)) => {
                progress.add(bytes.len() as u64);
                // The writer has failed: its error is the one to report.
                if sender.send(bytes).await.is_err() {
                    break;
                }
            }
            Ok(None) => break,
            Err(error) => {
                read = Err(error);
                break;
            }
        }
    }
    drop(sender);
    let left = writing.await.map_err(|error| CannotRun::because(error.to_string()))?;
    read?;
    left.map_err(failed)
}

/// What the list says of a file.
#[derive(Debug, Deserialize)]
struct Listed {
    #[serde(rename = "Path")]
    path: String,
    #[serde(rename = "Size")]
    size: u64,
    #[serde(rename = "Checksum")]
    checksum: String,
}

#[derive(Deserialize)]
struct List {
    #[serde(rename = "Files")]
    files: Vec<Listed>,
}

async fn listed(reader: &BackupReader) -> Result<HashMap<String, Listed>, CannotRun> {
    let mut object = reader.object(FILES_OBJECT)?;
    let mut text = Vec::new();
    while let Some(bytes) = object.next().await? {
        text.extend_from_slice(&bytes);
    }
    let list: List = serde_json::from_slice(&text)?;
    Ok(list.files.into_iter().map(|file| (file.path.clone(), file)).collect())
}

/// Files being written.
struct Files {
    root: PathBuf,
    /// In front of paths in the list.
    prefix: String,
    account: Account,
    /// Listed and not seen yet.
    left: HashMap<String, Listed>,
    current: Option<(String, File, Crc32c, u64)>,
}

impl Files {
    fn new(root: PathBuf, prefix: String, account: Account, left: HashMap<String, Listed>) -> Self {
        Self { root, prefix, account, left, current: None }
    }
}

fn folder(path: &Path, account: &Account) -> Result<(), UnpackError> {
    let failed = |error| UnpackError::Io { path: path.display().to_string(), error };
    // The account has to enter those above, too, such as `tablespaces`.
    if let Some(above) = path.parent().filter(|above| !above.exists()) {
        folder(above, account)?;
    }
    match std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path) {
        Ok(()) => {}
        Err(error) => return Err(failed(error)),
    }
    account.own(&File::open(path).map_err(failed)?, path)?;
    Ok(())
}

impl Sink for Files {
    type Error = UnpackError;

    fn begin(&mut self, entry: &Entry) -> Result<(), UnpackError> {
        let path = self.root.join(&entry.path);
        match entry.kind {
            EntryKind::Folder => folder(&path, &self.account),
            // Links of tablespaces are made anew, to where this copy has them.
            EntryKind::Link => Ok(()),
            EntryKind::File => {
                let failed = |error| UnpackError::Io { path: path.display().to_string(), error };
                let mut options = std::fs::OpenOptions::new();
                let file = options.write(true).create_new(true).mode(0o600).open(&path).map_err(failed)?;
                self.account.own(&file, &path)?;
                self.current = Some((format!("{}{}", self.prefix, entry.path), file, Crc32c::new(), 0));
                Ok(())
            }
        }
    }

    fn data(&mut self, bytes: &[u8]) -> Result<(), UnpackError> {
        let Some((path, file, sum, size)) = &mut self.current else { return Ok(()) };
        sum.push(bytes);
        *size += bytes.len() as u64;
        file.write_all(bytes).map_err(|error| UnpackError::Io { path: path.clone(), error })
    }

    fn end(&mut self) -> Result<(), UnpackError> {
        let Some((path, _file, sum, size)) = self.current.take() else { return Ok(()) };
        let differs = |why: String| Err(UnpackError::Differs { path: path.clone(), why });
        match self.left.remove(&path) {
            None if UNLISTED.contains(&path.as_str()) => Ok(()),
            None => differs("PostgreSQL's list of files does not have it".to_owned()),
            Some(listed) if listed.size != size => {
                differs(format!("{size} bytes instead of {}", listed.size))
            }
            Some(listed) if listed.checksum != sum.hex() => differs("its checksum is wrong".to_owned()),
            Some(_) => Ok(()),
        }
    }
}
