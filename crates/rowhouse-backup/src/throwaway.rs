//! A folder below `.rowhouse` for a copy of the cluster that is thrown away: one of a kind at a time, removed however its use
//! ends. One that was killed leaves it, and its server, to the next, which ends them. Leaves what the copy is for to its callers.

use std::fs::{File, OpenOptions, Permissions};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid};
use rowhouse_db::embedded::{RESTORING, stop_orphan};
use rowhouse_module::{CannotRun, Project};

/// How long a program that runs on a left copy may take to end.
const END_LIMIT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(100);

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
                stop_program(&left.path()).await;
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

/// The `up` on a copy whose owner was killed: asked to end, and made to after a while.
async fn stop_program(root: &Path) {
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        for pid in programs(root) {
            tracing::warn!(%pid, "a program still runs on a copy that was left; it is ended");
            let _gone_already = kill(pid, signal);
        }
        let gone = async {
            while !programs(root).is_empty() {
                tokio::time::sleep(POLL).await;
            }
        };
        if tokio::time::timeout(END_LIMIT, gone).await.is_ok() {
            return;
        }
    }
}

/// Processes of `up` whose command line names the folder.
fn programs(root: &Path) -> Vec<Pid> {
    let Ok(root) = root.canonicalize() else { return Vec::new() };
    let processes = std::fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid: &i32| is_up_on(*pid, &root)).map(Pid::from_raw).collect()
}

fn is_up_on(pid: i32, root: &Path) -> bool {
    let Ok(line) = std::fs::read(format!("/proc/{pid}/cmdline")) else { return false };
    let line = String::from_utf8_lossy(&line);
    let words: Vec<&str> = line.split('\0').collect();
    let names_it = |pair: &[&str]| {
        pair[0] == "--dir" && Path::new(pair[1]).canonicalize().is_ok_and(|named| named == root)
    };
    words.contains(&"up") && words.windows(2).any(names_it)
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

/// A folder for this account alone; the server of root has another one, which may pass, but not list.
fn enter_only(folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let mode = if Uid::effective().is_root() { 0o711 } else { 0o700 };
    std::fs::set_permissions(folder, Permissions::from_mode(mode))
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Command, Stdio};

    use rowhouse_module::Project;

    use super::{Signal, Throwaway};

    #[tokio::test]
    async fn program_that_a_killed_owner_has_left_is_ended_and_no_other() {
        let place = tempfile::tempdir().unwrap();
        let project = Project::open(place.path()).unwrap();
        let left = project.private("drills").join("left");
        std::fs::create_dir_all(&left).unwrap();
        let run = |folder: &std::path::Path| {
            let mut command = Command::new("sh");
            command
                .args(["-c", "read wait", "up", "--dir"])
                .arg(folder)
                .stdin(Stdio::piped())
                .spawn()
                .unwrap()
        };
        let (mut orphan, mut other) = (run(&left), run(project.root()));
        // Closed, it would end by itself.
        let held = orphan.stdin.take();
        // Its parent is this process, which has to take its end, or it would stay in the list of processes.
        let ended = tokio::task::spawn_blocking(move || orphan.wait().unwrap());
        let made = Throwaway::make(&project, "drills", "next").await.unwrap();
        assert_eq!(ended.await.unwrap().signal(), Some(Signal::SIGTERM as i32));
        drop(held);
        assert!(!left.exists() && made.project.root().exists());
        assert!(other.try_wait().unwrap().is_none());
        drop(other.stdin.take());
        other.wait().unwrap();
    }
}
