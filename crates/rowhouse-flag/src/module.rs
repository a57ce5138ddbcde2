//! The module of feature flags: its schema, and the flags in memory kept in step with it.

use std::sync::Arc;
use std::time::Duration;

use metrics::gauge;
use rowhouse_db::migrate::Statement;
use rowhouse_db::{Database, DbError, Following, follow};
use rowhouse_http::{BackgroundTask, Gate};
use rowhouse_kernel::{Operation, SharedClock};
use rowhouse_module::{Assembly, CannotRun, CommandGroup, Metric, Module, ModuleFuture};
use tokio_postgres::Client;

use crate::memory::{CHANNEL, Flags};
use crate::route::{FlagAdmin, routes};

/// Changes within the debounce lead to one reload, so that an import of overrides is not read a thousand times.
const FOLLOWING: Following = Following {
    channel: CHANNEL,
    ignored: &[],
    debounce: Duration::from_millis(200),
    retry: Duration::from_secs(1),
    limit: Duration::from_secs(5),
};

const ALL: &str = "rowhouse_flags";
const PAST_SUNSET: &str = "rowhouse_flags_past_sunset";
const METRICS: [Metric; 2] = [
    Metric { name: ALL, help: "Feature flags in use." },
    Metric {
        name: PAST_SUNSET,
        help: "Feature flags that should not exist any more, by their day of sunset.",
    },
];

/// Feature flags. Provides [`Flags`], and the [`Gate`] of the router.
#[derive(Debug, Clone, Copy)]
pub struct FlagModule;

impl Module for FlagModule {
    fn name(&self) -> &'static str {
        "flag"
    }

    fn migrations(&self) -> &'static [Statement] {
        crate::MIGRATIONS
    }

    fn channels(&self) -> &'static [&'static str] {
        &[CHANNEL]
    }

    fn metrics(&self) -> &'static [Metric] {
        &METRICS
    }

    fn commands(&self) -> Vec<CommandGroup> {
        vec![crate::command::FLAGS]
    }

    /// Without its flags a process does not start: it would not know which routes are closed.
    fn start<'a>(&'a self, assembly: &'a mut Assembly) -> ModuleFuture<'a> {
        Box::pin(async move {
            let origin = &assembly.origin;
            let (control, clock) = (origin.database.control.clone(), Arc::clone(&origin.clock));
            let followed = Followed { flags: Arc::default(), database: origin.database.clone(), clock };
            followed.reload().await?;
            assembly.provide(Arc::clone(&followed.flags));
            let flags = Arc::clone(&followed.flags);
            assembly.provide(Arc::new(Gate(flags)));
            assembly.admin("/flags", routes, FlagAdmin { control, flags: Arc::clone(&followed.flags) });
            let hub = assembly.hub();
            assembly.task(BackgroundTask::new("flag.follow", move |heartbeat| {
                let (followed, hub) = (followed.clone(), hub.clone());
                async move {
                    let beat = || {
                        followed.report();
                        heartbeat.beat();
                    };
                    follow(&hub, FOLLOWING, || followed.reload(), beat).await;
                }
            }));
            Ok::<(), CannotRun>(())
        })
    }
}

/// The flags and the pool from which they are read.
#[derive(Clone)]
struct Followed {
    flags: Arc<Flags>,
    database: Database,
    clock: SharedClock,
}

impl Followed {
    /// Reads all flags; after a failure those in use stay.
    async fn reload(&self) -> Result<(), DbError> {
        let flags = Arc::clone(&self.flags);
        let load = async move |client: &Client| flags.reload(client).await;
        self.database.control.statement(&Operation::system("flags.load"), load).await
    }

    /// Writes the metrics. A sunset comes without a change of the flag.
    fn report(&self) {
        let (all, past) = self.flags.counts(self.clock.now().date());
        #[expect(clippy::cast_precision_loss, reason = "at most 1,000")]
        let (all, past) = (all as f64, past as f64);
        gauge!(ALL).set(all);
        gauge!(PAST_SUNSET).set(past);
    }
}

#[cfg(test)]
mod tests;
