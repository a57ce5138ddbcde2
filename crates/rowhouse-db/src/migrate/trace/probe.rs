//! What a session holds, reads, changes and writes, asked over its own connection between two statements, or over another one
//! while a statement runs.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio_postgres::{Client, Error};

/// Between two looks at the locks of a running statement.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(5);
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

/// Whether writes wait for it.
pub(super) fn blocks_writes(mode: &str) -> bool {
    strength(mode) >= strength("ShareLock")
}

/// Tables that were there before the file.
pub(super) struct Probe {
    tables: Vec<u32>,
    pid: i32,
}

/// Of one table.
struct State {
    file: u32,
    has_rows: bool,
    read: i64,
    changed: i64,
}

/// The state before a statement.
pub(super) struct Before {
    tables: BTreeMap<String, State>,
    wal: String,
}

/// What a statement did.
pub(super) struct After {
    pub(super) locks: Vec<HeldLock>,
    pub(super) rewritten: Vec<String>,
    /// Rows that it read from tables by reading them as a whole.
    pub(super) read: BTreeMap<String, i64>,
    /// Rows that it updated or deleted.
    pub(super) changed: BTreeMap<String, i64>,
    pub(super) wal_bytes: i64,
}

impl Probe {
    pub(super) async fn new(client: &Client) -> Result<Self, Error> {
        let rows = client.query(include_str!("../../../sql/trace_tables.sql"), &[]).await?;
        let pid = client.query_one("select pg_backend_pid()", &[]).await?.get(0);
        Ok(Self { tables: rows.iter().map(|row| row.get(0)).collect(), pid })
    }

    pub(super) async fn before(&self, client: &Client) -> Result<Before, Error> {
        let wal = client.query_one("select pg_catalog.pg_current_wal_insert_lsn()::text", &[]).await?.get(0);
        Ok(Before { tables: self.states(client).await?, wal })
    }

    /// In the transaction of the statement.
    pub(super) async fn after(&self, client: &Client, before: &Before) -> Result<After, Error> {
        let wal = "select pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_insert_lsn(), $1::text::pg_lsn)::bigint";
        let wal_bytes = client.query_one(wal, &[&before.wal]).await?.get(0);
        let now = self.states(client).await?;
        let pairs = || before.tables.iter().filter_map(|(table, was)| Some((table, was, now.get(table)?)));
        let counted = |count: fn(&State) -> i64| {
            let more = pairs().map(|(table, was, is)| (table.clone(), count(is) - count(was)));
            more.filter(|(_, rows)| *rows > 0).collect()
        };
        let rewritten = pairs().filter(|(_, was, is)| was.has_rows && was.file != is.file);
        Ok(After {
            locks: self.locks(client).await?,
            rewritten: rewritten.map(|(table, ..)| table.clone()).collect(),
            read: counted(|state| state.read),
            changed: counted(|state| state.changed),
            wal_bytes,
        })
    }

    async fn states(&self, client: &Client) -> Result<BTreeMap<String, State>, Error> {
        let rows = client.query(include_str!("../../../sql/trace_state.sql"), &[&self.tables]).await?;
        let state = |row: &tokio_postgres::Row| State {
            file: row.get(1),
            has_rows: row.get(2),
            read: row.get(3),
            changed: row.get(4),
        };
        Ok(rows.iter().map(|row| (row.get(0), state(row))).collect())
    }

    /// The strongest lock of the session on each table.
    pub(super) async fn locks(&self, client: &Client) -> Result<Vec<HeldLock>, Error> {
        let rows =
            client.query(include_str!("../../../sql/trace_locks.sql"), &[&self.tables, &self.pid]).await?;
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

    /// Looks at the locks of the running statement over another connection until it is dropped; each with the first and the last
    /// moment at which it was seen.
    pub(super) async fn sample(&self, watcher: &Client, seen: &mut Vec<(HeldLock, Instant, Instant)>) {
        loop {
            // What is missed is seen 5 ms later; the statement's own connection reports what is wrong.
            for lock in self.locks(watcher).await.unwrap_or_default() {
                let now = Instant::now();
                match seen.iter_mut().find(|(known, ..)| *known == lock) {
                    Some((.., last)) => *last = now,
                    None => seen.push((lock, now, now)),
                }
            }
            tokio::time::sleep(SAMPLE_INTERVAL).await;
        }
    }
}
