//! A folder below `.rowhouse` for a copy of the cluster that is thrown away: one of a kind at a time, removed however its use
//! ends. One that was killed leaves it, and its server, to the next. Leaves what the copy is for to its callers.

use std::fs::{File, OpenOptions, Permissions};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};
use rowhouse_db::embedded::{RESTORING, stop_orphan};
use rowhouse_module::{CannotRun, Project};

/// The folder, as a project of its own.
pub(crate) struct Throwaway {
    pub(crate) project: Project,
    _lock: Flock<File>,
}

impl Throwaway {
    /// Makes `.rowhouse/KIND/NAME`, and removes what former ones have left beside it.
    ///
    /// # Errors
    /// If another process has one of this kind.
    pub(crate) async fn make(project: &Project, kind: &str, name: &str) -> Result<Self, CannotRun> {
        project.ensure_private()?;
        let lock = lock(project, kind)?;
        let folder = project.private(kind);
        enter_only(&folder)?;
        for left in std::fs::read_dir(&folder)?.filter_map(Result::ok) {
            if left.file_type().is_ok_and(|kind| kind.is_dir()) {
                stop_server(&left.path()).await?;
                remove(&left.path());
            }
        }
        let root = folder.join(name);
        enter_only(&root)?;
        let project = Project::open(&root)?;
        project.ensure_private()?;
        Ok(Self { project, _lock: lock })
    }
}

impl Drop for Throwaway {
    fn drop(&mut self) {
        remove(self.project.root());
    }
}

/// The kernel releases it however the holder ends.
fn lock(project: &Project, kind: &str) -> Result<Flock<File>, CannotRun> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true).mode(0o600).custom_flags(OFlag::O_NOFOLLOW.bits());
    let file = options.open(project.private(&format!("{kind}.lock")))?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => Ok(lock),
        Err((_, Errno::EWOULDBLOCK)) => Err(CannotRun::because(format!(
            "another process restores a copy of this project into .rowhouse/{kind}; wait until it has ended"
        ))),
        Err((_, error)) => Err(CannotRun::because(format!("cannot lock .rowhouse/{kind}.lock: {error}"))),
    }
}

/// The server of a copy whose owner was killed.
async fn stop_server(root: &Path) -> Result<(), CannotRun> {
    for name in ["data", RESTORING] {
        stop_orphan(&root.join(".rowhouse/pg").join(name)).await?;
    }
    Ok(())
}

/// Also what lies elsewhere because the server's account cannot enter the project.
fn remove(root: &Path) {
    let link = root.join(".rowhouse/pg");
    let elsewhere: Option<PathBuf> = if link.is_symlink() { link.canonicalize().ok() } else { None };
    for folder in elsewhere.iter().map(PathBuf::as_path).chain([root]) {
        if let Err(error) = std::fs::remove_dir_all(folder) {
            tracing::warn!(folder = %folder.display(), %error, "the folder of a copy cannot be removed");
        }
    }
}

/// A folder that the server's account may pass, but not list.
fn enter_only(folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    std::fs::set_permissions(folder, Permissions::from_mode(0o711))
}
