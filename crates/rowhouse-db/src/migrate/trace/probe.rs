//! What a transaction holds and has written, asked over its own connection between two statements.

use std::collections::BTreeMap;

use serde::Serialize;
use tokio_postgres::Client;

/// From the weakest.
const MODES: [&str; 8] = [
    "AccessShareLock",
    "RowShareLock",
    "RowExclusiveLock",
    "ShareUpdateExclusiveLock",
    "ShareLock",
    "ShareRowExclusiveLock",
    "ExclusiveLock",
    "AccessExclusiveLock",
];

/// A table and the strongest lock on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HeldLock {
    /// The table.
    pub table: String,
    /// As `pg_locks` calls it.
    pub mode: String,
}

/// Its place from the weakest.
pub(super) fn strength(mode: &str) -> usize {
    MODES.iter().position(|known| *known == mode).unwrap_or(MODES.len())
}

/// Whether reads or writes wait for it.
pub(super) fn blocks_requests(mode: &str) -> bool {
    strength(mode) >= strength("ShareLock")
}

/// Tables that were there before the file.
pub(super) struct Probe {
    tables: Vec<u32>,
}

/// The state before a statement.
pub(super) struct Before {
    files: BTreeMap<String, (u32, bool)>,
    wal: String,
}

/// What a statement did.
pub(super) struct After {
    pub(super) locks: Vec<HeldLock>,
    pub(super) rewritten: Vec<String>,
    pub(super) wal_bytes: i64,
}

impl Probe {
    pub(super) async fn new(client: &Client) -> Result<Self, tokio_postgres::Error> {
        let rows = client.query(include_str!("../../../sql/project_tables.sql"), &[]).await?;
        let mut tables = Vec::new();
        for row in rows {
            let name: String = row.get(0);
            tables.push(client.query_one("select $1::text::regclass::oid", &[&name]).await?.get(0));
        }
        Ok(Self { tables })
    }

    pub(super) async fn before(&self, client: &Client) -> Result<Before, tokio_postgres::Error> {
        let wal = client.query_one("select pg_catalog.pg_current_wal_insert_lsn()::text", &[]).await?.get(0);
        Ok(Before { files: self.files(client).await?, wal })
    }

    pub(super) async fn after(
        &self,
        client: &Client,
        before: &Before,
    ) -> Result<After, tokio_postgres::Error> {
        let wal = "select pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_insert_lsn(), $1::text::pg_lsn)::bigint";
        let wal_bytes = client.query_one(wal, &[&before.wal]).await?.get(0);
        let files = self.files(client).await?;
        let is_rewritten = |(table, (file, has_rows)): &(&String, &(u32, bool))| {
            *has_rows && files.get(*table).is_some_and(|(now, _)| now != file)
        };
        let rewritten = before.files.iter().filter(is_rewritten).map(|(table, _)| table.clone()).collect();
        Ok(After { locks: self.locks(client).await?, rewritten, wal_bytes })
    }

    /// The file of each table, and whether there is anything in it.
    async fn files(&self, client: &Client) -> Result<BTreeMap<String, (u32, bool)>, tokio_postgres::Error> {
        let rows = client.query(include_str!("../../../sql/trace_files.sql"), &[&self.tables]).await?;
        Ok(rows.iter().map(|row| (row.get(0), (row.get(1), row.get(2)))).collect())
    }

    async fn locks(&self, client: &Client) -> Result<Vec<HeldLock>, tokio_postgres::Error> {
        let rows = client.query(include_str!("../../../sql/trace_locks.sql"), &[&self.tables]).await?;
        let mut locks: Vec<HeldLock> = Vec::new();
        for row in rows {
            let lock = HeldLock { table: row.get(0), mode: row.get(1) };
            match locks.iter_mut().find(|known| known.table == lock.table) {
                Some(known) if strength(&known.mode) < strength(&lock.mode) => known.mode = lock.mode,
                Some(_) => {}
                None => locks.push(lock),
            }
        }
        // The probe itself reads nothing of them; a statement that only read is no news.
        Ok(locks.into_iter().filter(|lock| strength(&lock.mode) > 0).collect())
    }
}
