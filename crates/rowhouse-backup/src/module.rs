//! The capability as the binary sees it: settings, commands, the receiver and the schedule.

use std::sync::Arc;

use rowhouse_kernel::settings::{GroupSpec, Settings};
use rowhouse_module::{Assembly, CommandGroup, JobKind, Metric, Module, ModuleFuture};
use tokio_postgres::Client;

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

    /// A part of a backup is not served as if it were the whole.
    fn after_platform_migrations<'a>(
        &'a self,
        client: &'a Client,
        _settings: &'a Settings,
        _kinds: &'a [JobKind],
    ) -> ModuleFuture<'a> {
        Box::pin(state::require_whole(client))
    }

    fn start<'a>(&'a self, assembly: &'a mut Assembly) -> ModuleFuture<'a> {
        Box::pin(async {
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
