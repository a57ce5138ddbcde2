//! Which room answers which path, and what runs in the background.

mod limit;
mod reload;

use std::sync::Arc;
use std::time::Duration;

use axum::{Router, middleware};
use rowhouse_auth::{Auth, AuthParts, KeyStore};
use rowhouse_db::{Control, Database, ListenHub};
use rowhouse_http::{
    CallerResolver, Dialect, ForeignTokens, Layers, Metrics, Surface, Surfaces, cors, observe,
};
use rowhouse_kernel::settings::Settings;
use rowhouse_kernel::{Secret, SharedClock, SharedRng};
use rowhouse_mail::{Intake, Templates};
use rowhouse_ops::{Check, Checks, Health, Ops};
use rowhouse_rest::{Ceilings, Rest, SchemaCache};
use rowhouse_tenancy::limit::TenantLimits;
use tokio::task::JoinHandle;

use crate::mail::Mail;
use crate::outcome::CannotRun;
use crate::worker::Working;

/// Channels the program listens on.
const CHANNELS: &[&str] =
    &["pgrst", "rowhouse_keys", rowhouse_tenancy::limit::CHANNEL, crate::worker::CHANNEL];

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Roles {
    /// Answers requests.
    pub api: bool,
    /// Runs jobs.
    pub worker: bool,
}

impl Roles {
    /// Everything.
    pub const ALL: Self = Self { api: true, worker: true };
}

/// What an app is made of.
pub struct Parts {
    /// Complete settings; `server.public_url` is set.
    pub settings: Settings,
    /// An open database, platform migrations applied.
    pub database: Database,
    /// URL of the control plane, for LISTEN.
    pub control_url: Secret,
    /// The time.
    pub clock: SharedClock,
    /// For ids and secrets.
    pub rng: SharedRng,
    /// What this process does.
    pub roles: Roles,
    /// Those of mails, the project's among them.
    pub templates: Arc<Templates>,
}

/// A running app: its router, and tasks that end with it.
pub struct App {
    /// Answers every path.
    pub router: Router,
    /// The key ring.
    pub keys: KeyStore,
    pub(crate) mail: Mail,
    worker: Option<Working>,
    drain_timeout: Duration,
    tasks: Vec<JoinHandle<()>>,
}

impl App {
    /// Loads keys and schema, and puts the rooms together.
    ///
    /// # Errors
    /// If the key ring cannot be opened, a setting makes no sense, or the metrics registry is taken.
    pub async fn start(parts: Parts) -> Result<Self, CannotRun> {
        let foreign = ForeignTokens::from_settings(&parts.settings.auth).map_err(CannotRun::because)?;
        let metrics = Metrics::install().map_err(CannotRun::because)?;
        let keys = open_keys(&parts).await?;
        let (hub, listening) = ListenHub::start(parts.control_url.clone(), CHANNELS);
        let worker = match parts.roles.worker && parts.settings.jobs.workers {
            true => Some(Working::start(&parts, hub.subscribe()).await?),
            false => None,
        };
        let mailer = crate::mail::mailer(&parts)?;
        let Parts { settings, database, clock, rng, roles, .. } = parts;
        let auth = Auth::new(AuthParts {
            control: database.control.clone(),
            keys: keys.clone(),
            settings: settings.auth.clone(),
            public_url: settings.server.public_url.clone().unwrap_or_default(),
            clock: Arc::clone(&clock),
            rng: Arc::clone(&rng),
        });
        let waker = worker.as_ref().map(|worker| worker.waker(rowhouse_mail::SEND));
        let waker = waker.unwrap_or_else(|| Arc::new(|| ()));
        let intake = Intake::start(&mailer, &database.control, &waker);
        let (times, chances) = (Arc::clone(&clock), Arc::clone(&rng));
        let mail = Mail::new(&settings, &database.control, &keys, intake, times, chances)?;
        let cache = SchemaCache::new();
        let schema = reload::Schema::new(Arc::clone(&cache), settings.rest.schemas.clone(), database.clone());
        let following = tokio::spawn(keys.clone().follow(hub.subscribe()));
        let folding = tokio::spawn(metrics.clone().fold());
        let reloading = tokio::spawn(schema.clone().follow(hub.subscribe()));
        let tenants = Arc::new(TenantLimits::default());
        let limits = limit::Tenants::new(Arc::clone(&tenants), database.clone());
        let limiting = tokio::spawn(limits.clone().follow(hub.subscribe()));
        tokio::join!(schema.reload(), limits.reload());
        let ceilings = Ceilings { default_timeout: settings.db.statement_timeout, tenants };
        let rest = Rest::new(database.data.clone(), Arc::clone(&cache), ceilings, settings.rest.clone());
        let loaded: Check = Arc::new(move || cache.current().is_some());
        let worker_check = worker.as_ref().map(Working::check);
        let checks = Checks { rest: roles.api.then_some(loaded), worker: worker_check };
        let health = Health::new(database.clone(), Arc::clone(&clock), checks);
        let metrics_token = settings.server.metrics_token.clone().map(Arc::new);
        let control = database.control.clone();
        let counting = tokio::spawn(rowhouse_jobs::gauge::keep(control.clone()));
        let ops = Ops { health, metrics: metrics.clone(), database, metrics_token };
        let mut surfaces = vec![Surface::root(rowhouse_ops::router(ops))];
        if roles.api {
            surfaces.extend(self::surfaces(&settings, auth, rest, mail.router(), control));
        }
        let surfaces = Surfaces::new(surfaces).map_err(|error| CannotRun::because(error.to_string()))?;
        let layers = Layers {
            resolver: CallerResolver::new(keys.shared(), foreign, Arc::clone(&clock)),
            metrics,
            request_timeout: settings.server.request_timeout,
            surfaces: surfaces.index(),
            client_address_header: settings.server.client_address_header.clone(),
            clock,
            rng,
        };
        let router = around(&settings, surfaces.router(), layers);
        let drain_timeout = settings.server.drain_timeout;
        let tasks = vec![listening, following, reloading, limiting, folding, counting];
        Ok(Self { router, keys, mail, worker, drain_timeout, tasks })
    }

    /// Lets the worker finish what it runs, as long as a shutdown may take; nothing is claimed any more.
    pub async fn drain(&self) {
        if let Some(worker) = &self.worker {
            worker.leave(self.drain_timeout).await;
        }
    }

    /// Ends the background tasks.
    pub fn stop(&self) {
        if let Some(worker) = &self.worker {
            worker.stop();
        }
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn open_keys(parts: &Parts) -> Result<KeyStore, CannotRun> {
    let (clock, rng) = (Arc::clone(&parts.clock), Arc::clone(&parts.rng));
    KeyStore::open(parts.database.control.clone(), &parts.settings.auth, clock, rng)
        .await
        .map_err(|error| CannotRun::because(error.to_string()))
}

/// What a process answers that has the role `api`.
fn surfaces(settings: &Settings, auth: Auth, rest: Rest, mail: Router, control: Control) -> Vec<Surface> {
    let rest = rowhouse_rest::router(rest);
    let mut surfaces = vec![
        Surface::root(rowhouse_auth::well_known_router(auth.clone())),
        Surface::new("/auth/v1", Dialect::AUTH, rowhouse_auth::router(auth)),
        Surface::new("/rest/v1", Dialect::REST, rest.clone()),
        Surface::new("/mail/v1", Dialect::PLAIN, mail),
        Surface::new("/admin/v1", Dialect::PROBLEM, crate::admin::router(control)),
    ];
    let alias = settings.server.rest_alias.as_deref().map(|alias| alias.trim_end_matches('/'));
    if let Some(alias) = alias.filter(|alias| alias.starts_with('/')) {
        surfaces.push(Surface::new(alias, Dialect::REST, rest));
    }
    surfaces
}

/// What every request passes, whatever answers it.
fn around(settings: &Settings, router: Router, layers: Layers) -> Router {
    router
        .layer(middleware::from_fn_with_state(Arc::new(settings.server.clone()), cors))
        .layer(middleware::from_fn_with_state(Arc::new(layers), observe))
}
