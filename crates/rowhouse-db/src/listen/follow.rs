//! Keeps data from the database in memory and reloads it when a channel announces a change.
//!
//! Leaves reading and storing it to the caller.

use std::fmt::Display;
use std::time::Duration;

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::time::{Instant, timeout, timeout_at};

use super::{BACKLOG, BEAT, Heard, ListenHub, pause};

/// How a channel is followed.
#[derive(Debug, Clone, Copy)]
pub struct Following {
    /// The channel.
    pub channel: &'static str,
    /// Payloads that are ignored.
    pub ignored: &'static [&'static str],
    /// Notifications within this time cause one reload.
    pub debounce: Duration,
    /// Pause before a failed reload is retried, unless a notification comes first.
    pub retry: Duration,
    /// Timeout of a reload. It sends no heartbeat: a reload longer than the task's heartbeat limit has to beat
    /// itself.
    pub limit: Duration,
}

/// Calls `reload` at once, after each notification, whenever listening restarts, and again after a failure, until it
/// is dropped. One call runs at a time; notifications during one lead to the next. `beat` is called while waiting and
/// not during a reload, so that a hang is detected.
pub async fn follow<R, E: Display>(
    hub: &ListenHub,
    following: Following,
    reload: impl Fn() -> R,
    beat: impl Fn(),
) where
    R: Future<Output = Result<(), E>>,
{
    let mut heard = hub.subscribe();
    let mut was_current = true;
    loop {
        forget(&mut heard);
        beat();
        let failed = reload_within(following.limit, reload()).await;
        beat();
        if let Some(why) = failed.as_ref().filter(|_| was_current) {
            tracing::warn!(channel = following.channel, why, "a reload failed; what is in use stays");
        }
        was_current = failed.is_none();
        let retry_at = failed.map(|_| Instant::now() + following.retry);
        if following.due(&mut heard, retry_at, &beat).await.is_err() {
            return;
        }
        pause(following.debounce, &beat).await;
    }
}

/// Runs one reload; returns its error.
async fn reload_within<E: Display>(
    limit: Duration,
    reload: impl Future<Output = Result<(), E>>,
) -> Option<String> {
    match timeout(limit, reload).await {
        Ok(done) => done.err().map(|error| error.to_string()),
        Err(_) => Some(format!("not done within {limit:?}")),
    }
}

/// Drops pending notifications, which the next reload covers.
fn forget(heard: &mut Receiver<Heard>) {
    for _ in 0..BACKLOG {
        if matches!(heard.try_recv(), Err(TryRecvError::Empty | TryRecvError::Closed)) {
            return;
        }
    }
}

/// The hub was dropped.
struct Closed;

impl Following {
    /// Waits until there is a reason to reload.
    async fn due(
        &self,
        heard: &mut Receiver<Heard>,
        retry_at: Option<Instant>,
        beat: impl Fn(),
    ) -> Result<(), Closed> {
        loop {
            beat();
            let now = Instant::now();
            if retry_at.is_some_and(|retry| retry <= now) {
                return Ok(());
            }
            let wake = retry_at.map_or(now + BEAT, |retry| retry.min(now + BEAT));
            match timeout_at(wake, heard.recv()).await {
                Ok(Ok(heard)) if !self.concerns(&heard) => {}
                Ok(Ok(_) | Err(RecvError::Lagged(_))) => return Ok(()),
                Ok(Err(RecvError::Closed)) => return Err(Closed),
                Err(_) => {}
            }
        }
    }

    fn concerns(&self, heard: &Heard) -> bool {
        match heard {
            Heard::Resync => true,
            Heard::Notice { channel, payload } => {
                channel == self.channel && !self.ignored.contains(&payload.as_str())
            }
        }
    }
}

#[cfg(test)]
mod tests;
