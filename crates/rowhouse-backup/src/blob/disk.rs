//! A folder as a store. Files are written aside, made durable and renamed; modes let only the owner read.
//!
//! Leaves how much space must stay free to `store`.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use time::OffsetDateTime;

use super::{Blob, BlobFuture, Blobs, Put, TOO_LARGE};
use crate::error::StoreError;

/// The beginning of names of files that are being written.
const ASIDE: &str = ".new-";
/// Deepest folder that is read; the layout has four levels.
const MAX_DEPTH: usize = 8;

/// A folder.
#[derive(Debug)]
pub(crate) struct Disk {
    root: PathBuf,
    /// Tells files apart that this process writes at the same time.
    written: Arc<AtomicU64>,
}

impl Disk {
    /// The folder need not exist yet.
    pub(crate) fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), written: Arc::default() }
    }

    /// Runs file work off the async threads.
    fn off<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Path) -> Result<T, StoreError> + Send + 'static,
    ) -> BlobFuture<'static, T> {
        let root = self.root.clone();
        Box::pin(async move {
            let done = tokio::task::spawn_blocking(move || work(&root)).await;
            done.unwrap_or(Err(StoreError::Internal("a thread that reads and writes files died")))
        })
    }
}

impl Blobs for Disk {
    fn place(&self) -> String {
        self.root.display().to_string()
    }

    fn put<'a>(&'a self, path: &'a str, body: Bytes, put: Put) -> BlobFuture<'a, ()> {
        let (path, number) = (path.to_owned(), self.written.fetch_add(1, Ordering::Relaxed));
        self.off(move |root| {
            let target = inside(root, &path)?;
            let folder = target.parent().unwrap_or(root).to_owned();
            let aside = folder.join(format!("{ASIDE}{}-{number}", std::process::id()));
            let written = write(&folder, &aside, &body).and_then(|()| place(&aside, &target, put));
            if let Err(error) = written {
                let _nothing_left_to_do = fs::remove_file(&aside);
                return Err(failed(root, &target, body.len(), error));
            }
            Ok(())
        })
    }

    fn get<'a>(&'a self, path: &'a str, most: u64) -> BlobFuture<'a, Bytes> {
        let path = path.to_owned();
        self.off(move |root| {
            let file = inside(root, &path)?;
            match read(&file, most) {
                Ok(Some(bytes)) => Ok(Bytes::from(bytes)),
                Ok(None) => Err(StoreError::corrupt(path, TOO_LARGE)),
                Err(error) if error.kind() == ErrorKind::NotFound => Err(StoreError::NotFound { what: path }),
                Err(error) => Err(StoreError::io(&file, error)),
            }
        })
    }

    fn list<'a>(&'a self, prefix: &'a str) -> BlobFuture<'a, Vec<Blob>> {
        let prefix = prefix.trim_end_matches('/').to_owned();
        self.off(move |root| {
            let mut found = Vec::new();
            let folder = if prefix.is_empty() { root.to_owned() } else { inside(root, &prefix)? };
            walk(&folder, 0, &mut |path, metadata| {
                let is_aside = name(path).is_some_and(|name| name.starts_with(ASIDE));
                if let (false, Ok(relative)) = (is_aside, path.strip_prefix(root)) {
                    let path = relative.to_string_lossy().into_owned();
                    found.push(Blob { path, bytes: metadata.len(), modified: modified(metadata) });
                }
                Ok(())
            })?;
            found.sort_unstable_by(|a, b| a.path.cmp(&b.path));
            Ok(found)
        })
    }

    fn delete<'a>(&'a self, path: &'a str) -> BlobFuture<'a, ()> {
        let path = path.to_owned();
        self.off(move |root| {
            let file = inside(root, &path)?;
            match fs::remove_file(&file) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(StoreError::io(&file, error));
                }
                _ => {}
            }
            // Folders that have become empty; the first that has not ends it.
            let parents = file.ancestors().skip(1).take_while(|folder| *folder != root);
            for folder in parents {
                if fs::remove_dir(folder).is_err() {
                    break;
                }
            }
            Ok(())
        })
    }

    fn free(&self) -> BlobFuture<'_, Option<u64>> {
        self.off(|root| free(root).map(Some))
    }

    fn tidy(&self, older_than: OffsetDateTime) -> BlobFuture<'_, u64> {
        self.off(move |root| {
            let mut removed = 0;
            walk(root, 0, &mut |path, metadata| {
                let is_aside = name(path).is_some_and(|name| name.starts_with(ASIDE));
                if is_aside && modified(metadata) < older_than {
                    fs::remove_file(path).map_err(|error| StoreError::io(path, error))?;
                    removed += 1;
                }
                Ok(())
            })?;
            Ok(removed)
        })
    }
}

/// The file of a path, which never leads out of the folder.
fn inside(root: &Path, path: &str) -> Result<PathBuf, StoreError> {
    let is_plain = |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains('\0');
    if path.split('/').all(is_plain) {
        Ok(root.join(path))
    } else {
        Err(StoreError::Invalid(format!("\"{path}\" is not a path in a store")))
    }
}

/// None if there is more than `most`.
fn read(file: &Path, most: u64) -> std::io::Result<Option<Vec<u8>>> {
    let file = File::open(file)?;
    let length = file.metadata()?.len();
    if length > most {
        return Ok(None);
    }
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
    // The file may grow meanwhile.
    file.take(most + 1).read_to_end(&mut bytes)?;
    Ok(Some(bytes).filter(|bytes| bytes.len() as u64 <= most))
}

fn write(folder: &Path, aside: &Path, body: &[u8]) -> std::io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(aside)?;
    file.write_all(body)?;
    file.sync_all()
}

/// Gives a written file its name, and makes the name durable.
fn place(aside: &Path, target: &Path, put: Put) -> std::io::Result<()> {
    match put {
        Put::Replace => fs::rename(aside, target)?,
        Put::Create => {
            fs::hard_link(aside, target)?;
            fs::remove_file(aside)?;
        }
    }
    let folder = target.parent().unwrap_or(target);
    File::open(folder)?.sync_all()
}

fn failed(root: &Path, target: &Path, length: usize, error: std::io::Error) -> StoreError {
    match error.kind() {
        ErrorKind::AlreadyExists => StoreError::Exists { what: target.display().to_string() },
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StoreError::Full {
            place: root.display().to_string(),
            free: free(root).unwrap_or_default(),
            needed: length as u64,
        },
        _ => StoreError::io(target, error),
    }
}

/// Of the nearest folder that exists.
fn free(root: &Path) -> Result<u64, StoreError> {
    let existing = root.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/"));
    let found = nix::sys::statvfs::statvfs(existing)
        .map_err(|error| StoreError::io(existing, std::io::Error::from(error)))?;
    Ok(found.blocks_available().saturating_mul(found.fragment_size()))
}

/// Visits every file below the folder; symbolic links are passed over, and what disappears meanwhile is not there.
fn walk(
    folder: &Path,
    depth: usize,
    visit: &mut impl FnMut(&Path, &fs::Metadata) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(StoreError::io(folder, error)),
    };
    for entry in entries {
        let path = entry.map_err(|error| StoreError::io(folder, error))?.path();
        let Ok(metadata) = path.symlink_metadata() else { continue };
        if metadata.is_file() {
            visit(&path, &metadata)?;
        } else if metadata.is_dir() && depth < MAX_DEPTH {
            walk(&path, depth + 1, visit)?;
        }
    }
    Ok(())
}

fn name(path: &Path) -> Option<&str> {
    path.file_name().and_then(OsStr::to_str)
}

fn modified(metadata: &fs::Metadata) -> OffsetDateTime {
    metadata.modified().map_or(OffsetDateTime::UNIX_EPOCH, OffsetDateTime::from)
}
