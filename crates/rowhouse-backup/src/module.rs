//! The capability as the binary sees it: settings and commands.

use rowhouse_kernel::settings::GroupSpec;
use rowhouse_module::{Assembly, CommandGroup, Module, ModuleFuture};

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
        vec![command::BACKUP]
    }

    fn start<'a>(&'a self, _assembly: &'a mut Assembly) -> ModuleFuture<'a> {
        Box::pin(async { Ok(()) })
    }
}
