//! Receives WAL into the store: one process of all, whoever holds the slot.
//!
//! A position is confirmed to the server only once everything before it is durable in the store, so the server keeps what
//! is not. If the store fails, nothing more is read: the server waits, and gives the slot up at `max_slot_wal_keep_size`
//! rather than fill its disk.

mod beat;
pub(crate) mod start;
mod status;
mod task;

use std::sync::Arc;
use std::time::Duration;

use rowhouse_db::DbError;
use rowhouse_db::replication::{WalMessage, WalStream};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

pub(crate) use status::Status;
pub(crate) use task::{METRICS, start};

use crate::error::StoreError;
use crate::settings::BackupSettings;
use crate::source::{SlotState, Source, slot_state};
use crate::store::Store;
use crate::wal::{Tail, remove_covered};

/// How often what has been received goes into a store on disk: what a loss of the server loses at most, about.
const DISK_INTERVAL: Duration = Duration::from_millis(500);
/// The same for a bucket, where each piece costs money.
const BUCKET_INTERVAL: Duration = Duration::from_secs(10);
/// The server is told that we are there, long before its `wal_sender_timeout` of a minute.
const CONFIRM_INTERVAL: Duration = Duration::from_secs(10);
/// Longest time between two signs of life of the receiver.
const BEAT: Duration = Duration::from_millis(500);
/// How often the slot is looked at while another process receives.
const TURN_INTERVAL: Duration = Duration::from_secs(2);

/// Why receiving has ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReceiveError {
    /// The database's side.
    #[error("{0}")]
    Database(#[from] DbError),
    /// The store's side.
    #[error("{0}")]
    Store(#[from] StoreError),
}

impl From<tokio_postgres::Error> for ReceiveError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Database(error.into())
    }
}

/// How it ended without an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// There is no slot: backups are off.
    Off,
    /// Another process receives.
    Elsewhere,
    /// The timeline has ended; the next one follows.
    Timeline,
}

/// What a receiver works with.
#[derive(Clone)]
pub(crate) struct Receiver {
    pub(crate) source: Source,
    pub(crate) store: Store,
    pub(crate) status: Arc<Status>,
    pub(crate) save_interval: Duration,
}

/// How often what has been received is saved.
pub(crate) fn save_interval(settings: &BackupSettings) -> Duration {
    if settings.bucket().is_some() { BUCKET_INTERVAL } else { DISK_INTERVAL }
}

impl Receiver {
    /// Receives as long as nothing fails, for a command: another process that does so already is as good.
    pub(crate) async fn run(&self) -> Result<(), ReceiveError> {
        loop {
            match self.receive(&|| ()).await? {
                Ended::Off => return Ok(()),
                Ended::Elsewhere => tokio::time::sleep(TURN_INTERVAL).await,
                Ended::Timeline => {}
            }
        }
    }

    /// Receives until something fails or the timeline ends. Calls `beat` at least each second, unless the store hangs.
    pub(crate) async fn receive(&self, beat: &(dyn Fn() + Sync)) -> Result<Ended, ReceiveError> {
        let client = self.source.connect().await?;
        let mut was_lost = false;
        match slot_state(&client, &self.source.slot).await? {
            SlotState::Missing => return Ok(Ended::Off),
            SlotState::InUse { kept_bytes } => {
                self.status.kept(kept_bytes);
                return Ok(Ended::Elsewhere);
            }
            SlotState::Lost => was_lost = true,
            SlotState::Free { kept_bytes } => self.status.kept(kept_bytes),
        }
        if was_lost {
            self.begin_again().await?;
        }
        let mut replication = self.source.replicate().await?;
        let identity = replication.identify().await?;
        // What another project has begun, or another cluster: its log is not this store's.
        if !self.store.has_log_of(&identity.system_id).await? {
            return Ok(Ended::Off);
        }
        let start = beating(beat, start::find(&mut replication, &self.source.slot, &self.store)).await?;
        if start.has_gap || was_lost {
            self.status.gap(start.position());
            tracing::warn!(
                "write-ahead log was removed before it was in the store: earlier backups do not reach beyond it; \
                 run `rowhouse backup create`"
            );
        }
        let position = start.position();
        let stream = match replication.stream(&self.source.slot, position, start.timeline).await {
            Err(DbError::Refused(error)) if error.code == "55006" => return Ok(Ended::Elsewhere),
            stream => stream?,
        };
        remove_covered(&start.wal).await?;
        let tail = Tail::new(start.wal, start.timeline, start.segment_bytes, start.number);
        self.status.started();
        let received = Received { status: &self.status, stream, tail, beat };
        let save_interval = self.save_interval;
        let ended = tokio::select! {
            ended = received.run(save_interval) => ended,
            failed = beat::run(&client, &self.status) => Err(failed.into()),
        };
        self.status.ended();
        ended
    }

    /// The server has given up what the slot was to keep: a new slot begins now, and the store has a gap.
    async fn begin_again(&self) -> Result<(), ReceiveError> {
        let mut replication = self.source.replicate().await?;
        replication.drop_slot(&self.source.slot).await?;
        replication.ensure_slot(&self.source.slot).await?;
        Ok(())
    }
}

/// A stream on its way into the store.
struct Received<'a> {
    status: &'a Status,
    stream: WalStream,
    tail: Tail,
    beat: &'a (dyn Fn() + Sync),
}

impl Received<'_> {
    async fn run(mut self, save_interval: Duration) -> Result<Ended, ReceiveError> {
        let mut ticks = interval(save_interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut confirmed = Instant::now();
        loop {
            (self.beat)();
            let message = tokio::select! {
                message = self.stream.next() => Some(message?),
                _ = ticks.tick() => None,
            };
            let must_save = match message {
                Some(WalMessage::Data { start, end, bytes }) => {
                    require_next(&self.tail, start.0)?;
                    self.status.server(end);
                    beating(self.beat, self.tail.push(bytes)).await?;
                    false
                }
                Some(WalMessage::Keepalive { end, must_answer }) => {
                    self.status.server(end);
                    must_answer
                }
                Some(WalMessage::End) => {
                    beating(self.beat, self.tail.save()).await?;
                    self.stream.confirm(self.tail.stored()).await?;
                    return Ok(Ended::Timeline);
                }
                None => true,
            };
            let before = self.status.stored_lsn();
            if must_save {
                beating(self.beat, self.tail.save()).await?;
            }
            if self.tail.stored() != before || confirmed.elapsed() > CONFIRM_INTERVAL {
                self.stream.confirm(self.tail.stored()).await?;
                self.status.stored(self.tail.stored());
                confirmed = Instant::now();
            }
        }
    }
}

fn require_next(tail: &Tail, start: u64) -> Result<(), DbError> {
    if start == tail.received().0 {
        return Ok(());
    }
    Err(DbError::Protocol(format!("WAL from {start:X} follows {}", tail.received()).into()))
}

/// Work that may take longer than a sign of life may stay away.
async fn beating<T>(beat: &(dyn Fn() + Sync), work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    loop {
        if let Ok(value) = timeout(BEAT, work.as_mut()).await {
            return value;
        }
        beat();
    }
}
