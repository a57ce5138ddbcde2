//! Others who read and write: each takes the lock that a query takes, lets go and begins again, so that it notices whatever
//! would hold a query up, however few rows there are.

use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_postgres::Client;

use crate::error::DbError;
use crate::scratch::Scratch;

/// Tables that are loaded at most; each takes two connections.
const MAX_TABLES: usize = 8;
/// Between two queries of one of them.
const PAUSE: Duration = Duration::from_millis(1);

/// The longest waits, by table.
#[derive(Default)]
pub(super) struct Waits {
    pub(super) reads: Vec<(String, Duration)>,
    pub(super) writes: Vec<(String, Duration)>,
}

/// Readers and writers at work.
pub(super) struct Load {
    stop: watch::Sender<bool>,
    readers: Vec<(String, JoinHandle<Duration>)>,
    writers: Vec<(String, JoinHandle<Duration>)>,
}

impl Load {
    pub(super) async fn start(scratch: &Scratch, tables: &[String]) -> Result<Self, DbError> {
        let (stop, stopped) = watch::channel(false);
        let (mut readers, mut writers) = (Vec::new(), Vec::new());
        for table in tables.iter().take(MAX_TABLES) {
            for (mode, all) in [("access share", &mut readers), ("row exclusive", &mut writers)] {
                let query = format!("begin; lock table only {table} in {mode} mode; commit");
                let connection = scratch.connect().await?;
                all.push((table.clone(), tokio::spawn(repeat(connection, query, stopped.clone()))));
            }
        }
        Ok(Self { stop, readers, writers })
    }

    /// Waits for the query that each of them is in.
    pub(super) async fn stop(self) -> Waits {
        // Nobody listens where no table was loaded.
        let _unheard = self.stop.send(true);
        let mut waits = Waits::default();
        for (tasks, all) in [(self.readers, &mut waits.reads), (self.writers, &mut waits.writes)] {
            for (table, task) in tasks {
                all.push((table, task.await.unwrap_or_default()));
            }
        }
        waits
    }
}

/// The longest that the query took.
async fn repeat(client: Client, query: String, stopped: watch::Receiver<bool>) -> Duration {
    let mut longest = Duration::ZERO;
    while !*stopped.borrow() {
        let started = Instant::now();
        // A table that the file has dropped is waited for no longer.
        if client.batch_execute(&query).await.is_err() {
            return longest.max(started.elapsed());
        }
        longest = longest.max(started.elapsed());
        tokio::time::sleep(PAUSE).await;
    }
    longest
}
