//! The module of events: schema, and the job that deletes old ones.
//!
//! Writing and reading are left to `rowhouse-event`, which lies below modules.

use rowhouse_db::migrate::Statement;
use rowhouse_event::EventSettings;
use rowhouse_kernel::settings::GroupSpec;
use rowhouse_module::{Assembly, BuiltInSchedule, Module, ModuleFuture};

use crate::builtin::Tidy;

const PRUNE: BuiltInSchedule =
    BuiltInSchedule { name: "events.prune", cron: "37 * * * *", kind: "events.prune" };

/// The outbox of events.
#[derive(Debug, Clone, Copy)]
pub struct EventModule;

impl Module for EventModule {
    fn name(&self) -> &'static str {
        "events"
    }

    fn migrations(&self) -> &'static [Statement] {
        rowhouse_event::MIGRATIONS
    }

    fn settings(&self) -> Vec<GroupSpec> {
        vec![GroupSpec::of::<EventSettings>()]
    }

    fn start<'a>(&'a self, assembly: &'a mut Assembly) -> ModuleFuture<'a> {
        Box::pin(async move {
            let keep = assembly.origin.settings.get::<EventSettings>().keep;
            let control = assembly.origin.database.control.clone();
            let prune = Tidy::with(&control, "select events.prune($1)", vec![keep.as_secs_f64()]);
            assembly.kind(Tidy::kind(PRUNE.kind), prune);
            assembly.schedule(PRUNE);
            Ok(())
        })
    }
}
