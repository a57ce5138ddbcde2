//! PostgreSQL as the program sees it: control plane, data plane and what the monitor knows, opened together.

use rowhouse_kernel::{Secret, settings::DbSettings};
use tokio::task::JoinHandle;

use crate::control::Control;
use crate::error::DbError;
use crate::flight::{DataPlane, DataPlaneUrls, Login};
use crate::liveness::{Liveness, watch_server};

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
}

impl Database {
    /// Opens the pools and starts the monitor, whose task ends when it is aborted.
    ///
    /// # Errors
    /// If a URL cannot be read. That the server is away is not an error here: the monitor will say so.
    pub fn open(
        urls: &DatabaseUrls,
        settings: &DbSettings,
        live_sessions: bool,
    ) -> Result<(Self, JoinHandle<()>), DbError> {
        let control = Control::open(&urls.control, settings)?;
        let addresses = Login::from_url(&urls.control, settings.statement_timeout)?.addresses;
        // The monitor asks over a pool of its own: a busy pool is not a dead server.
        let asker = Control::open(&urls.control, &DbSettings { control_pool_size: 2, ..settings.clone() })?;
        let (liveness, monitor) = watch_server(asker, addresses);
        let data = DataPlane::open(&urls.data, settings, live_sessions, liveness.clone())?;
        Ok((Self { control: control.guarded(liveness.clone()), data, liveness }, monitor))
    }

    /// Connections open to the server, over all pools.
    #[must_use]
    pub fn connection_count(&self) -> usize {
        self.control.counts().0 + self.data.connection_count()
    }
}
