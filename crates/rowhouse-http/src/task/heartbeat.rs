//! The sign of life that a task gives, and the request to stop that it gets.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// How often the waiting helpers beat.
const BEAT: Duration = Duration::from_millis(500);

/// Given to a task when it starts. A task that does not beat within its declared silence is taken for hung.
#[derive(Debug, Clone)]
pub struct Heartbeat {
    started: Instant,
    /// Milliseconds from `started` to the last beat.
    last: Arc<AtomicU64>,
    stop: watch::Receiver<bool>,
}

/// Work that was given a limit has exceeded it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not done within {0:?}")]
pub struct TookTooLong(pub Duration);

impl Heartbeat {
    pub(super) fn new(stop: watch::Receiver<bool>) -> Self {
        Self { started: Instant::now(), last: Arc::default(), stop }
    }

    /// Says that the task lives: once in every turn of its loop.
    pub fn beat(&self) {
        let since = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.fetch_max(since, Ordering::Relaxed);
    }

    /// Waits for something that need not come, such as the next notification, and beats meanwhile.
    /// Not for work: a hang in there would not be seen.
    pub async fn idle<T>(&self, event: impl Future<Output = T>) -> T {
        let mut event = std::pin::pin!(event);
        loop {
            self.beat();
            if let Ok(value) = tokio::time::timeout(BEAT, event.as_mut()).await {
                self.beat();
                return value;
            }
        }
    }

    /// Sleeps, beating.
    pub async fn sleep(&self, pause: Duration) {
        self.idle(tokio::time::sleep(pause)).await;
    }

    /// Does work that may take longer than the task's silence, beating until `limit`.
    ///
    /// # Errors
    /// If the work is not done by then; it is dropped.
    pub async fn within<T>(&self, limit: Duration, work: impl Future<Output = T>) -> Result<T, TookTooLong> {
        let limited = tokio::time::timeout(limit, work);
        self.idle(limited).await.map_err(|_| TookTooLong(limit))
    }

    /// Resolves when the process is about to stop.
    pub async fn stopping(&self) {
        let mut stop = self.stop.clone();
        let _supervisor_gone = stop.wait_for(|stop| *stop).await;
    }

    pub(super) fn silence(&self) -> Duration {
        let last = Duration::from_millis(self.last.load(Ordering::Relaxed));
        self.started.elapsed().saturating_sub(last)
    }
}
