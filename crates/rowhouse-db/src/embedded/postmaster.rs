//! Cleanup of processes and lock files that a former run left in a data directory.

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::process::{is_alive, working_in};
use super::{ClusterPaths, EmbeddedError, io};

/// Time limits of an orphan's fast shutdown and of its immediate shutdown.
const FAST_SHUTDOWN_LIMIT: Duration = Duration::from_secs(20);
const IMMEDIATE_SHUTDOWN_LIMIT: Duration = Duration::from_secs(10);
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// The process id in `postmaster.pid`, if there is such a file.
fn recorded_pid(data: &Path) -> Option<i32> {
    let text = std::fs::read_to_string(data.join("postmaster.pid")).ok()?;
    text.lines().next()?.trim().parse().ok()
}

/// Stops an orphaned postmaster, waits for orphaned backends, and removes a stale lock file.
///
/// The lock file names the shared memory that orphaned backends still use, so it may be removed only once no process
/// works in the folder.
pub(super) async fn clear_leftovers(paths: &ClusterPaths) -> Result<(), EmbeddedError> {
    if let Some(pid) = orphan(&paths.data) {
        tracing::info!(pid, "stopping the database server that a former run left behind");
        stop(pid).await?;
    }
    if !gone(|| working_in(&paths.data).is_empty(), IMMEDIATE_SHUTDOWN_LIMIT).await {
        let left = working_in(&paths.data);
        return Err(EmbeddedError::Failed {
            what: "clearing up",
            log: format!("processes {left:?} still work in {}", paths.data.display()),
        });
    }
    require_silence(&paths.run)?;
    let lock = paths.data.join("postmaster.pid");
    if lock.exists() {
        std::fs::remove_file(&lock).map_err(io(format!("cannot remove {}", lock.display())))?;
    }
    let _absent_at_first = std::fs::remove_dir_all(&paths.run);
    Ok(())
}

/// The postmaster that works in `data`, whoever has started it. A process id alone proves nothing: it may have been
/// reused, or belong to another container.
pub(super) fn orphan(data: &Path) -> Option<i32> {
    recorded_pid(data).filter(|pid| working_in(data).contains(pid))
}

/// Stops a project's orphaned server; returns its process id if there was one.
///
/// # Errors
/// If it does not end.
pub async fn stop_orphan(data: &Path) -> Result<Option<i32>, EmbeddedError> {
    let Some(pid) = orphan(data) else { return Ok(None) };
    stop(pid).await?;
    Ok(Some(pid))
}

/// Refuses to start if a server answers on the socket although its process is not visible, for instance in another
/// container. Two servers on one data directory would destroy it.
fn require_silence(run: &Path) -> Result<(), EmbeddedError> {
    let entries = std::fs::read_dir(run).into_iter().flatten().filter_map(Result::ok);
    let mut sockets =
        entries.map(|entry| entry.path()).filter(|path| path.extension().is_none_or(|e| e != "lock"));
    match sockets.find(|socket| UnixStream::connect(socket).is_ok()) {
        Some(socket) => Err(EmbeddedError::Failed {
            what: "clearing up",
            log: format!(
                "a database server that cannot be seen from here (in another container?) answers on {}; stop it there",
                socket.display()
            ),
        }),
        None => Ok(()),
    }
}

/// Fast shutdown, and if that takes too long an immediate one. A stopped process is continued first.
pub(super) async fn stop(pid: i32) -> Result<(), EmbeddedError> {
    for (signals, timeout) in [
        (&[Signal::SIGCONT, Signal::SIGINT][..], FAST_SHUTDOWN_LIMIT),
        (&[Signal::SIGQUIT][..], IMMEDIATE_SHUTDOWN_LIMIT),
    ] {
        for signal in signals {
            let _gone_already = kill(Pid::from_raw(pid), *signal);
        }
        if gone(|| !is_alive(pid), timeout).await {
            return Ok(());
        }
    }
    Err(EmbeddedError::Failed {
        what: "stopping the database server",
        log: format!("process {pid} does not end"),
    })
}

/// Asks for a fast shutdown and does not wait for it.
pub(super) fn tell_to_stop(pid: i32) {
    let _gone_already = kill(Pid::from_raw(pid), Signal::SIGINT);
}

async fn gone(is_gone: impl Fn() -> bool, timeout: Duration) -> bool {
    let deadline = Instant::now() + timeout;
    while !is_gone() {
        if Instant::now() > deadline {
            return false;
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    true
}
