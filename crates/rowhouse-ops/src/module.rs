//! Operation as a capability of the program: health, readiness, version and metrics. Last in the list of
//! modules, since it collects the checks of all others.

use std::sync::Arc;
use std::time::Duration;

use rowhouse_http::limit::{AddressLimit, LimitName, Quota};
use rowhouse_http::{BackgroundTask, ServerSettings, Surface};
use rowhouse_module::{Assembly, Module, ModuleFuture};

use crate::{Health, Ops};

/// Wrong tokens at `/metrics`.
const METRICS_TOKEN: LimitName = LimitName::new("metrics-token");

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
            let server = origin.settings.get::<ServerSettings>();
            let quota = Quota::new(server.bad_token_rate_per_5min, Duration::from_mins(5));
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
                metrics_token: server.metrics_token.clone().map(Arc::new),
                bad_tokens: AddressLimit::new(METRICS_TOKEN, quota, assembly.rates.limiter()),
            };
            assembly.surface(Surface::root(crate::router(ops)));
            Ok(())
        })
    }
}
