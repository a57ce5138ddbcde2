//! The capability as the binary sees it: a command, its settings, and the tripwires of a running process.

use rowhouse_kernel::settings::GroupSpec;
use rowhouse_module::{Assembly, CommandGroup, Metric, Module, ModuleFuture};

use crate::command;
use crate::settings::RlsSettings;
use crate::tripwire;

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

    fn metrics(&self) -> &'static [Metric] {
        &tripwire::METRICS
    }

    fn start<'a>(&'a self, assembly: &'a mut Assembly) -> ModuleFuture<'a> {
        Box::pin(async { tripwire::add(assembly) })
    }
}
