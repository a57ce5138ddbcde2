//! PostgreSQL as the program sees it: control plane, data plane and what the monitor knows, opened together.

use rowhouse_kernel::{Secret, settings::DbSettings};
use tokio::task::JoinHandle;

use crate::control::Control;
use crate::error::DbError;
use crate::flight::{DataPlane, DataPlaneUrls, Login};
use crate::liveness::{Liveness, Monitor};

/// One that asks, and one to ask anew where that one is silent.
const MONITOR_CONNECTIONS: u32 = 2;

/// The three URLs of one database.
#[derive(Debug, Clone)]
pub struct DatabaseUrls {
    /// As `rowhouse`.
    pub control: Secret,
    /// As the two data-plane logins.
    pub data: DataPlaneUrls,
}

/// Everything opened on one database. Cheap to clone.
#[derive(Clone)]
pub struct Database {
    /// Named transactions for platform code.
    pub control: Control,
    /// Callers' queries.
    pub data: DataPlane,
    /// Whether the server answers.
    pub liveness: Liveness,
    monitor: Monitor,
}

impl Database {
    /// Opens the pools. Whether the server answers is known while [`Database::monitor`] runs; until then it counts as up.
    ///
    /// # Errors
    /// If a URL cannot be read. That the server is away is not an error here: the monitor will say so.
    pub fn open(urls: &DatabaseUrls, settings: &DbSettings, live_sessions: bool) -> Result<Self, DbError> {
        let control = Control::open(&urls.control, settings)?;
        let addresses = Login::from_url(&urls.control, settings.statement_timeout)?.addresses;
        // The monitor asks over a pool of its own: a busy pool is not a dead server.
        let asker = Control::open_named(
            "rowhouse-monitor",
            &urls.control,
            &DbSettings { control_pool_size: MONITOR_CONNECTIONS, ..settings.clone() },
        )?;
        let monitor = Monitor::new(asker, addresses);
        let liveness = monitor.liveness();
        let data = DataPlane::open(&urls.data, settings, live_sessions, liveness.clone())?;
        Ok(Self { control: control.guarded(liveness.clone()), data, liveness, monitor })
    }

    /// The same with a monitor that runs until its task is aborted: where nothing supervises tasks.
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

    /// Asks the server again and again whether it answers; calls `beat` every few seconds.
    pub fn monitor<B: Fn() + Send>(&self, beat: B) -> impl Future<Output = ()> + Send + use<B> {
        self.monitor.clone().run(beat)
    }

    /// Connections open to the server, over all pools.
    #[must_use]
    pub fn connection_count(&self) -> usize {
        self.control.counts().0 + self.data.connection_count()
    }
}
