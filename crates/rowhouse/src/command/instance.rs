//! Records the settings of this process for `config explain`.

use rowhouse_kernel::new_id;
use rowhouse_kernel::settings::Settings;
use rowhouse_module::{Instance, InstanceRecord, Modules, Project};

use super::{clock, rng};

/// Records this process until the value is dropped. Without a writable project folder, as in many containers, it runs
/// unrecorded.
pub(super) fn record(modules: &Modules, project: &Project, settings: &Settings) -> Option<InstanceRecord> {
    let id = new_id(&*clock(), &*rng());
    match Instance::this(settings.values(&modules.settings())).record(project, id) {
        Ok(record) => Some(record),
        Err(error) => {
            tracing::info!(%error, "`config explain` cannot show the settings of this process");
            None
        }
    }
}
