//! `.rowhouse/instances/ID.json`: a running `up` or `serve`, its address and the settings that it uses. Mode 600. The process
//! holds a lock on its file, so that the file of a killed process is recognized. Leaves comparing settings to
//! `config explain`.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{CannotRun, Project};

const FOLDER: &str = "instances";

/// A running process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// Its process id, where it runs.
    pub pid: u32,
    /// `up` or `serve`; empty in files of older releases.
    #[serde(default)]
    pub command: String,
    /// Where its API listens.
    #[serde(default)]
    pub address: Option<SocketAddr>,
    /// The settings that it uses, by their dotted names; secrets are masked.
    pub settings: BTreeMap<String, String>,
}

/// Removes the file when the process ends.
#[derive(Debug)]
pub struct InstanceRecord {
    path: PathBuf,
    _file: Flock<File>,
}

impl Instance {
    /// Writes the file, and removes those of processes that were killed.
    ///
    /// # Errors
    /// If the folder cannot be written to.
    pub fn record(&self, project: &Project, id: Uuid) -> Result<InstanceRecord, CannotRun> {
        project.ensure_private()?;
        let folder = project.private(FOLDER);
        DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        for left in files(&folder) {
            remove_unless_locked(&left);
        }
        let (aside, path) = (folder.join(format!("{id}.new")), folder.join(format!("{id}.json")));
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside)?;
        // Locked under another name: whoever reads `.json` finds it locked and whole.
        let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock);
        let mut file = lock.map_err(|(_, error)| CannotRun::because(error.to_string()))?;
        file.write_all(&serde_json::to_vec_pretty(self)?)?;
        std::fs::rename(&aside, &path)?;
        Ok(InstanceRecord { path, _file: file })
    }

    /// Every process that runs on the project's folder, by process id.
    #[must_use]
    pub fn running(project: &Project) -> Vec<Self> {
        let mut found: Vec<Self> =
            files(&project.private(FOLDER)).iter().filter_map(|path| read_if_locked(path)).collect();
        found.sort_by_key(|instance| instance.pid);
        found
    }
}

impl Drop for InstanceRecord {
    fn drop(&mut self) {
        let _gone_already = std::fs::remove_file(&self.path);
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.filter(|path| path.extension().is_some_and(|extension| extension == "json")).collect()
}

fn open(path: &Path) -> Option<File> {
    OpenOptions::new().read(true).custom_flags(OFlag::O_NOFOLLOW.bits()).open(path).ok()
}

fn read_if_locked(path: &Path) -> Option<Instance> {
    let Err((mut file, Errno::EWOULDBLOCK)) = Flock::lock(open(path)?, FlockArg::LockSharedNonblock) else {
        return None;
    };
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

fn remove_unless_locked(path: &Path) {
    let lock = open(path).map(|file| Flock::lock(file, FlockArg::LockExclusiveNonblock));
    if let Some(Ok(_left)) = lock {
        let _gone_already = std::fs::remove_file(path);
    }
}

#[cfg(test)]
mod tests;
