//! Information about processes from `/proc`: working directories and listening ports.

use std::fmt;
use std::fs;
use std::path::Path;

/// The process that listens on a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortOwner {
    /// Its process id.
    pub pid: i32,
    /// Its command name.
    pub name: String,
}

impl fmt::Display for PortOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (pid {})", self.name, self.pid)
    }
}

/// All processes whose working directory is `folder`. PostgreSQL's never leave their data directory.
pub(super) fn working_in(folder: &Path) -> Vec<i32> {
    let Ok(folder) = folder.canonicalize() else { return Vec::new() };
    pids()
        .filter(|pid| {
            fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == folder) && !is_zombie(*pid)
        })
        .collect()
}

pub(super) fn is_alive(pid: i32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists() && !is_zombie(pid)
}

/// A zombie has ended; its parent has not waited for it yet.
fn is_zombie(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('Z'))
}

/// Whether the program that a process runs was replaced on disk, as an upgrade does.
#[must_use]
pub fn is_replaced(pid: i32) -> bool {
    fs::read_link(format!("/proc/{pid}/exe"))
        .is_ok_and(|program| program.as_os_str().as_encoded_bytes().ends_with(b" (deleted)"))
}

/// Whether a process has `file` open.
#[must_use]
pub fn holds_open(pid: u32, file: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let Ok(wanted) = file.metadata() else { return false };
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().filter_map(Result::ok);
    descriptors
        .into_iter()
        .filter_map(|descriptor| fs::metadata(descriptor.path()).ok())
        .any(|open| (open.dev(), open.ino()) == (wanted.dev(), wanted.ino()))
}

/// Child processes that have ended and not been waited for.
pub(super) fn ended_children() -> Vec<i32> {
    let us = std::process::id().to_string();
    pids().filter(|pid| is_zombie(*pid) && parent(*pid).as_deref() == Some(us.as_str())).collect()
}

/// The parent's id: the field after the state in `/proc/PID/stat`.
fn parent(pid: i32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(") ").next()?.split(' ').nth(1).map(str::to_owned)
}

fn pids() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// The process that listens on a TCP port, if visible to this account.
#[must_use]
pub fn port_owner(port: u16) -> Option<PortOwner> {
    let inode = listening_inode(port)?;
    let socket = format!("socket:[{inode}]");
    let holds = |pid: &i32| {
        let descriptors =
            fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().filter_map(Result::ok);
        descriptors
            .into_iter()
            .any(|fd| fs::read_link(fd.path()).is_ok_and(|target| target.as_os_str() == socket.as_str()))
    };
    let pid = pids().find(holds)?;
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_owned();
    Some(PortOwner { pid, name })
}

/// Columns of /proc/net/tcp: slot, local address, remote address, state (0A listens), …, inode.
fn listening_inode(port: u16) -> Option<String> {
    let suffix = format!(":{port:04X}");
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|file| fs::read_to_string(file).unwrap_or_default());
    tables.iter().flat_map(|table| table.lines().skip(1)).find_map(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let listens = columns.get(1)?.ends_with(&suffix) && *columns.get(3)? == "0A";
        listens.then(|| columns.get(9).map(|inode| (*inode).to_owned()))?
    })
}

#[cfg(test)]
mod tests {
    use super::{port_owner, working_in};

    #[test]
    fn own_listener_is_found_by_its_port() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let owner = port_owner(listener.local_addr().unwrap().port()).unwrap();
        assert_eq!(owner.pid, i32::try_from(std::process::id()).unwrap());
    }

    #[test]
    fn process_is_found_by_its_folder() {
        let here = std::env::current_dir().unwrap();
        assert!(working_in(&here).contains(&i32::try_from(std::process::id()).unwrap()));
        assert!(working_in(std::path::Path::new("/nonexistent")).is_empty());
    }
}
