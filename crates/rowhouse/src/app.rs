//! Which room answers which path, and what runs in the background.

mod limit;
mod reload;

use std::sync::Arc;

use axum::response::Response;
use axum::{Router, middleware};
use http::StatusCode;
use rowhouse_auth::{Auth, AuthParts, KeyStore};
use rowhouse_db::{Database, ListenHub};
use rowhouse_http::{CallerResolver, Dialect, ForeignTokens, Layers, Metrics, cors, observe};
use rowhouse_kernel::settings::Settings;
use rowhouse_kernel::{Secret, SharedClock, SharedRng};
use rowhouse_ops::{Health, Ops};
use rowhouse_rest::{Ceilings, Rest, SchemaCache};
use rowhouse_tenancy::limit::TenantLimits;
use tokio::task::JoinHandle;

use crate::outcome::CannotRun;

/// Channels the program listens on.
const CHANNELS: &[&str] = &["pgrst", "rowhouse_keys", rowhouse_tenancy::limit::CHANNEL];

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
}

/// A running app: its router, and tasks that end with it.
pub struct App {
    /// Answers every path.
    pub router: Router,
    /// The key ring.
    pub keys: KeyStore,
    tasks: Vec<JoinHandle<()>>,
}

impl App {
    /// Loads keys and schema, and puts the rooms together.
    ///
    /// # Errors
    /// If the key ring cannot be opened, a setting makes no sense, or the metrics registry is taken.
    pub async fn start(parts: Parts) -> Result<Self, CannotRun> {
        let Parts { settings, database, control_url, clock, rng } = parts;
        let public_url = settings.server.public_url.clone().unwrap_or_default();
        let foreign = ForeignTokens::from_settings(&settings.auth).map_err(CannotRun::because)?;
        let metrics = Metrics::install().map_err(CannotRun::because)?;
        let keys =
            KeyStore::open(database.control.clone(), &settings.auth, Arc::clone(&clock), Arc::clone(&rng))
                .await
                .map_err(|error| CannotRun::because(error.to_string()))?;
        let auth = Auth::new(AuthParts {
            control: database.control.clone(),
            keys: keys.clone(),
            settings: settings.auth.clone(),
            public_url,
            clock: Arc::clone(&clock),
            rng: Arc::clone(&rng),
        });
        let (hub, listening) = ListenHub::start(control_url, CHANNELS);
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
        let loaded = Arc::new(move || cache.current().is_some());
        let health = Health::new(database.clone(), Arc::clone(&clock), loaded);
        let metrics_token = settings.server.metrics_token.clone().map(Arc::new);
        let ops = Ops { health, metrics: metrics.clone(), database, metrics_token };
        let layers = Layers {
            resolver: CallerResolver::new(keys.shared(), foreign, Arc::clone(&clock)),
            metrics,
            request_timeout: settings.server.request_timeout,
            client_address_header: settings.server.client_address_header.clone(),
            clock,
            rng,
        };
        let router = router(&settings, auth, rest, ops, layers);
        Ok(Self { router, keys, tasks: vec![listening, following, reloading, limiting, folding] })
    }

    /// Ends the background tasks.
    pub fn stop(&self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

fn router(settings: &Settings, auth: Auth, rest: Rest, ops: Ops, layers: Layers) -> Router {
    let rest_root = rowhouse_rest::root_router(rest.clone());
    let rest = rowhouse_rest::router(rest);
    let well_known = rowhouse_auth::well_known_router(auth.clone());
    let mut router = Router::new()
        .nest("/auth/v1", rowhouse_auth::router(auth))
        .nest("/rest/v1", rest.clone())
        .nest("/rest/v1/", rest_root)
        .merge(rowhouse_ops::router(ops))
        .merge(well_known);
    if let Some(alias) = settings
        .server
        .rest_alias
        .as_deref()
        .map(|alias| alias.trim_end_matches('/'))
        .filter(|alias| alias.starts_with('/'))
    {
        router = router.nest(alias, rest);
    }
    router
        .fallback(unknown)
        .layer(middleware::from_fn_with_state(Arc::new(settings.server.clone()), cors))
        .layer(middleware::from_fn_with_state(Arc::new(layers), observe))
}

async fn unknown() -> Response {
    Dialect::Plain.error(StatusCode::NOT_FOUND, "not_found", "no such path")
}
