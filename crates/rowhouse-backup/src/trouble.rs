//! A task that looks again and again whether something is to be done, and a health check that says what is wrong with it. Leaves
//! what is done to its callers.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rowhouse_db::DbError;
use rowhouse_http::BackgroundTask;
use rowhouse_module::{Assembly, HealthCheck, Weight};
use tokio_postgres::Client;

use crate::source::Source;

/// What is wrong, as the health check says it.
#[derive(Debug, Default)]
pub(crate) struct Trouble(Mutex<Option<String>>);

impl Trouble {
    fn set(&self, why: Option<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }

    fn ask(&self) -> Result<(), String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone().map_or(Ok(()), Err)
    }
}

/// What came of a turn.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Turned {
    /// What is wrong, if anything is.
    pub(crate) trouble: Option<String>,
    /// How long nothing is looked at.
    pub(crate) pause: Duration,
}

impl Turned {
    /// Nothing is wrong.
    pub(crate) fn well(pause: Duration) -> Self {
        Self { trouble: None, pause }
    }

    /// Something is wrong that was not before, or was tried again: it is logged.
    pub(crate) fn failed(why: String, pause: Duration) -> Self {
        tracing::warn!("{why}; again in {pause:?}");
        Self { trouble: Some(why), pause }
    }
}

/// What is looked at.
pub(crate) trait Turns: Send + Sync + 'static {
    /// Looks once, and does what is to be done.
    fn turn(&self) -> impl Future<Output = Turned> + Send;
}

/// Adds the task `task`, which takes turns until the process stops, and its health check `check`. Not to succeed in it leaves the
/// process degraded: it serves as well without.
pub(crate) fn start(assembly: &mut Assembly, task: &'static str, check: &'static str, work: impl Turns) {
    let (work, trouble) = (Arc::new(work), Arc::new(Trouble::default()));
    let asked = Arc::clone(&trouble);
    assembly.check(HealthCheck::new(check, Weight::Degraded, move || asked.ask()));
    assembly.task(BackgroundTask::new(task, move |heartbeat| {
        let (work, trouble) = (Arc::clone(&work), Arc::clone(&trouble));
        async move {
            let turns = async {
                loop {
                    let turned = heartbeat.idle(work.turn()).await;
                    trouble.set(turned.trouble);
                    heartbeat.sleep(turned.pause).await;
                }
            };
            tokio::select! {
                () = turns => {}
                () = heartbeat.stopping() => {}
            }
        }
    }));
}

/// The lock, unless another process of the cluster has it: held for as long as the connection is.
pub(crate) async fn alone(source: &Source, lock: i64) -> Result<Option<Client>, DbError> {
    let client = source.connect().await?;
    let taken = client.query_one("select pg_try_advisory_lock($1)", &[&lock]).await?;
    Ok(taken.get::<_, bool>(0).then_some(client))
}
