//! The receiver of a running process: waits for its turn, receives, and begins again after a failure.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use metrics::gauge;
use rowhouse_http::{BackgroundTask, Heartbeat};
use rowhouse_module::{Assembly, CannotRun, HealthCheck, Metric, Weight};

use super::{Ended, ReceiveError, Receiver, Status, save_interval};
use crate::error::StoreError;
use crate::settings::BackupSettings;
use crate::source::Source;
use crate::state;
use crate::store::Store;

/// How often a process asks whether backups were turned on, or whether it is its turn.
const OFF_PAUSE: Duration = Duration::from_secs(5);
const TURN_PAUSE: Duration = Duration::from_secs(2);
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What the receiver measures.
pub(crate) const METRICS: [Metric; 4] = [
    Metric {
        name: "rowhouse_backup_wanted",
        help: "1 if backups are wanted: from the first `backup create` on, until `backup disable`",
    },
    Metric {
        name: "rowhouse_backup_receiving",
        help: "1 while this process receives write-ahead log for backups",
    },
    Metric {
        name: "rowhouse_backup_wal_lag_bytes",
        help: "Bytes of write-ahead log that the server has and the store of backups has not; of the process that receives",
    },
    Metric {
        name: "rowhouse_backup_slot_bytes",
        help: "Bytes of write-ahead log that the server kept for the slot when it was last looked at",
    },
];

/// Adds the task and its health check.
///
/// # Errors
/// If the project's secrets cannot be read.
pub(crate) fn start(assembly: &mut Assembly, status: &Arc<Status>) -> Result<(), CannotRun> {
    let origin = &assembly.origin;
    let Some(project) = origin.project.clone() else { return Ok(()) };
    let source =
        Source::new(&origin.settings, Some(&project), &origin.urls.direct, &*origin.rng, &origin.clock)?;
    let (settings, clock, rng) =
        (origin.settings.get::<BackupSettings>(), origin.clock.clone(), origin.rng.clone());
    let save_interval = save_interval(&settings);
    // The store makes a key when it is opened: not before there is something to store.
    let open = move || -> Opening {
        let (settings, project) = (Arc::clone(&settings), project.clone());
        let (clock, rng) = (Arc::clone(&clock), Arc::clone(&rng));
        Box::pin(async move { Store::open(&settings, &project, clock, rng).await })
    };
    let control = origin.database.control.clone();
    let (status, asked) = (Arc::clone(status), Arc::clone(status));
    assembly.check(HealthCheck::new("backup", Weight::Degraded, move || asked.trouble()));
    let work = Work { source, control, open: Arc::new(open), status, save_interval };
    assembly.task(BackgroundTask::new("backup.receive", move |heartbeat| {
        let work = work.clone();
        async move {
            tokio::select! {
                () = work.run(&heartbeat) => {}
                () = heartbeat.stopping() => {}
            }
        }
    }));
    Ok(())
}

type Opening = BoxFuture<'static, Result<Store, StoreError>>;

#[derive(Clone)]
struct Work {
    source: Source,
    control: rowhouse_db::Control,
    open: Arc<dyn Fn() -> Opening + Send + Sync>,
    status: Arc<Status>,
    save_interval: Duration,
}

impl Work {
    async fn run(&self, heartbeat: &Heartbeat) {
        let mut pause = FIRST_PAUSE;
        loop {
            let next = match self.turn(heartbeat).await {
                Ok(Ended::Off) => {
                    self.off(heartbeat).await;
                    OFF_PAUSE
                }
                Ok(Ended::Elsewhere) => {
                    self.status.idle();
                    TURN_PAUSE
                }
                Ok(Ended::Timeline) => Duration::ZERO,
                // Not an error of the process: it serves as well without.
                Err(error) => {
                    tracing::warn!("no write-ahead log is received for backups: {error}; again in {pause:?}");
                    self.status.failed(error.to_string());
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    heartbeat.sleep(pause).await;
                    continue;
                }
            };
            pause = FIRST_PAUSE;
            heartbeat.sleep(next).await;
        }
    }

    /// Nothing is received: in order only if nothing is wanted.
    async fn off(&self, heartbeat: &Heartbeat) {
        let trouble = match heartbeat.idle(state::read(&self.control, &self.source.slot)).await {
            Ok(state) if state.has_slot && state.wanted_since.is_some() => Some(
                "the store has no log of this cluster, and the server keeps what it should have: is the store mounted, and \
                 is it the right one? If it is lost, run `rowhouse backup create`"
                    .to_owned(),
            ),
            Ok(state) => state.trouble(&self.source.slot),
            // Whether the database answers is a check of its own.
            Err(_) => None,
        };
        match trouble {
            Some(why) => self.status.failed(why),
            None => self.status.idle(),
        }
    }

    async fn turn(&self, heartbeat: &Heartbeat) -> Result<Ended, ReceiveError> {
        let Ok(state) = heartbeat.idle(state::read(&self.control, &self.source.slot)).await else {
            return Ok(Ended::Off);
        };
        gauge!("rowhouse_backup_wanted").set(f64::from(u8::from(state.wanted_since.is_some())));
        if !state.has_slot {
            return Ok(Ended::Off);
        }
        let receiver = Receiver {
            source: self.source.clone(),
            store: (self.open)().await?,
            status: Arc::clone(&self.status),
            save_interval: self.save_interval,
        };
        receiver.receive(&|| heartbeat.beat()).await
    }
}
