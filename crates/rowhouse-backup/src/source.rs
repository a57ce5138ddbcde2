//! Which cluster is backed up, and by which login. Leaves what is done with the connections to its callers.

use std::time::Duration;

use aws_lc_rs::digest;
use data_encoding::HEXLOWER;
use rowhouse_db::replication::Replication;
use rowhouse_db::{DbError, DbSettings};
use rowhouse_kernel::settings::Settings;
use rowhouse_kernel::{Rng, Secret, SharedClock};
use rowhouse_module::{CannotRun, CommandContext, Project, Secrets};
use tokio_postgres::Client;

/// Name of the slot that keeps WAL on the server until it is in the store. While there is one, it is received; whether backups are
/// wanted is in `state`. Slots belong to the cluster: beside the databases of other projects, the database's name follows.
const SLOT: &str = "rowhouse_backup";
/// Letters of the database's name in a slot's, which has 63 at most.
const NAME_LETTERS: usize = 30;

/// SQLSTATE `object_in_use`.
const IN_USE: &str = "55006";
const REMOVE_ATTEMPTS: u32 = 25;
const REMOVE_PAUSE: Duration = Duration::from_millis(200);

/// A cluster, by a login that may replicate.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) url: Secret,
    /// Whether `up` has created the cluster.
    pub(crate) is_embedded: bool,
    /// The name of its slot.
    pub(crate) slot: String,
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
                Ok(Self { url, is_embedded: true, slot: slot_name(true, ""), clock })
            }
            _ => {
                let config = rowhouse_db::url::read(url)?;
                let slot = slot_name(false, config.get_dbname().or(config.get_user()).unwrap_or_default());
                Ok(Self { url: url.clone(), is_embedded: false, slot, clock })
            }
        }
    }

    pub(crate) async fn replicate(&self) -> Result<Replication, DbError> {
        Replication::connect(&self.url, self.clock.clone()).await
    }

    pub(crate) async fn connect(&self) -> Result<Client, DbError> {
        rowhouse_db::connect(&self.url).await
    }
}

/// The slot's name: in a cluster that `up` has created there is one project.
pub(crate) fn slot_name(is_embedded: bool, database: &str) -> String {
    if is_embedded { SLOT.to_owned() } else { slot_of(database) }
}

/// The slot for a database: its name in the letters that slots may have, and a digest, since others may be the same in these.
fn slot_of(database: &str) -> String {
    let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '_' };
    let name: String = database.chars().take(NAME_LETTERS).map(plain).collect();
    let digest = digest::digest(&digest::SHA256, database.as_bytes());
    format!("{SLOT}_{name}_{}", HEXLOWER.encode(&digest.as_ref()[..4]))
}

/// Whether the cluster has the slot, and somebody receives.
pub(crate) async fn slot_state(client: &Client, slot: &str) -> Result<SlotState, tokio_postgres::Error> {
    let sql = "select active, \
                 coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0)::bigint, wal_status = 'lost' \
               from pg_replication_slots where slot_name = $1";
    let row = client.query_opt(sql, &[&slot]).await?;
    Ok(match row {
        None => SlotState::Missing,
        Some(row) if row.get::<_, Option<bool>>(2) == Some(true) => SlotState::Lost,
        Some(row) if row.get(0) => SlotState::InUse { kept_bytes: row.get(1) },
        Some(row) => SlotState::Free { kept_bytes: row.get(1) },
    })
}

/// A slot that nobody reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unread {
    pub(crate) name: String,
    /// Bytes of WAL that the server keeps for it.
    pub(crate) kept_bytes: i64,
}

/// Slots of backups that nobody reads: the project's own, and those of no database that is there, such as one that was renamed.
/// Those of other databases are their projects' own.
pub(crate) async fn unread_slots(client: &Client, own: &str) -> Result<Vec<Unread>, tokio_postgres::Error> {
    let sql = "select slot_name::text, coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0)::bigint \
               from pg_replication_slots where starts_with(slot_name, $1) and slot_type = 'physical' and not active \
               and wal_status is distinct from 'lost' and not pg_is_in_recovery() order by 1";
    let rows = client.query(sql, &[&SLOT]).await?;
    let databases = client.query("select datname::text from pg_database", &[]).await?;
    let of_databases: Vec<String> = databases.iter().map(|row| slot_of(row.get(0))).collect();
    let unread = rows.iter().map(|row| Unread { name: row.get(0), kept_bytes: row.get(1) });
    Ok(unread.filter(|one| one.name == own || !of_databases.contains(&one.name)).collect())
}

/// Removes the slot, after ending whoever receives through it; false if there was none.
pub(crate) async fn remove_slot(source: &Source) -> Result<bool, DbError> {
    let (client, slot) = (source.connect().await?, &source.slot);
    let sql =
        "select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = $1 and active";
    let mut attempt = 1;
    loop {
        if slot_state(&client, slot).await? == SlotState::Missing {
            return Ok(false);
        }
        client.query(sql, &[slot]).await?;
        match client.execute("select pg_drop_replication_slot($1)", &[slot]).await.map_err(DbError::from) {
            // The backend that was just ended still holds it.
            Err(error) if error.code() == Some(IN_USE) && attempt < REMOVE_ATTEMPTS => attempt += 1,
            dropped => return dropped.map(|_| true),
        }
        tokio::time::sleep(REMOVE_PAUSE).await;
    }
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

#[cfg(test)]
mod tests {
    use super::slot_of;

    #[test]
    fn databases_of_one_cluster_have_slots_of_their_own_whose_names_postgresql_accepts() {
        let long = "ä".repeat(63);
        let names = ["app", "APP", "a-b", "a_b", "", &long].map(slot_of);
        for (place, name) in names.iter().enumerate() {
            assert!(
                name.len() <= 63
                    && name
                        .bytes()
                        .all(|byte| byte == b'_' || byte.is_ascii_lowercase() || byte.is_ascii_digit()),
                "{name}"
            );
            assert!(!names[..place].contains(name), "{name}");
        }
    }
}
