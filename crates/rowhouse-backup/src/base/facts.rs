//! What a restore wants to know of the cluster before its server runs.

use std::collections::BTreeMap;

use rowhouse_db::DbError;
use rowhouse_db::replication::Archive;
use rowhouse_module::CannotRun;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tokio_postgres::Client;

/// The `details` of a physical backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Details {
    /// The superuser that initdb has made.
    pub(crate) superuser: String,
    /// The project's database.
    pub(crate) database: String,
    /// Whether `up` has created the cluster.
    pub(crate) is_embedded: bool,
    /// Settings that a copy needs at least as large, for clusters whose configuration is not among their files.
    pub(crate) settings: BTreeMap<String, String>,
    /// Beside the default one.
    pub(crate) tablespaces: Vec<Tablespace>,
}

/// A tablespace, in an archive of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tablespace {
    /// The link's name below `pg_tblspc`.
    pub(crate) oid: u32,
    /// Where it lay.
    pub(crate) location: String,
    /// Its archive.
    pub(crate) archive: String,
}

impl Tablespace {
    /// The tablespace of an archive; none for the data directory.
    pub(super) fn of(archive: &Archive) -> Option<Self> {
        let oid = archive.name.strip_suffix(".tar")?.parse().ok()?;
        Some(Self { oid, location: archive.location.clone(), archive: archive.name.clone() })
    }
}

/// By the server's clock, as transactions are stamped.
pub(super) async fn time(client: &Client) -> Result<OffsetDateTime, DbError> {
    Ok(client.query_one("select date_trunc('milliseconds', clock_timestamp())", &[]).await?.get(0))
}

/// Refused before anything is read: a standby ends its backup at another's pleasure, and whoever uses the slot for something else
/// would lose it.
pub(super) async fn require_primary(client: &Client, slot: &str) -> Result<(), CannotRun> {
    let sql = "select pg_is_in_recovery(), (select slot_type from pg_replication_slots where slot_name = $1)";
    let row = client.query_one(sql, &[&slot]).await.map_err(DbError::from)?;
    if row.get(0) {
        return Err(CannotRun::because(
            "the server is a standby, whose backups end when its primary wills; give the primary's address as db.direct_url \
             (DATABASE_DIRECT_URL)",
        ));
    }
    match row.get::<_, Option<&str>>(1) {
        Some("logical") => Err(CannotRun::because(format!(
            "the replication slot {slot} is logical and belongs to something else; drop it: select \
             pg_drop_replication_slot('{slot}')"
        ))),
        _ => Ok(()),
    }
}

const SETTINGS: &str = "select name, setting from pg_settings where name in ('max_connections', \
     'max_worker_processes', 'max_wal_senders', 'max_prepared_transactions', 'max_locks_per_transaction', \
     'shared_preload_libraries', 'wal_level')";

pub(super) async fn read(client: &Client, is_embedded: bool) -> Result<Details, DbError> {
    let row = client
        .query_one("select rolname::text, current_database()::text from pg_roles where oid = 10", &[])
        .await?;
    let settings = client.query(SETTINGS, &[]).await?;
    Ok(Details {
        superuser: row.get(0),
        database: row.get(1),
        is_embedded,
        settings: settings.iter().map(|row| (row.get(0), row.get(1))).collect(),
        tablespaces: Vec::new(),
    })
}
