//! The capability as the binary sees it: a command and its settings. It adds nothing to a running process.

use rowhouse_kernel::settings::GroupSpec;
use rowhouse_module::{Assembly, CommandGroup, Module, ModuleFuture};

use crate::command;
use crate::settings::RlsSettings;

/// `rls …` and `[rls]`.
#[derive(Debug, Clone, Copy)]
pub struct IsolationModule;

impl Module for IsolationModule {
    fn name(&self) -> &'static str {
        "isolation"
    }

    fn settings(&self) -> Vec<GroupSpec> {
        vec![GroupSpec::of::<RlsSettings>()]
    }

    fn commands(&self) -> Vec<CommandGroup> {
        vec![command::RLS]
    }

    fn start<'a>(&'a self, _assembly: &'a mut Assembly) -> ModuleFuture<'a> {
        Box::pin(async { Ok(()) })
    }
}
