//! Keeps the tenants' limits in step with the database.

use std::sync::Arc;
use std::time::Duration;

use rowhouse_db::{Database, DbError, Heard};
use rowhouse_tenancy::limit::{CHANNEL, TenantLimits};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

/// Pause before a failed reload is tried again, unless a notice comes first.
const RETRY: Duration = Duration::from_secs(2);
/// Pause while nothing is due; a notice ends it.
const NEVER: Duration = Duration::from_secs(86_400);

/// The limits and what they are read from.
#[derive(Clone)]
pub(super) struct Tenants {
    limits: Arc<TenantLimits>,
    database: Database,
}

impl Tenants {
    pub(super) fn new(limits: Arc<TenantLimits>, database: Database) -> Self {
        Self { limits, database }
    }

    /// Reads all limits; on failure those in use stay. True if it succeeded.
    pub(super) async fn reload(&self) -> bool {
        let loaded = self.database.liveness.guard(self.load()).await;
        if let Err(error) = &loaded {
            tracing::warn!(%error, "the tenants' limits could not be loaded; those in use stay");
        }
        loaded.is_ok()
    }

    async fn load(&self) -> Result<(), DbError> {
        let client = self.database.control.connection().await?;
        self.limits.reload(&client).await
    }

    /// Reloads when limits change and whenever listening begins anew, until the hub is gone.
    pub(super) async fn follow(self, mut heard: Receiver<Heard>) {
        let mut current = true;
        loop {
            match tokio::time::timeout(if current { NEVER } else { RETRY }, heard.recv()).await {
                Ok(Ok(Heard::Notice { channel, .. })) if channel != CHANNEL => continue,
                Ok(Err(RecvError::Closed)) => return,
                _ => {}
            }
            while !matches!(heard.try_recv(), Err(TryRecvError::Empty | TryRecvError::Closed)) {}
            current = self.reload().await;
        }
    }
}
