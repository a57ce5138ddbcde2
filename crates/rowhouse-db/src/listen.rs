//! The LISTEN hub: one connection that hears NOTIFY for everybody.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use rowhouse_kernel::Secret;
use tokio::sync::broadcast;
use tokio::task::JoinHandle;
use tokio_postgres::AsyncMessage;

use crate::error::DbError;

/// Messages kept for a slow subscriber; one that falls further behind sees [`Heard::Resync`] through `Lagged`.
const BACKLOG: usize = 256;
/// Longest pause between two attempts to listen again.
const MAX_BACKOFF: Duration = Duration::from_secs(4);

/// What subscribers hear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// A NOTIFY.
    Notice {
        /// Its channel.
        channel: String,
        /// Its payload, perhaps empty.
        payload: String,
    },
    /// Listening has begun, at first or again: anything may have been missed before.
    Resync,
}

/// A running hub.
#[derive(Debug, Clone)]
pub struct ListenHub(broadcast::Sender<Heard>);

impl ListenHub {
    /// Starts listening on `channels` and goes on, whatever happens to the server, until the task is aborted.
    #[must_use]
    pub fn start(url: Secret, channels: Vec<&'static str>) -> (Self, JoinHandle<()>) {
        let (sender, _) = broadcast::channel(BACKLOG);
        let hub = Self(sender.clone());
        let task = tokio::spawn(async move {
            let mut backoff = Duration::from_millis(100);
            loop {
                match listen(&url, &channels, &sender).await {
                    Ok(()) => backoff = Duration::from_millis(100),
                    Err(error) => {
                        tracing::debug!(%error, "listening failed");
                        backoff = (backoff * 2).min(MAX_BACKOFF);
                    }
                }
                tokio::time::sleep(backoff).await;
            }
        });
        (hub, task)
    }

    /// A new subscription; it hears what comes from now on.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Heard> {
        self.0.subscribe()
    }
}

/// Listens until the connection ends.
async fn listen(url: &Secret, channels: &[&str], sender: &broadcast::Sender<Heard>) -> Result<(), DbError> {
    let mut target = crate::url::target(url)?;
    target.config.application_name("rowhouse-listen").connect_timeout(Duration::from_secs(2));
    let (client, mut connection) = target.connect().await?;
    let statements: String = channels.iter().map(|channel| format!("listen \"{channel}\";")).collect();
    let mut messages = stream::poll_fn(move |context| connection.poll_message(context));
    // The connection only moves while its messages are polled, so both run side by side.
    let mut begin = std::pin::pin!(client.batch_execute(&statements));
    let mut begun = false;
    loop {
        tokio::select! {
            result = &mut begin, if !begun => {
                result?;
                begun = true;
                let _nobody_listens = sender.send(Heard::Resync);
            }
            message = messages.next() => match message {
                Some(Ok(AsyncMessage::Notification(note))) => {
                    let heard = Heard::Notice { channel: note.channel().to_owned(), payload: note.payload().to_owned() };
                    let _nobody_listens = sender.send(heard);
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error.into()),
                None => return Ok(()),
            },
        }
    }
}
