//! One server per project: an advisory lock that the kernel releases, however the holder dies.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};

use crate::outcome::CannotRun;
use crate::project::Project;
use crate::state::State;

/// Held for as long as the server runs.
#[derive(Debug)]
pub(crate) struct ProjectLock {
    _file: Flock<File>,
}

fn open(project: &Project) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true).custom_flags(OFlag::O_NOFOLLOW.bits());
    options.open(project.private("up.lock"))
}

/// Takes the lock.
pub(crate) fn take(project: &Project) -> Result<ProjectLock, CannotRun> {
    match Flock::lock(open(project)?, FlockArg::LockExclusiveNonblock) {
        Ok(file) => Ok(ProjectLock { _file: file }),
        Err((_, Errno::EWOULDBLOCK)) => {
            let holder = State::read(project)
                .map(|state| format!(" (pid {}, {})", state.pid, state.url))
                .unwrap_or_default();
            Err(CannotRun::because(format!(
                "this project is running already{holder}; stop it with: rowhouse stop --dir {}",
                project.root().display()
            )))
        }
        Err((_, error)) => Err(CannotRun::because(format!("cannot lock the project: {error}"))),
    }
}

/// Whether somebody holds it.
pub(crate) fn is_held(project: &Project) -> bool {
    let Ok(file) = open(project) else { return false };
    matches!(Flock::lock(file, FlockArg::LockSharedNonblock), Err((_, Errno::EWOULDBLOCK)))
}
