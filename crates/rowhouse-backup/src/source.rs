//! Which cluster is backed up, and by which login. Leaves what is done with the connections to its callers.

use rowhouse_db::DbSettings;
use rowhouse_db::replication::Replication;
use rowhouse_kernel::settings::Settings;
use rowhouse_kernel::{Rng, Secret, SharedClock};
use rowhouse_module::{CannotRun, CommandContext, Project, Secrets};
use tokio_postgres::Client;

/// Name of the slot that keeps WAL on the server until it is in the store. While there is one, backups are on.
pub(crate) const SLOT: &str = "rowhouse_backup";

/// A cluster, by a login that may replicate.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) url: Secret,
    /// Whether `up` has created the cluster.
    pub(crate) is_embedded: bool,
    clock: SharedClock,
}

impl Source {
    /// The project's cluster: that of the running `up` as its superuser, else that of the settings.
    pub(crate) fn of(context: &CommandContext) -> Result<Self, CannotRun> {
        let url = context.control_url()?;
        Self::new(&context.settings()?, Some(&context.project), &url, &*context.rng, &context.clock)
    }

    /// The same for a URL that leads to the project's database.
    pub(crate) fn new(
        settings: &Settings,
        project: Option<&Project>,
        url: &Secret,
        rng: &dyn Rng,
        clock: &SharedClock,
    ) -> Result<Self, CannotRun> {
        let clock = clock.clone();
        match project {
            Some(project) if settings.get::<DbSettings>().server_url().is_none() => {
                let secrets = Secrets::ensure(project, rng)?;
                let url = rowhouse_db::url::with_login(url, "postgres", &secrets.postgres)?;
                Ok(Self { url, is_embedded: true, clock })
            }
            _ => Ok(Self { url: url.clone(), is_embedded: false, clock }),
        }
    }

    pub(crate) async fn replicate(&self) -> Result<Replication, rowhouse_db::DbError> {
        Replication::connect(&self.url, self.clock.clone()).await
    }

    pub(crate) async fn connect(&self) -> Result<Client, rowhouse_db::DbError> {
        rowhouse_db::connect(&self.url).await
    }
}

/// Whether the cluster has the slot, and somebody receives.
pub(crate) async fn slot_state(client: &Client) -> Result<SlotState, tokio_postgres::Error> {
    let sql = "select active, \
                 coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0)::bigint, wal_status = 'lost' \
               from pg_replication_slots where slot_name = $1";
    let row = client.query_opt(sql, &[&SLOT]).await?;
    Ok(match row {
        None => SlotState::Missing,
        Some(row) if row.get::<_, Option<bool>>(2) == Some(true) => SlotState::Lost,
        Some(row) if row.get(0) => SlotState::InUse { kept_bytes: row.get(1) },
        Some(row) => SlotState::Free { kept_bytes: row.get(1) },
    })
}

/// What there is of the slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SlotState {
    /// There is none: backups are off.
    Missing,
    /// Nobody receives.
    Free {
        /// Bytes of WAL that the server keeps for it.
        kept_bytes: i64,
    },
    /// Somebody receives.
    InUse {
        /// The same.
        kept_bytes: i64,
    },
    /// The server has given up the WAL (`max_slot_wal_keep_size`).
    Lost,
}
