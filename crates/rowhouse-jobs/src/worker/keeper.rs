//! Keeps the worker alive in the eyes of others, and others' jobs from being forgotten.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rowhouse_db::DbError;

use super::mark::Marks;
use super::run::Stop;
use super::{Shared, lock};
use crate::store;

/// A worker shows every so often that it lives; silent for this long it counts as dead.
const BEAT: Duration = Duration::from_secs(1);
const SILENCE: Duration = Duration::from_secs(8);
/// Beats in a row before a worker judges others: after an outage of the database all have been silent.
const SURE: u32 = 10;
/// How often lanes are looked into below their low marks.
const LOOK_BACK: Duration = Duration::from_secs(30);
/// How often due jobs are released.
const DUE: Duration = Duration::from_millis(200);
/// Due jobs released at once.
const MOST_DUE: i32 = 1_000;

pub(super) async fn run(shared: Arc<Shared>) {
    let mut marks = Marks::default();
    let mut in_a_row = 0;
    let mut looked_back = Instant::now();
    let mut tick = tokio::time::interval(BEAT);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        match beat(&shared, &mut marks, in_a_row >= SURE).await {
            Ok(()) => in_a_row += 1,
            Err(error) => {
                tracing::warn!(%error, "the worker cannot show that it lives");
                in_a_row = 0;
                marks.forget();
                shared.settled_position.store(0, Ordering::Relaxed);
                lock(&shared.lanes).forget_lows();
            }
        }
        if looked_back.elapsed() >= LOOK_BACK {
            let looked = tokio::time::timeout(BEAT, look_back(&shared)).await;
            tracing::trace!(?looked, "looked back");
            looked_back = Instant::now();
        }
    }
}

async fn beat(shared: &Shared, marks: &mut Marks, sure: bool) -> Result<(), DbError> {
    let client = shared.control.connection().await?;
    if !store::beat(&client, shared.worker()).await? {
        shared.rise_again().await?;
    }
    *lock(&shared.beaten) = Instant::now();
    if sure {
        let rescued = store::rescue(&client, SILENCE).await?;
        metrics::counter!("rowhouse_jobs_rescued_total").increment(u64::try_from(rescued).unwrap_or(0));
        if rescued > 0 {
            tracing::warn!(rescued, "jobs of workers that fell silent are taken over");
        }
    }
    marks.read(store::horizon(&client).await?);
    shared.settled_position.store(marks.settled(), Ordering::Relaxed);
    let kinds: Vec<String> = shared.registry.kinds().map(|kind| kind.name.to_string()).collect();
    let lanes = store::lanes(&client, &kinds, 0).await?;
    lock(&shared.lanes).learn(lanes, true);
    drop(client);
    cancel(shared).await;
    Ok(())
}

/// Stops those running jobs that somebody wants stopped.
pub(super) async fn cancel(shared: &Shared) {
    let Ok(client) = shared.control.connection().await else { return };
    let Ok(unwanted) = store::cancellations(&client).await else { return };
    let running = lock(&shared.running);
    for sender in unwanted.iter().filter_map(|id| running.get(id)) {
        sender.send_replace(Stop::Cancelled);
    }
}

/// A claim that came to nothing may have left jobs below the mark.
async fn look_back(shared: &Shared) -> Result<(), DbError> {
    let client = shared.control.connection().await?;
    let lows = lock(&shared.lanes).lows();
    for (lane, low) in lows {
        if let Some(position) = store::left_behind(&client, lane, low).await? {
            lock(&shared.lanes).lower(lane, position);
        }
    }
    Ok(())
}

/// Moves jobs whose time has come to where they are claimed.
pub(super) async fn release_due(shared: Arc<Shared>) {
    let mut tick = tokio::time::interval(DUE);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let Ok(client) = shared.control.connection().await else { continue };
        while let Ok(moved) = store::make_due(&client, MOST_DUE).await {
            if moved > 0 {
                shared.wake.notify_one();
            }
            if moved < MOST_DUE {
                break;
            }
        }
    }
}
