//! The LISTEN hub: one connection that receives NOTIFY for all subscribers.
//!
//! Leaves reacting to notifications to `follow` and subscribers.

mod follow;

use std::time::Duration;

use futures_util::{StreamExt, stream};
use rowhouse_kernel::Secret;
use tokio::sync::broadcast;
use tokio::time::{Instant, timeout};
use tokio_postgres::AsyncMessage;

pub use follow::{Following, follow};

use crate::error::DbError;

/// Messages buffered for a slow subscriber; one that falls further behind gets `Lagged`, which counts as [`Heard::Resync`].
const BACKLOG: usize = 256;
/// Pauses between two attempts to listen again.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(4);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);
/// How often the connection is probed: a vanished peer and a quiet one look the same.
const PROBE: Duration = Duration::from_secs(5);
/// How long an answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// How often waiting loops send a heartbeat.
const BEAT: Duration = Duration::from_millis(500);

/// A message to subscribers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// A NOTIFY.
    Notice {
        /// Its channel.
        channel: String,
        /// Its payload, perhaps empty.
        payload: String,
    },
    /// Listening has started or restarted: notifications may have been missed.
    Resync,
}

/// The source of notifications. Cheap to clone; silent until [`ListenHub::run`] runs.
#[derive(Debug, Clone)]
pub struct ListenHub(broadcast::Sender<Heard>);

impl Default for ListenHub {
    fn default() -> Self {
        Self(broadcast::channel(BACKLOG).0)
    }
}

impl ListenHub {
    /// Listens on `channels` and reconnects after failures, until it is dropped. Calls `beat` at least every five
    /// seconds while it makes progress.
    pub async fn run(self, url: Secret, channels: Vec<&'static str>, beat: impl Fn()) {
        let mut backoff = SHORTEST_PAUSE;
        loop {
            beat();
            match listen(&url, &channels, &self.0, &beat).await {
                Ok(()) => backoff = SHORTEST_PAUSE,
                Err(error) => {
                    tracing::debug!(%error, "listening failed");
                    backoff = (backoff * 2).min(LONGEST_PAUSE);
                }
            }
            pause(backoff, &beat).await;
        }
    }

    /// A new subscription, for messages from now on.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Heard> {
        self.0.subscribe()
    }
}

/// Listens until the connection ends or gives no answer.
async fn listen(
    url: &Secret,
    channels: &[&str],
    sender: &broadcast::Sender<Heard>,
    beat: impl Fn(),
) -> Result<(), DbError> {
    let mut target = crate::url::target(url)?;
    target.config.application_name("rowhouse-listen");
    let (client, mut connection) = answered(CONNECT_TIMEOUT, target.connect()).await?;
    let server = crate::url::state(&connection);
    let statements: String = channels.iter().map(|channel| format!("listen \"{channel}\";")).collect();
    let asking = async {
        answered(ANSWER_TIMEOUT, client.batch_execute(&statements)).await?;
        let _nobody_listens = sender.send(Heard::Resync);
        loop {
            pause(PROBE, &beat).await;
            answered(ANSWER_TIMEOUT, client.batch_execute("select 1")).await?;
        }
    };
    let mut messages =
        stream::poll_fn(|context| crate::url::poll_fit(&mut connection, context, |now| now == server));
    let hearing = async {
        while let Some(message) = messages.next().await {
            if let AsyncMessage::Notification(note) = message? {
                let heard =
                    Heard::Notice { channel: note.channel().to_owned(), payload: note.payload().to_owned() };
                let _nobody_listens = sender.send(heard);
            }
        }
        Ok(())
    };
    // The connection makes progress only while its messages are polled, so both run concurrently.
    tokio::select! {
        ended = asking => ended,
        ended = hearing => ended,
    }
}

async fn answered<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, DbError> {
    let silent = |_| DbError::Unavailable("the connection that listens gets no answer".into());
    Ok(timeout(limit, work).await.map_err(silent)??)
}

/// Sleeps and beats meanwhile.
async fn pause(length: Duration, beat: impl Fn()) {
    let end = Instant::now() + length;
    loop {
        beat();
        let now = Instant::now();
        if now >= end {
            return;
        }
        tokio::time::sleep_until(end.min(now + BEAT)).await;
    }
}
