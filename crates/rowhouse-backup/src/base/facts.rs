//! What a restore wants to know of the cluster before its server runs.

use std::collections::BTreeMap;

use rowhouse_db::DbError;
use rowhouse_db::replication::Archive;
use serde::{Deserialize, Serialize};
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
