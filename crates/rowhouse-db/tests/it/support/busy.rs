//! Connections of the pool that are busy for as long as a test wants, and flights that are left half-way.

use rowhouse_db::DbError;
use rowhouse_db::flight::{Query, Row};
use rowhouse_kernel::Caller;
use rowhouse_testkit::until_true;
use tokio::task::JoinSet;
use tokio_postgres::Client;

use super::{Harness, context};

/// Flights that wait for a lock, each on a connection of its own.
pub(crate) struct Busy {
    lock: Client,
    flights: JoinSet<Result<Vec<Row>, DbError>>,
}

impl Busy {
    /// Holds the lock; no connection is busy yet.
    pub(crate) async fn none(harness: &Harness) -> Self {
        let lock = harness.db.superuser().await;
        lock.batch_execute("select pg_advisory_lock(4711)").await.unwrap();
        Self { lock, flights: JoinSet::new() }
    }

    /// Takes one connection more: the one that was used last, if it is free.
    pub(crate) async fn take(&mut self, harness: &Harness) {
        let plane = harness.database.data.clone();
        self.flights.spawn(async move {
            let sql = "select pg_advisory_xact_lock_shared(4711)::text".into();
            plane.fly(&context(&Caller::anonymous()), &Query { sql, params: Vec::new() }).await
        });
        until_true(&self.lock, &format!("{} = {}", waiting(4711), self.flights.len())).await;
    }

    /// Lets them all go on.
    pub(crate) async fn release(self) {
        self.lock.batch_execute("select pg_advisory_unlock(4711)").await.unwrap();
        self.flights.join_all().await.into_iter().for_each(|flight| drop(flight.unwrap()));
    }
}

/// In SQL: how many in this database wait for an advisory lock.
pub(crate) fn waiting(key: u32) -> String {
    format!(
        "(select count(*) from pg_locks l join pg_database d on d.oid = l.database where locktype = 'advisory' \
         and objid = {key} and not granted and datname = current_database())"
    )
}

/// Begins a flight and goes away while it sleeps.
pub(crate) async fn abandon<T>(harness: &Harness, flight: impl Future<Output = T>) {
    let sleeps =
        "exists (select from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep')";
    tokio::select! {
        biased;
        _ = flight => panic!("it ended before it was left"),
        () = seen(harness, sleeps) => {}
    }
}

/// Waits for a condition in SQL.
pub(crate) async fn seen(harness: &Harness, condition: &str) {
    until_true(&harness.db.superuser().await, condition).await;
}
