//! Enqueuers: transactions of all sorts of jobs, some of which are rolled back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rowhouse_testkit::{LIMIT, TestDatabase};
use tokio::task::JoinSet;
use tokio_postgres::{Client, NoTls};

use super::act::pause;

const ENQUEUERS: u64 = 2;
/// Jobs of a transaction, of each of two sorts.
const BATCH: i32 = 8;
const PACE: Duration = Duration::from_millis(150);
/// One transaction in so many is rolled back.
const ROLLED_BACK_EVERY: u64 = 4;

#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) committed: AtomicU64,
    pub(super) rolled_back: AtomicU64,
    /// Ended with the database.
    pub(super) lost: AtomicU64,
    stop: AtomicBool,
}

pub(super) struct Load {
    pub(super) counts: Arc<Counts>,
    enqueuers: JoinSet<()>,
}

impl Load {
    pub(super) fn start(url: &str, seed: u64) -> Self {
        let counts = Arc::new(Counts::default());
        let mut enqueuers = JoinSet::new();
        for number in 0..ENQUEUERS {
            enqueuers.spawn(enqueue(url.to_owned(), Arc::clone(&counts), seed + number));
        }
        Self { counts, enqueuers }
    }

    pub(super) async fn stop(self) -> Arc<Counts> {
        self.counts.stop.store(true, Ordering::Relaxed);
        self.enqueuers.join_all().await;
        self.counts
    }
}

async fn enqueue(url: String, counts: Arc<Counts>, seed: u64) {
    let mut round = 0_u64;
    while !counts.stop.load(Ordering::Relaxed) {
        let client = connect(&url).await;
        let seed = (seed % 1000) as f64 / 1000.0;
        let _seeded = client.execute("select setseed($1)", &[&seed]).await;
        while !counts.stop.load(Ordering::Relaxed) {
            round += 1;
            let rolled_back = round.is_multiple_of(ROLLED_BACK_EVERY);
            if transaction(&client, rolled_back).await.is_err() {
                counts.lost.fetch_add(1, Ordering::Relaxed);
                break;
            }
            let count = if rolled_back { &counts.rolled_back } else { &counts.committed };
            count.fetch_add(1, Ordering::Relaxed);
            pause(PACE).await;
        }
    }
}

async fn transaction(client: &Client, rolled_back: bool) -> Result<(), tokio_postgres::Error> {
    client.batch_execute("begin").await?;
    client.execute("select chaos.send($1, $2)", &[&BATCH, &rolled_back]).await?;
    client.batch_execute(if rolled_back { "rollback" } else { "commit" }).await
}

/// As soon as the database is there.
pub(super) async fn connect(url: &str) -> Client {
    let begun = Instant::now();
    while begun.elapsed() < LIMIT {
        if let Ok((client, connection)) = tokio_postgres::connect(url, NoTls).await {
            tokio::spawn(connection);
            return client;
        }
        pause(Duration::from_millis(50)).await;
    }
    panic!("the database is not there after {LIMIT:?}")
}

pub(super) async fn arrange(db: &TestDatabase) {
    let client = db.superuser().await;
    client.batch_execute(include_str!("schema.sql")).await.unwrap();
    let grants = "grant usage on schema chaos to rowhouse_owner; grant all on all tables in schema chaos to rowhouse_owner";
    client.batch_execute(grants).await.unwrap();
}
