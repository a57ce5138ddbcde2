//! Bounded waiting for a condition that sends no signal of its own.

use std::fmt::Display;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_postgres::Client;

/// How often the condition is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// The limit for what is not being timed: only what never happens takes as long, on however busy a machine.
pub const LIMIT: Duration = Duration::from_secs(60);

/// Waits until `condition` is true. A check may take any time within the limit.
///
/// # Panics
/// If it is not true within `limit`; the message says what was waited for.
pub async fn until(what: impl Display, limit: Duration, mut condition: impl AsyncFnMut() -> bool) {
    until_some(what, limit, async || condition().await.then_some(())).await;
}

/// As [`until`], and hands out what was found.
///
/// # Panics
/// If there is nothing within `limit`; the message says what was waited for.
pub async fn until_some<T>(
    what: impl Display,
    limit: Duration,
    mut find: impl AsyncFnMut() -> Option<T>,
) -> T {
    let looking = async {
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            look.tick().await;
            if let Some(found) = find().await {
                return found;
            }
        }
    };
    let Ok(found) = timeout(limit, looking).await else { panic!("not within {limit:?}: {what}") };
    found
}

/// As [`until`], for what is promised within `limit`: it counts the time in which this process gets to run. A look that comes
/// late, because others use the machine, counts as one that does not; what is looked for waits for the processor, too.
///
/// # Panics
/// If it is not true by then; the message says what was waited for.
pub async fn until_own_time(what: impl Display, limit: Duration, mut condition: impl AsyncFnMut() -> bool) {
    let (mut used, mut last) = (Duration::ZERO, Instant::now());
    until_some(&what, limit + LIMIT, async || {
        used += last.elapsed().min(2 * LOOK);
        last = Instant::now();
        match condition().await {
            true => Some(()),
            false if used > limit => panic!("not within {limit:?} of its own time: {what}"),
            false => None,
        }
    })
    .await;
}

/// The outcome of what ends by a signal, [`LIMIT`] at most.
///
/// # Panics
/// If it has not ended by then; the message says what was waited for.
pub async fn in_time<T>(what: impl Display, future: impl Future<Output = T>) -> T {
    let Ok(outcome) = timeout(LIMIT, future).await else { panic!("not within {LIMIT:?}: {what}") };
    outcome
}

/// Waits until a condition in SQL is true for this client, [`LIMIT`] at most.
///
/// # Panics
/// If it is not true by then, is null, or cannot be asked.
pub async fn until_true(client: &Client, condition: &str) {
    let question = format!("select ({condition})");
    let is_true = async || {
        let answer = client.query_one(&question, &[]).await;
        answer.unwrap_or_else(|error| panic!("{error:?}\nin {condition}")).get(0)
    };
    until(condition, LIMIT, is_true).await;
}

#[cfg(test)]
mod tests;
