//! The deadline of a request.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// The time a request may take from head to answer; a request extension, so that a route with a long upload can
/// extend it.
#[derive(Debug, Clone)]
pub struct Deadline(Arc<AtomicU64>);

impl Deadline {
    pub(crate) fn new(limit: Duration) -> Self {
        Self(Arc::new(AtomicU64::new(millis(limit))))
    }

    /// Lets the request take `limit` from its start, if that is more than it had.
    pub fn extend(&self, limit: Duration) {
        self.0.fetch_max(millis(limit), Ordering::Relaxed);
    }

    fn limit(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed))
    }

    /// Waits for the answer until the deadline. It is pinned by the caller: a future that is passed by value to an async
    /// function is kept there twice, and each request's is copied to the heap.
    pub(crate) async fn wait<T>(&self, mut answer: Pin<&mut impl Future<Output = T>>) -> Option<T> {
        let started = Instant::now();
        loop {
            let limit = self.limit();
            match tokio::time::timeout_at(started + limit, answer.as_mut()).await {
                Ok(answer) => return Some(answer),
                Err(_) if self.limit() == limit => return None,
                Err(_) => {}
            }
        }
    }
}

fn millis(limit: Duration) -> u64 {
    u64::try_from(limit.as_millis()).unwrap_or(u64::MAX / 2)
}

#[cfg(test)]
mod tests;
