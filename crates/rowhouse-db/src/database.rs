//! The handle on one database: control plane, data plane and liveness monitor.

use rowhouse_kernel::Secret;
use tokio::task::JoinHandle;

use crate::control::Control;
use crate::error::DbError;
use crate::flight::{DataPlane, DataPlaneUrls, Login, Lookups};
use crate::liveness::{Liveness, Monitor};
use crate::settings::DbSettings;

/// One for the check, and one to repeat it if the first does not answer.
const MONITOR_CONNECTIONS: u32 = 2;

/// The URLs of one database.
#[derive(Debug, Clone)]
pub struct DatabaseUrls {
    /// As `rowhouse`, perhaps through a pooler.
    pub control: Secret,
    /// As `rowhouse`, to the server itself: for LISTEN, migrations and locks.
    pub direct: Secret,
    /// As the two data-plane logins.
    pub data: DataPlaneUrls,
}

impl DatabaseUrls {
    /// The same logins in another database of that server; a pooler need not know it.
    ///
    /// # Errors
    /// If a URL cannot be read.
    pub fn in_database(&self, name: &str) -> Result<Self, DbError> {
        let other = |url: &Secret| crate::url::with_database(url, name);
        let direct = other(&self.direct)?;
        let data = DataPlaneUrls {
            authenticator: other(&self.data.authenticator)?,
            service: other(&self.data.service)?,
        };
        Ok(Self { control: direct.clone(), direct, data })
    }
}

/// Everything opened on one database. Cheap to clone.
#[derive(Clone)]
pub struct Database {
    /// The control plane.
    pub control: Control,
    /// Reads of the control plane by one statement.
    pub lookups: Lookups,
    /// The data plane.
    pub data: DataPlane,
    /// Whether the server answers.
    pub liveness: Liveness,
    monitor: Monitor,
}

impl Database {
    /// Opens the pools. Whether the server answers is known while [`Database::monitor`] runs; until then it counts as up.
    ///
    /// # Errors
    /// If a URL cannot be read. An unreachable server is not an error here: the monitor reports it.
    pub fn open(urls: &DatabaseUrls, settings: &DbSettings, live_sessions: bool) -> Result<Self, DbError> {
        let control = Control::open(&urls.control, settings)?;
        let addresses = Login::from_url(&urls.control, settings.statement_timeout)?.addresses;
        // The monitor has a pool of its own: a busy pool is not a dead server.
        let asker = Control::open_named(
            "rowhouse-monitor",
            &urls.control,
            &DbSettings { control_pool_size: MONITOR_CONNECTIONS, ..settings.clone() },
        )?;
        let monitor = Monitor::new(asker, addresses);
        let liveness = monitor.liveness();
        let data = DataPlane::open(&urls.data, settings, live_sessions, liveness.clone())?;
        let lookups = Lookups::open(&urls.control, settings, data.schema_version(), liveness.clone())?;
        Ok(Self { control: control.guarded(liveness.clone()), lookups, data, liveness, monitor })
    }

    /// The same with a running monitor, for processes without a task supervisor.
    ///
    /// # Errors
    /// If a URL cannot be read.
    pub fn open_monitored(
        urls: &DatabaseUrls,
        settings: &DbSettings,
        live_sessions: bool,
    ) -> Result<(Self, JoinHandle<()>), DbError> {
        let database = Self::open(urls, settings, live_sessions)?;
        let monitoring = tokio::spawn(database.monitor(|| ()));
        Ok((database, monitoring))
    }

    /// Periodically checks whether the server answers; calls `beat` every few seconds.
    pub fn monitor<B: Fn() + Send>(&self, beat: B) -> impl Future<Output = ()> + Send + use<B> {
        self.monitor.clone().run(beat)
    }

    /// Connections open to the server, over all pools.
    #[must_use]
    pub fn connection_count(&self) -> usize {
        let (used, idle) = self.lookups.counts();
        self.control.counts().0 + used + idle + self.data.connection_count()
    }
}
