//! `.rowhouse/state.json`: the running server's addresses and keys, for other commands and scripts. Mode 600.

use serde::{Deserialize, Serialize};

use crate::{CannotRun, Project};

/// The file's content.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct State {
    /// Base URL of the API.
    pub url: String,
    /// Port of the API.
    pub port: u16,
    /// Process id of the server.
    pub pid: u32,
    /// Its version.
    pub version: String,
    /// When it became ready, RFC 3339.
    pub started_at: String,
    /// The superuser `postgres`, database `postgres`; of an external server, `DATABASE_URL`.
    pub db_url: String,
    /// The postmaster's process id; `null` for an external server.
    pub pg_pid: Option<i32>,
    /// Its data directory; `null` for an external server.
    pub pg_data_dir: Option<String>,
    /// What the modules report: keys, URLs, ports.
    #[serde(flatten)]
    pub facts: serde_json::Map<String, serde_json::Value>,
}

const NAME: &str = "state.json";

impl State {
    /// Replaces the file in one step.
    ///
    /// # Errors
    /// The file system's.
    pub fn write(&self, project: &Project) -> Result<(), CannotRun> {
        project.write_private(NAME, serde_json::to_string_pretty(self)?.as_bytes()).map_err(|error| {
            CannotRun::because(format!("cannot write {}: {error}", project.private(NAME).display()))
        })
    }

    /// The state that a server wrote; it may have ended since.
    #[must_use]
    pub fn read(project: &Project) -> Option<Self> {
        serde_json::from_str(&std::fs::read_to_string(project.private(NAME)).ok()?).ok()
    }

    /// Removes the file when the server has ended.
    pub fn clear(project: &Project) {
        let _never_written = std::fs::remove_file(project.private(NAME));
    }

    /// A string that a module has reported.
    #[must_use]
    pub fn fact(&self, key: &str) -> Option<&str> {
        self.facts.get(key)?.as_str()
    }
}
