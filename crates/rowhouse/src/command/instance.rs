//! Records this process and its settings for `config explain`, `status` and `doctor`.

use std::net::SocketAddr;

use rowhouse_kernel::new_id;
use rowhouse_kernel::settings::Settings;
use rowhouse_module::{Instance, InstanceRecord, Modules, Project};

use super::{clock, rng};

/// What runs, and where its API listens.
pub(super) struct Running {
    command: &'static str,
    address: SocketAddr,
}

impl Running {
    pub(super) fn up(address: SocketAddr) -> Self {
        Self { command: UP, address }
    }

    pub(super) fn serve(address: SocketAddr) -> Self {
        Self { command: SERVE, address }
    }
}

const UP: &str = "up";
const SERVE: &str = "serve";

/// Every `serve` that runs on the project's folder.
pub(super) fn serving(project: &Project) -> Vec<Instance> {
    let mut all = Instance::running(project);
    all.retain(|instance| instance.command == SERVE);
    all
}

/// Records this process until the value is dropped. Without a writable project folder, as in many containers, it runs
/// unrecorded.
pub(super) fn record(
    modules: &Modules,
    project: &Project,
    settings: &Settings,
    running: &Running,
) -> Option<InstanceRecord> {
    let id = new_id(&*clock(), &*rng());
    let instance = Instance {
        pid: std::process::id(),
        command: running.command.to_owned(),
        address: Some(running.address),
        settings: settings.values(&modules.settings()),
    };
    match instance.record(project, id) {
        Ok(record) => Some(record),
        Err(error) => {
            tracing::info!(%error, "other commands cannot see this process");
            None
        }
    }
}
