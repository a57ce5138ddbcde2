//! `.rowhouse/state.json`: what other commands and scripts may know of a running server. Mode 600; it holds keys.

use serde::{Deserialize, Serialize};

use crate::outcome::CannotRun;
use crate::project::Project;

/// The file's content.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct State {
    /// Base URL of the API.
    pub(crate) url: String,
    /// Port of the API.
    pub(crate) port: u16,
    /// Process id of the server.
    pub(crate) pid: u32,
    /// Its version.
    pub(crate) version: String,
    /// When it became ready, RFC 3339.
    pub(crate) started_at: String,
    /// The superuser `postgres`, database `postgres`; of a server that is not ours, `DATABASE_URL`.
    pub(crate) db_url: String,
    /// The postmaster's process id; null for a server that is not ours.
    pub(crate) pg_pid: Option<i32>,
    /// Its data directory; null for a server that is not ours.
    pub(crate) pg_data_dir: Option<String>,
    /// The key that browsers may hold.
    pub(crate) anon_key: String,
    /// The key that looks past row-level security.
    pub(crate) service_role_key: String,
    /// Where the public keys are.
    pub(crate) jwks_url: String,
    /// Captured mail; null where mail is not captured.
    pub(crate) mail_url: Option<String>,
    /// SMTP submission on this machine.
    pub(crate) smtp_port: Option<u16>,
}

const NAME: &str = "state.json";

impl State {
    /// Replaces the file in one step.
    pub(crate) fn write(&self, project: &Project) -> Result<(), CannotRun> {
        project.write_private(NAME, serde_json::to_string_pretty(self)?.as_bytes()).map_err(|error| {
            CannotRun::because(format!("cannot write {}: {error}", project.private(NAME).display()))
        })
    }

    /// What a server wrote; it may have ended since.
    pub(crate) fn read(project: &Project) -> Option<Self> {
        serde_json::from_str(&std::fs::read_to_string(project.private(NAME)).ok()?).ok()
    }

    /// Removes the file; the server is gone.
    pub(crate) fn clear(project: &Project) {
        let _never_written = std::fs::remove_file(project.private(NAME));
    }

    /// Whether the process that wrote the file still holds the project.
    pub(crate) fn is_running(project: &Project) -> bool {
        crate::command::lock::is_held(project)
    }
}
