//! Bounded waiting for a condition that sends no signal of its own.

use std::fmt::Display;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval, timeout};

/// Interval of checks.
const LOOK: Duration = Duration::from_millis(20);

/// Waits until `condition` is true. A check may take any time within the limit.
///
/// # Panics
/// If it is not true within `limit`; the message says what was waited for.
pub async fn until(what: impl Display, limit: Duration, mut condition: impl AsyncFnMut() -> bool) {
    let waiting = async {
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            look.tick().await;
            if condition().await {
                return;
            }
        }
    };
    assert!(timeout(limit, waiting).await.is_ok(), "not within {limit:?}: {what}");
}
