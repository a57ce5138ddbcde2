//! The health report: measured each time, never guessed, answered within two seconds whatever the database does.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rowhouse_db::{Database, Health as DatabaseHealth};
use rowhouse_http::Supervisor;
use rowhouse_kernel::{Operation, SharedClock};
use rowhouse_module::{HealthCheck, Weight};
use rowhouse_tenancy::user_sync::{Trigger, UserSync};
use serde::Serialize;
use time::format_description::well_known::Rfc3339;
use tokio::sync::OwnedMutexGuard;
use tokio_postgres::Client;

use crate::readiness::Readiness;

/// How long the database may take to answer before the report says it does not.
const DATABASE_TIMEOUT: Duration = Duration::from_millis(1500);
/// Users are counted at most this often, however often monitors ask; so a report is at most that old.
const MIN_COUNT_INTERVAL: Duration = Duration::from_secs(1);
/// How long the last count is reported while the next one is running.
const MAX_COUNT_AGE: Duration = Duration::from_secs(60);
/// Counting takes at most about 1/10 of the time: a count of more than 100 ms is reported for longer than a second.
const COST_SHARE: u32 = 10;

/// The overall status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Everything works.
    Healthy,
    /// It serves, and something needs attention.
    Degraded,
    /// It cannot serve.
    Unhealthy,
}

impl From<Weight> for Status {
    fn from(weight: Weight) -> Self {
        match weight {
            Weight::Unhealthy => Self::Unhealthy,
            Weight::Degraded => Self::Degraded,
        }
    }
}

/// `GET /health`.
#[derive(Debug, Clone, Serialize)]
pub struct HealthReport {
    /// The worst of what follows.
    pub status: Status,
    /// When it was measured, RFC 3339.
    pub timestamp: String,
    /// The program's version.
    pub version: &'static str,
    /// `healthy`, or what is wrong.
    pub database: String,
    /// `null` when it could not be measured.
    pub user_sync: Option<UserSync>,
    /// Each part's status: `healthy`, `unhealthy`, or `off` in a process that does not run it; for the triggers
    /// on users `active`, `missing`, `disabled`, or `unknown` while the database does not answer.
    pub services: BTreeMap<&'static str, &'static str>,
    /// What the checks of the parts that are not healthy say; for whoever may read `/metrics`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub reasons: BTreeMap<&'static str, String>,
}

/// A count of users and profiles.
#[derive(Debug, Clone)]
struct Counted {
    began: Instant,
    took: Duration,
    sync: UserSync,
}

impl Counted {
    /// Whether it is reported without counting again.
    fn is_fresh(&self) -> bool {
        self.began.elapsed() < MIN_COUNT_INTERVAL.max(self.took * COST_SHARE)
    }
}

/// Measures.
#[derive(Clone)]
pub struct Health {
    database: Database,
    clock: SharedClock,
    checks: Arc<[HealthCheck]>,
    supervisor: Supervisor,
    readiness: Readiness,
    /// Whether the control plane can write, alone; its findings are not readiness'.
    writing: Readiness,
    answers_requests: bool,
    measuring: Arc<tokio::sync::Mutex<()>>,
    last_sync: Arc<Mutex<Option<Counted>>>,
}

impl Health {
    /// Reports on this database and these parts and tasks. A process that serves no data API
    /// (`answers_requests` is false) is ready without the data plane.
    #[must_use]
    pub fn new(
        database: Database,
        clock: SharedClock,
        checks: Vec<HealthCheck>,
        supervisor: Supervisor,
        answers_requests: bool,
    ) -> Self {
        let checks = checks.into();
        let (readiness, writing) = (Readiness::new(database.clone()), Readiness::new(database.clone()));
        let (measuring, last_sync) = (Arc::default(), Arc::default());
        Self {
            database,
            clock,
            checks,
            supervisor,
            readiness,
            writing,
            answers_requests,
            measuring,
            last_sync,
        }
    }

    /// Whether requests can be served now, and if not why.
    ///
    /// # Errors
    /// The reason.
    pub async fn ready(&self) -> Result<(), String> {
        if let DatabaseHealth::Down(why) = self.database.liveness.health() {
            return Err(format!("database: {why}"));
        }
        for check in self.checks.iter().filter(|check| check.weight == Weight::Unhealthy) {
            check.ask().map_err(|why| format!("{}: {why}", check.name))?;
        }
        match self.failing_task() {
            Some(task) => Err(format!("background task {task}: being restarted")),
            None => self.readiness.check(self.answers_requests).await,
        }
    }

    fn failing_task(&self) -> Option<&'static str> {
        self.supervisor.statuses().iter().find(|task| !task.is_up()).map(|task| task.name)
    }

    /// Measures everything once.
    pub async fn report(&self) -> HealthReport {
        let (counted, unwritable) = tokio::join!(self.user_sync(), self.writing.why_unwritable());
        let (user_sync, trouble) = match counted {
            Ok(sync) => (Some(sync), unwritable),
            Err(error) => (None, Some(error)),
        };
        let is_up = trouble.is_none();
        let mut status = user_sync.as_ref().filter(|_| is_up).map_or(Status::Unhealthy, overall);
        let word = |good: bool| if good { "healthy" } else { "unhealthy" };
        let mut services = BTreeMap::from([("database", word(is_up)), ("auth", word(is_up))]);
        let trigger = user_sync.as_ref().map(|sync| sync.trigger);
        services.insert("triggers", trigger.map_or("unknown", Trigger::as_str));
        let mut reasons = BTreeMap::new();
        for check in self.checks.iter() {
            let asked = check.ask();
            let good = asked.is_ok();
            reasons.extend(asked.err().map(|why| (check.name, why)));
            services.insert(check.name, if check.is_on() { word(good && is_up) } else { "off" });
            status = status.max(if good { Status::Healthy } else { check.weight.into() });
        }
        let tasks_are_up = self.failing_task().is_none();
        services.insert("tasks", word(tasks_are_up));
        status = status.max(if tasks_are_up { Status::Healthy } else { Status::Degraded });
        let timestamp = self.clock.now().format(&Rfc3339).unwrap_or_default();
        let database = trouble.unwrap_or_else(|| "healthy".to_owned());
        let version = env!("CARGO_PKG_VERSION");
        HealthReport { status, timestamp, version, database, user_sync, services, reasons }
    }

    /// Concurrent calls share one count. A count that takes longer than the time-out continues in the
    /// background; until it ends the last result is reported, for at most a minute.
    pub(crate) async fn user_sync(&self) -> Result<UserSync, String> {
        self.database.liveness.require_up().map_err(|error| error.to_string())?;
        let health = self.clone();
        let measuring = async move {
            match Arc::clone(&health.measuring).try_lock_owned() {
                Ok(turn) => tokio::spawn(async move { health.measure(turn).await })
                    .await
                    .unwrap_or_else(|error| Err(error.to_string())),
                Err(_) => {
                    let _ended = health.measuring.lock().await;
                    health.last().ok_or_else(|| "users could not be counted".to_owned())
                }
            }
        };
        match tokio::time::timeout(DATABASE_TIMEOUT, measuring).await {
            Ok(measured) => measured,
            Err(_) => self.last().ok_or_else(|| format!("no answer within {DATABASE_TIMEOUT:?}")),
        }
    }

    async fn measure(&self, _turn: OwnedMutexGuard<()>) -> Result<UserSync, String> {
        if let Some(counted) = self.counted().filter(Counted::is_fresh) {
            return Ok(counted.sync);
        }
        let began = Instant::now();
        let count = async |client: &Client| UserSync::measure(client).await;
        let counted = self.database.control.statement(&Operation::system("ops.user_sync"), count).await;
        let sync = counted.map_err(|error| error.to_string())?;
        let counted = Counted { began, took: began.elapsed(), sync: sync.clone() };
        *self.last_sync.lock().unwrap_or_else(PoisonError::into_inner) = Some(counted);
        Ok(sync)
    }

    /// The last count while the next one is running.
    fn last(&self) -> Option<UserSync> {
        let counted = self.counted().filter(|counted| counted.began.elapsed() < MAX_COUNT_AGE);
        counted.map(|counted| counted.sync)
    }

    fn counted(&self) -> Option<Counted> {
        self.last_sync.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The program works while profiles are missing.
fn overall(sync: &UserSync) -> Status {
    if sync.is_complete() { Status::Healthy } else { Status::Degraded }
}

#[cfg(test)]
mod tests;
