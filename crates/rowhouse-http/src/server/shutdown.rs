//! The order of shutdown: first the process reports not ready, then it stops accepting.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::Drain;

/// The state of shutdown. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    leaving: Arc<watch::Sender<bool>>,
    drain: Arc<watch::Sender<bool>>,
}

impl Shutdown {
    /// Whether the process is about to stop. Readiness answers 503 from then on, so that load balancers send nothing
    /// new, while requests that still come are served.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        *self.leaving.borrow()
    }

    /// For servers: becomes true when nothing more may be accepted.
    #[must_use]
    pub fn drain(&self) -> Drain {
        self.drain.subscribe()
    }

    /// Reports not ready, and after `delay` (`server.shutdown_delay`) begins to drain.
    pub async fn begin(&self, delay: Duration) {
        self.leaving.send_replace(true);
        tokio::time::sleep(delay).await;
        self.drain.send_replace(true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn not_ready_comes_before_the_drain() {
        let shutdown = Shutdown::default();
        let (other, mut drain) = (shutdown.clone(), shutdown.drain());
        let leaving = tokio::spawn(async move { other.begin(Duration::from_secs(5)).await });
        tokio::time::advance(Duration::from_secs(4)).await;
        assert_eq!((shutdown.is_leaving(), *drain.borrow_and_update()), (true, false));
        leaving.await.unwrap();
        assert!(*drain.borrow());
    }
}
