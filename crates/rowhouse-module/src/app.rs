//! A process composed of modules: router, listeners and background tasks.
//!
//! Leaves the parts to the modules, and listening on the API's port to the commands.

use std::sync::Arc;
use std::time::Duration;

use axum::{Router, middleware};
use rowhouse_db::ListenHub;
use rowhouse_http::api::{Idempotency, idempotent};
use rowhouse_http::limit::{AddressLimit, LimitName, Quota, Rates};
use rowhouse_http::{
    ApiKeys, BackgroundTask, CallerResolver, Dialect, Gate, Layers, Meter, Metrics, Server, ServerSettings,
    Shutdown, Supervisor, Surface, Surfaces, serve,
};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::{
    Assembled, Assembly, BoundListeners, CannotRun, Fact, HealthCheck, ListenerService, Modules, Origin,
};

/// How long the start waits for parts that start in the background, such as the worker.
const START_TIMEOUT: Duration = Duration::from_secs(5);
/// How often it polls them.
const START_PAUSE: Duration = Duration::from_millis(10);

/// Invalid tokens of an address.
const BAD_TOKEN: LimitName = LimitName::new("bad-token");

/// A running app.
pub struct App {
    /// The router of all surfaces.
    pub router: Router,
    /// Facts that the modules report.
    pub facts: Vec<Fact>,
    assembly: Assembly,
    services: Vec<(&'static str, ListenerService)>,
    server: Server,
}

impl App {
    /// Starts every module and composes their parts.
    ///
    /// # Errors
    /// The modules' errors; overlapping surfaces; a metrics recorder that is already installed.
    pub async fn start(modules: &Modules, origin: Origin) -> Result<Self, CannotRun> {
        let metrics = Metrics::install().map_err(CannotRun::because)?;
        let mut assembly = Assembly::new(origin, metrics, ListenHub::default());
        assembly.supervisor.spawn(monitor(&assembly));
        assembly.supervisor.spawn(listener(&assembly, modules.channels()));
        modules.start(&mut assembly).await?;
        let assembled = std::mem::take(&mut assembly.assembled);
        let router = router(&assembly, &assembled)?;
        assembled.tasks.into_iter().for_each(|task| assembly.supervisor.spawn(task));
        wait_for(&assembled.checks).await;
        Ok(Self {
            router,
            facts: assembled.facts,
            services: assembled.services,
            server: Server::from(&*assembly.origin.settings.get::<ServerSettings>()),
            assembly,
        })
    }

    /// Serves the modules' listeners until `drain` becomes true. The tasks end after their connections.
    pub fn serve_listeners(
        &self,
        mut listeners: BoundListeners,
        drain: &watch::Receiver<bool>,
    ) -> Vec<JoinHandle<()>> {
        let services =
            self.services.iter().filter_map(|(name, service)| Some((listeners.take(name)?, service)));
        services
            .map(|(listener, service)| match service {
                ListenerService::Http(router) => {
                    let serving = serve(listener, router.clone(), self.server.clone(), drain.clone());
                    tokio::spawn(async move {
                        serving.await;
                    })
                }
                ListenerService::Protocol(serve) => tokio::spawn(serve(listener, drain.clone())),
            })
            .collect()
    }

    /// A value that a module has provided.
    #[must_use]
    pub fn provided<T: std::any::Any + Send + Sync>(&self) -> Option<Arc<T>> {
        self.assembly.find()
    }

    /// The state of shutdown.
    #[must_use]
    pub fn shutdown(&self) -> Shutdown {
        self.assembly.shutdown.clone()
    }

    /// The supervisor of the background tasks.
    #[must_use]
    pub fn supervisor(&self) -> &Supervisor {
        &self.assembly.supervisor
    }

    /// Stops the background tasks, within the time that each has asked for.
    pub async fn stop(&self) {
        self.assembly.supervisor.shutdown().await;
    }
}

/// The liveness monitor of the database; the first task to start, since others wait for its result.
fn monitor(assembly: &Assembly) -> BackgroundTask {
    let database = assembly.origin.database.clone();
    BackgroundTask::new("db.monitor", move |heartbeat| database.monitor(move || heartbeat.beat()))
}

/// The LISTEN hub of all modules.
fn listener(assembly: &Assembly, channels: Vec<&'static str>) -> BackgroundTask {
    let (hub, url) = (assembly.hub(), assembly.origin.urls.direct.clone());
    BackgroundTask::new("db.listen", move |heartbeat| {
        hub.clone().run(url.clone(), channels.clone(), move || heartbeat.beat())
    })
}

/// Waits briefly for parts that start in the background; a slower one is visible in the health report.
async fn wait_for(checks: &[HealthCheck]) {
    let started = async {
        while checks.iter().any(|check| check.ask().is_err()) {
            tokio::time::sleep(START_PAUSE).await;
        }
    };
    let _later = tokio::time::timeout(START_TIMEOUT, started).await;
}

/// All surfaces in a process with the API; otherwise only those at the root, for health and metrics.
fn router(assembly: &Assembly, assembled: &Assembled) -> Result<Router, CannotRun> {
    let origin = &assembly.origin;
    let server = origin.settings.get::<ServerSettings>();
    let (control, clock) = (origin.database.control.clone(), Arc::clone(&origin.clock));
    let idempotency = Idempotency::new(control, clock, server.request_timeout);
    let admin = assembled.admin.clone().router();
    let admin = admin.layer(middleware::from_fn_with_state(idempotency, idempotent));
    let admin =
        Surface { api_keys: true, metered: true, ..Surface::new("/admin/v1", Dialect::PROBLEM, admin) };
    let surfaces = assembled.surfaces.iter().cloned().chain([admin]);
    let served = surfaces.filter(|surface| origin.roles.api || surface.prefix.is_empty()).collect();
    let surfaces = Surfaces::new(served).map_err(|error| CannotRun::because(error.to_string()))?;
    let (index, routes) = (surfaces.index(), surfaces.router());
    let layers = Layers {
        resolver: assembly.require::<CallerResolver>()?,
        api_keys: ApiKeys::new(origin.database.control.clone()),
        control: origin.database.control.clone(),
        metrics: assembly.metrics.clone(),
        request_timeout: server.request_timeout,
        surfaces: index,
        routes: routes.clone(),
        gate: assembly.find::<Gate>().map(|gate| (*gate).clone()),
        meter: assembly.find::<Meter>().map(|meter| (*meter).clone()),
        cors: Arc::new((*server).clone()),
        bad_tokens: bad_tokens(&server, &assembly.rates),
        client_address_header: server.client_address_header.clone(),
        clock: Arc::clone(&origin.clock),
        rng: Arc::clone(&origin.rng),
    };
    Ok(layers.before(routes))
}

fn bad_tokens(server: &ServerSettings, rates: &Rates) -> AddressLimit {
    let quota = Quota::new(server.bad_token_rate_per_5min, Duration::from_mins(5));
    AddressLimit::new(BAD_TOKEN, quota, rates.limiter())
}
