//! One server per project: an advisory lock, which the kernel releases however the holder ends.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};

use crate::{CannotRun, Project, State};

/// Held for as long as the server runs.
#[derive(Debug)]
pub struct ProjectLock {
    _file: Flock<File>,
}

fn open(project: &Project) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true).custom_flags(OFlag::O_NOFOLLOW.bits());
    options.open(project.private("up.lock"))
}

impl ProjectLock {
    /// Takes the lock.
    ///
    /// # Errors
    /// If the project is running already; the error names its process and URL.
    pub fn take(project: &Project) -> Result<Self, CannotRun> {
        match Flock::lock(open(project)?, FlockArg::LockExclusiveNonblock) {
            Ok(file) => Ok(Self { _file: file }),
            Err((_, Errno::EWOULDBLOCK)) => {
                let holder = State::read(project)
                    .map(|state| format!(" (pid {}, {})", state.pid, state.url))
                    .unwrap_or_default();
                Err(CannotRun::because(format!(
                    "this project is running already{holder}; stop it with: rowhouse stop{}",
                    project.dir_option()
                )))
            }
            Err((_, error)) => Err(CannotRun::because(format!("cannot lock the project: {error}"))),
        }
    }

    /// Whether somebody holds it.
    #[must_use]
    pub fn is_held(project: &Project) -> bool {
        let Ok(file) = open(project) else { return false };
        matches!(Flock::lock(file, FlockArg::LockSharedNonblock), Err((_, Errno::EWOULDBLOCK)))
    }
}

impl State {
    /// Whether the process that wrote the file still holds the project.
    #[must_use]
    pub fn is_running(project: &Project) -> bool {
        ProjectLock::is_held(project)
    }
}
