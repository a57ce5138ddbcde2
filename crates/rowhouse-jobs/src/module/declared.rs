//! The kinds of jobs that the process can run, and the declarations that are written before the first job runs.

use rowhouse_db::{Control, DbError, DbSettings};
use rowhouse_kernel::{SharedClock, SharedRng};
use rowhouse_module::{Assembly, BuiltInSchedule, CannotRun, Preparation, Registry, SearchPath};

use crate::config::{self, ConfigError, Declarations};
use crate::declared_kind;
use crate::outbound::Outbound;
use crate::settings::JobsSettings;
use crate::sql_handler::{self, SqlHandler};

/// This program's version.
pub(super) const RELEASE: &str = env!("CARGO_PKG_VERSION");

/// Kinds with their handlers, and the file's declarations.
#[derive(Clone)]
pub(super) struct Declared {
    pub(super) registry: Registry,
    schedules: Vec<BuiltInSchedule>,
    preparations: Vec<Preparation>,
    pub(super) settings: JobsSettings,
}

impl Declared {
    /// Collects the kinds and opens the pools that handlers need.
    pub(super) fn from_assembly(assembly: &Assembly) -> Result<Self, CannotRun> {
        let settings = (*assembly.origin.settings.get::<JobsSettings>()).clone();
        let mut registry = assembly.assembled.kinds.clone();
        let functions = sql_handler(assembly)?;
        registry.add(SqlHandler::kind(), functions.clone());
        let outbound = assembly.require::<Outbound>()?;
        let clock = &assembly.origin.clock;
        let mistakes = declared_kind::add_kinds(&mut registry, &settings, &outbound, &functions, clock);
        if !mistakes.is_empty() {
            return Err(CannotRun(mistakes));
        }
        let (schedules, preparations) =
            (assembly.assembled.schedules.clone(), assembly.assembled.preparations.clone());
        Ok(Self { registry, schedules, preparations, settings })
    }

    /// Writes the declarations; see `config::sync`.
    pub(super) async fn write(
        &self,
        control: &Control,
        clock: &SharedClock,
        rng: &SharedRng,
    ) -> Result<(), ConfigError> {
        let declared = Declarations {
            settings: &self.settings,
            registry: &self.registry,
            built_in: &self.schedules,
            release: RELEASE,
        };
        config::sync(control, &declared, clock, rng).await?;
        for preparation in &self.preparations {
            preparation().await.map_err(|error: DbError| ConfigError::from(error))?;
        }
        Ok(())
    }
}

/// The handler for functions, with the search path of requests.
fn sql_handler(assembly: &Assembly) -> Result<SqlHandler, CannotRun> {
    let origin = &assembly.origin;
    let database = origin.settings.get::<DbSettings>();
    // Functions are bounded by their jobs' timeouts instead, also while they wait for locks.
    let settings = DbSettings {
        control_pool_size: sql_handler::MOST_AT_ONCE,
        control_lock_timeout: std::time::Duration::ZERO,
        ..(*database).clone()
    };
    let path = assembly.require::<SearchPath>()?;
    let open = |url| rowhouse_db::Control::open_named("rowhouse-functions", url, &settings);
    let (control, calls) = (open(&origin.urls.control)?, open(&origin.urls.data.authenticator)?);
    Ok(SqlHandler::new(control, calls, path.0.clone()))
}
