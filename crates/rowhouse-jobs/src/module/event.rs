//! The module of events: schema, and the job that deletes old ones.
//!
//! Writing and reading are left to `rowhouse-event`, which lies below modules.

use rowhouse_db::migrate::Statement;
use rowhouse_event::EventSettings;
use rowhouse_kernel::settings::{GroupSpec, Settings};
use rowhouse_module::{Assembly, BuiltInSchedule, JobKind, Module, ModuleFuture};

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

    fn kinds(&self, _: &Settings) -> Vec<JobKind> {
        vec![Tidy::kind(PRUNE.kind)]
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
