//! The capability as the binary sees it: settings and commands.

use rowhouse_kernel::settings::GroupSpec;
use rowhouse_module::{Assembly, CommandGroup, Metric, Module, ModuleFuture};

use crate::command;
use crate::settings::BackupSettings;

/// `backup …` and `[backup]`.
#[derive(Debug, Clone, Copy)]
pub struct BackupModule;

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
        &crate::receiver::METRICS
    }

    fn start<'a>(&'a self, assembly: &'a mut Assembly) -> ModuleFuture<'a> {
        Box::pin(async { crate::receiver::start(assembly) })
    }
}
