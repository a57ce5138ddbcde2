//! The composition of a process: what modules receive, and what they add.
//!
//! Leaves running what was added to `App`.

use std::any::{Any, TypeId, type_name};
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use rowhouse_db::{Database, DatabaseUrls, DbError, Heard, ListenHub};
use rowhouse_http::api::{AdminApi, Routes};
use rowhouse_http::limit::Rates;
use rowhouse_http::{BackgroundTask, Metrics, Shutdown, Supervisor, Surface};
use rowhouse_kernel::settings::Settings;
use rowhouse_kernel::{Secret, SharedClock, SharedRng};
use tokio::sync::broadcast;

use crate::job::Handler;
use crate::{BuiltInSchedule, CannotRun, HealthCheck, JobKind, ListenerService, Mode, Project, Registry};

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

/// What is known before any module starts.
pub struct Origin {
    /// Complete settings; `server.public_url` is set.
    pub settings: Settings,
    /// An open database, platform migrations applied.
    pub database: Database,
    /// Its URLs, for connections outside the pools.
    pub urls: DatabaseUrls,
    /// The time.
    pub clock: SharedClock,
    /// For ids and secrets.
    pub rng: SharedRng,
    /// What this process does.
    pub roles: Roles,
    /// How it was started.
    pub mode: Mode,
    /// The project's folder, if there is one.
    pub project: Option<Project>,
    /// Addresses of the modules' listeners, by name.
    pub addresses: BTreeMap<&'static str, SocketAddr>,
}

/// Something to report to whoever started the process: a line of the banner, a field of `state.json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// The field's name.
    pub key: &'static str,
    /// Its label in the banner; `None` leaves it out.
    pub label: Option<&'static str>,
    /// The value.
    pub value: serde_json::Value,
}

/// Wakes this process's workers for jobs of the kind, after the commit that has enqueued them; does nothing in a process
/// that runs none.
#[derive(Clone)]
pub struct Waker(pub Arc<dyn Fn(&'static str) + Send + Sync>);

/// The search path of requests of the data API, in the syntax of `set search_path`; functions that run as jobs have
/// the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchPath(pub String);

/// The secret behind signing keys at rest, from which modules derive keys of their own.
#[derive(Debug, Clone)]
pub struct KeySecret(pub Secret);

/// The front end's URL, where links in mails lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteUrl(pub String);

/// Database work that precedes this process's first job; repeated until it succeeds.
pub type Preparation =
    Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<(), DbError>> + Send>> + Send + Sync>;

/// Everything that the modules have added.
#[derive(Default)]
pub struct Assembled {
    /// What answers requests.
    pub surfaces: Vec<Surface>,
    /// Routes below `/admin/v1`.
    pub admin: AdminApi,
    /// Jobs that this process can run.
    pub kinds: Registry,
    /// Schedules that the modules bring along.
    pub schedules: Vec<BuiltInSchedule>,
    /// Database work that precedes the first job.
    pub preparations: Vec<Preparation>,
    /// What runs in the background.
    pub tasks: Vec<BackgroundTask>,
    /// Health checks of the parts.
    pub checks: Vec<HealthCheck>,
    /// Services of listeners, by the listeners' names.
    pub services: Vec<(&'static str, ListenerService)>,
    /// What to report at start.
    pub facts: Vec<Fact>,
}

/// A process under composition.
pub struct Assembly {
    /// What was known before any module started.
    pub origin: Origin,
    /// The metrics registry.
    pub metrics: Metrics,
    /// Where requests are counted against limits: in this process's memory, until a module sets what processes share.
    pub rates: Rates,
    /// Runs the background tasks once every module has started, and knows their state.
    pub supervisor: Supervisor,
    /// The shutdown signal.
    pub shutdown: Shutdown,
    /// What has been added so far; complete once every module has started.
    pub assembled: Assembled,
    hub: ListenHub,
    provided: HashMap<TypeId, Arc<dyn Any + Send + Sync>>,
}

impl Assembly {
    /// An assembly to which nothing has been added.
    #[must_use]
    pub fn new(origin: Origin, metrics: Metrics, hub: ListenHub) -> Self {
        let (supervisor, assembled, provided) = (Supervisor::default(), Assembled::default(), HashMap::new());
        let rates = Rates::in_memory(Arc::clone(&origin.clock));
        Self { origin, metrics, rates, supervisor, shutdown: Shutdown::default(), assembled, hub, provided }
    }

    /// A subscription to the channels of all modules.
    #[must_use]
    pub fn listen(&self) -> broadcast::Receiver<Heard> {
        self.hub.subscribe()
    }

    /// The hub itself, for tasks that subscribe again when they are restarted.
    #[must_use]
    pub fn hub(&self) -> ListenHub {
        self.hub.clone()
    }

    /// Provides a value to the modules after this one; one of each type.
    pub fn provide<T: Any + Send + Sync>(&mut self, value: Arc<T>) {
        self.provided.insert(TypeId::of::<T>(), value);
    }

    /// What a module before this one has provided, if any.
    #[must_use]
    pub fn find<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        Arc::clone(self.provided.get(&TypeId::of::<T>())?).downcast().ok()
    }

    /// A value that a module before this one must have provided.
    ///
    /// # Errors
    /// If none has: a mistake in the list of modules.
    pub fn require<T: Any + Send + Sync>(&self) -> Result<Arc<T>, CannotRun> {
        self.find().ok_or_else(|| {
            CannotRun::because(format!("no module before this one provides {}", type_name::<T>()))
        })
    }

    /// Adds a surface. Ignored in a process without the API.
    pub fn surface(&mut self, surface: Surface) {
        self.assembled.surfaces.push(surface);
    }

    /// Adds routes below `/admin/v1` and the prefix, such as `/jobs`, with their description.
    pub fn admin<S>(&mut self, prefix: &str, routes: fn() -> Routes<S>, state: S)
    where
        S: Clone + Send + Sync + 'static,
    {
        let admin = std::mem::take(&mut self.assembled.admin);
        self.assembled.admin = admin.serve(prefix, routes, state);
    }

    /// Adds a kind of job.
    pub fn kind(&mut self, kind: JobKind, handler: impl Handler) {
        self.assembled.kinds.add(kind, handler);
    }

    /// Adds a schedule.
    pub fn schedule(&mut self, schedule: BuiltInSchedule) {
        self.assembled.schedules.push(schedule);
    }

    /// Adds database work that precedes this process's first job.
    pub fn prepare(&mut self, preparation: Preparation) {
        self.assembled.preparations.push(preparation);
    }

    /// Adds a background task; it starts when every module has.
    pub fn task(&mut self, task: BackgroundTask) {
        self.assembled.tasks.push(task);
    }

    /// Adds a health check.
    pub fn check(&mut self, check: HealthCheck) {
        self.assembled.checks.push(check);
    }

    /// Sets the service of one of the module's listeners.
    pub fn serve(&mut self, listener: &'static str, service: ListenerService) {
        self.assembled.services.push((listener, service));
    }

    /// Adds something to report at start.
    pub fn fact(
        &mut self,
        key: &'static str,
        label: Option<&'static str>,
        value: impl Into<serde_json::Value>,
    ) {
        self.assembled.facts.push(Fact { key, label, value: value.into() });
    }
}
