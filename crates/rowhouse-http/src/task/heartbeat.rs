//! A task's heartbeat, and its stop signal.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// How often the waiting helpers beat.
const BEAT: Duration = Duration::from_millis(500);

/// Given to a task when it starts. A task without a beat within its declared limit counts as hung.
#[derive(Debug, Clone)]
pub struct Heartbeat {
    started: Instant,
    /// Milliseconds from `started` to the last beat.
    last: Arc<AtomicU64>,
    stop: watch::Receiver<bool>,
}

/// Work has exceeded its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not done within {0:?}")]
pub struct TookTooLong(pub Duration);

impl Heartbeat {
    pub(super) fn new(stop: watch::Receiver<bool>) -> Self {
        Self { started: Instant::now(), last: Arc::default(), stop }
    }

    /// Records a beat; to be called once per iteration of the task's loop.
    pub fn beat(&self) {
        let since = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.fetch_max(since, Ordering::Relaxed);
    }

    /// Waits for an event that may never come, such as a notification, and beats meanwhile. Not for work, whose hang
    /// would not be detected.
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

    /// Sleeps and beats meanwhile.
    pub async fn sleep(&self, pause: Duration) {
        self.idle(tokio::time::sleep(pause)).await;
    }

    /// Runs work that may take longer than the heartbeat limit, and beats until `limit`.
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
