//! The health report: measured each time, never guessed, answered within two seconds whatever the database does.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rowhouse_db::{Database, Health as DatabaseHealth};
use rowhouse_kernel::SharedClock;
use serde::Serialize;
use time::format_description::well_known::Rfc3339;
use tokio::sync::Mutex;

use crate::user_sync::UserSync;

/// How long the database may take to answer before the report says it does not.
const PATIENCE: Duration = Duration::from_millis(1500);
/// Monitors may ask as often as they like; users are counted at most this often.
const FRESH: Duration = Duration::from_secs(1);

/// An overall verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Everything works.
    Healthy,
    /// It serves, and something needs attention.
    Degraded,
    /// It cannot serve.
    Unhealthy,
}

/// `GET /health`.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The worst of what follows.
    pub status: Status,
    /// When it was measured, RFC 3339.
    pub timestamp: String,
    /// Of this program.
    pub version: &'static str,
    /// `healthy`, or what is wrong.
    pub database: String,
    /// Null when it could not be measured.
    pub user_sync: Option<UserSync>,
    /// Each part's word.
    pub services: Services,
}

/// `services` of the report.
#[derive(Debug, Clone, Serialize)]
pub struct Services {
    /// `healthy` or `unhealthy`.
    pub database: &'static str,
    /// `healthy` or `unhealthy`.
    pub auth: &'static str,
    /// `healthy`, or `unhealthy` while no schema is loaded.
    pub rest: &'static str,
    /// `active`, `missing`, or `unknown` while it cannot be asked.
    pub triggers: &'static str,
}

/// Measures.
#[derive(Clone)]
pub struct Health {
    database: Database,
    clock: SharedClock,
    schema_loaded: Arc<dyn Fn() -> bool + Send + Sync>,
    last_sync: Arc<Mutex<Option<(Instant, UserSync)>>>,
}

impl Health {
    /// `schema_loaded` says whether the data API has a schema to serve.
    #[must_use]
    pub fn new(
        database: Database,
        clock: SharedClock,
        schema_loaded: Arc<dyn Fn() -> bool + Send + Sync>,
    ) -> Self {
        Self { database, clock, schema_loaded, last_sync: Arc::default() }
    }

    /// Whether requests can be served now, and if not why.
    ///
    /// # Errors
    /// The reason.
    pub fn ready(&self) -> Result<(), String> {
        if let DatabaseHealth::Down(why) = self.database.liveness.health() {
            return Err(format!("database: {why}"));
        }
        if !(self.schema_loaded)() {
            return Err("rest: no schema has been loaded yet".to_owned());
        }
        Ok(())
    }

    /// The whole report.
    pub async fn report(&self) -> Report {
        let sync = tokio::time::timeout(PATIENCE, self.user_sync()).await;
        let (user_sync, database) = match sync {
            Ok(Ok(sync)) => (Some(sync), "healthy".to_owned()),
            Ok(Err(error)) => (None, error),
            Err(_) => (None, format!("no answer within {PATIENCE:?}")),
        };
        let rest = (self.schema_loaded)();
        let status = match &user_sync {
            None => Status::Unhealthy,
            Some(_) if !rest => Status::Unhealthy,
            Some(sync) => sync.overall(),
        };
        let word = |good: bool| if good { "healthy" } else { "unhealthy" };
        let services = Services {
            database: word(user_sync.is_some()),
            auth: word(user_sync.is_some()),
            rest: word(rest && user_sync.is_some()),
            triggers: user_sync.as_ref().map_or("unknown", |sync| sync.triggers),
        };
        let timestamp = self.clock.now().format(&Rfc3339).unwrap_or_default();
        Report { status, timestamp, version: env!("CARGO_PKG_VERSION"), database, user_sync, services }
    }

    /// Asking at the same time waits for the one answer.
    pub(crate) async fn user_sync(&self) -> Result<UserSync, String> {
        let mut last = self.last_sync.lock().await;
        self.database.liveness.require_up().map_err(|error| error.to_string())?;
        if let Some((measured, sync)) = &*last
            && measured.elapsed() < FRESH
        {
            return Ok(sync.clone());
        }
        let sync = UserSync::measure(&self.database.control).await.map_err(|error| error.to_string())?;
        *last = Some((Instant::now(), sync.clone()));
        Ok(sync)
    }
}
