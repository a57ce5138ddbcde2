//! The capability as the binary sees it: settings, commands, the receiver and the schedule.

use std::sync::Arc;

use rowhouse_kernel::settings::GroupSpec;
use rowhouse_module::{Assembly, CommandGroup, Metric, Module, ModuleFuture};

use crate::pgbackrest::PgBackRest;
use crate::settings::BackupSettings;
use crate::{command, copy, drill, pgbackrest, receiver, schedule, state};

/// `backup …`, `drill …` and `[backup]`.
#[derive(Debug, Clone, Copy)]
pub struct BackupModule;

const METRICS: [Metric; 11] = {
    let [a, b, c, d] = receiver::METRICS;
    let [e, f, g, h, i, j] = schedule::METRICS;
    let [k] = drill::schedule::METRICS;
    [a, b, c, d, e, f, g, h, i, j, k]
};

impl Module for BackupModule {
    fn name(&self) -> &'static str {
        "backup"
    }

    fn settings(&self) -> Vec<GroupSpec> {
        vec![GroupSpec::of::<BackupSettings>()]
    }

    fn commands(&self) -> Vec<CommandGroup> {
        vec![command::BACKUP, command::DRILL]
    }

    fn metrics(&self) -> &'static [Metric] {
        &METRICS
    }

    fn start<'a>(&'a self, assembly: &'a mut Assembly) -> ModuleFuture<'a> {
        Box::pin(async {
            // A part of a backup is not served as if it were the whole.
            state::require_whole_at_start(&assembly.origin.database.control).await?;
            copy::start(assembly);
            let settings = assembly.origin.settings.get::<BackupSettings>();
            if let Some(adapter) = PgBackRest::of(&settings) {
                return pgbackrest::start(assembly, adapter);
            }
            let status = Arc::default();
            receiver::start(assembly, &status)?;
            schedule::start(assembly, &status)?;
            drill::schedule::start(assembly)
        })
    }
}

#[cfg(test)]
mod tests;
