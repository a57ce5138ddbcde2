//! The PostgreSQL server under `up`: found, created, started, watched, stopped.
//!
//! It never touches a cluster that it did not create, never kills a server that merely does not answer, and
//! recovers automatically after crashes of the program, the server or the machine. Leaves the server's contents to others.

mod account;
mod binaries;
mod cluster;
mod log;
mod postmaster;
mod process;
mod reaper;
mod supervisor;
mod temporary;

use std::path::PathBuf;

use rowhouse_kernel::Secret;

pub use account::Account;
pub use binaries::{
    Binaries, MINIMUM_VERSION, data_version, find_binaries, find_binaries_for, find_client, find_program,
    require_binaries,
};
pub use cluster::{EXCHANGED, RESTORING, create_restoring, data_folder, prepare_folder, warn_of_exchanged};
pub use postmaster::stop_orphan;
pub use process::{PortOwner, holds_open, is_replaced, port_owner};
pub use supervisor::{Embedded, Progress};
pub use temporary::Temporary;

/// Paths of a project's server.
#[derive(Debug, Clone)]
pub struct ClusterPaths {
    /// Parent folder of the others; `.rowhouse/pg`, or what that links to.
    pub home: PathBuf,
    /// The data directory.
    pub data: PathBuf,
    /// The unix socket's folder.
    pub run: PathBuf,
    /// What the server writes to standard error.
    pub log: PathBuf,
}

/// How to reach a running embedded server.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Folder of the Unix socket.
    pub socket_dir: PathBuf,
    /// Port on 127.0.0.1 and in the socket's name.
    pub port: u16,
}

impl Endpoint {
    /// URL over the unix socket, for the program's own connections.
    #[must_use]
    pub fn socket_url(&self, user: &str, password: &Secret) -> Secret {
        let folder: String = self.socket_dir.to_string_lossy().bytes().map(|b| format!("%{b:02X}")).collect();
        Secret::new(format!("postgres://{user}:{}@{folder}:{}/postgres", password.expose(), self.port))
    }

    /// URL over TCP, for people and their tools.
    #[must_use]
    pub fn tcp_url(&self, user: &str, password: &Secret) -> Secret {
        Secret::new(format!("postgres://{user}:{}@127.0.0.1:{}/postgres", password.expose(), self.port))
    }
}

/// Why the embedded server does not run. The text names the remedy.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// No server programs, or only old ones.
    #[error("{0}")]
    Binaries(String),
    /// As root, no account to run the server under could be found or created.
    #[error("{0}")]
    Account(String),
    /// The port is taken.
    #[error("port {port} is taken{}; choose another with --port", owner(.by))]
    PortTaken {
        /// The port.
        port: u16,
        /// The process that listens on it, if visible.
        by: Option<PortOwner>,
    },
    /// A file or program could not be used.
    #[error("{what}: {error}")]
    Io {
        /// The action.
        what: String,
        /// The error.
        error: std::io::Error,
    },
    /// The server or initdb ended with an error; the last lines of its log follow.
    #[error("{what} failed:\n{log}")]
    Failed {
        /// Which program.
        what: &'static str,
        /// The end of what it wrote.
        log: String,
    },
}

fn owner(by: &Option<PortOwner>) -> String {
    by.as_ref().map(|owner| format!(" by {} (pid {})", owner.name, owner.pid)).unwrap_or_default()
}

fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> EmbeddedError {
    let what = what.into();
    move |error| EmbeddedError::Io { what, error }
}
