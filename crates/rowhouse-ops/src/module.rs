//! Operation as a capability of the program: health, readiness, version and metrics. Last in the list of
//! modules, since it collects the checks of all others.

use std::sync::Arc;

use rowhouse_http::{BackgroundTask, ServerSettings, Surface};
use rowhouse_module::{Assembly, Module, ModuleFuture};

use crate::{Health, Ops};

/// Health and metrics.
#[derive(Debug, Clone, Copy)]
pub struct OpsModule;

impl Module for OpsModule {
    fn name(&self) -> &'static str {
        "ops"
    }

    fn start<'a>(&'a self, assembly: &'a mut Assembly) -> ModuleFuture<'a> {
        Box::pin(async move {
            let metrics = assembly.metrics.clone();
            assembly
                .task(BackgroundTask::new("ops.metrics", move |heartbeat| metrics.clone().fold(heartbeat)));
            Ok(())
        })
    }

    fn complete<'a>(&'a self, assembly: &'a mut Assembly) -> ModuleFuture<'a> {
        Box::pin(async move {
            let (origin, checks) = (&assembly.origin, assembly.assembled.checks.clone());
            let supervisor = assembly.supervisor.clone();
            let ops = Ops {
                health: Health::new(
                    origin.database.clone(),
                    origin.clock.clone(),
                    checks,
                    supervisor,
                    origin.roles.api,
                ),
                metrics: assembly.metrics.clone(),
                shutdown: assembly.shutdown.clone(),
                database: origin.database.clone(),
                metrics_token: origin.settings.get::<ServerSettings>().metrics_token.clone().map(Arc::new),
            };
            assembly.surface(Surface::root(crate::router(ops)));
            Ok(())
        })
    }
}
