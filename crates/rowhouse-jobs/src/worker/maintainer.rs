//! Keeps the worker alive in the eyes of others, and others' jobs from being forgotten.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rowhouse_db::DbError;
use tokio_postgres::Client;

use super::failure_detector::FailureDetector;
use super::partition::Passed;
use super::run::Stop;
use super::{Shared, lock};
use crate::store;

/// A worker shows every so often that it lives, and looks as often at the others.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// Silent for so long a worker counts as dead. Its jobs run elsewhere within 15 seconds: one until a beat is known to be its
/// last, these, one until the next look; the rest is for machines that are busy.
const SILENCE: Duration = Duration::from_secs(7);
/// A worker that has not reached the database for so long may not be surprised that others have not.
const GAP: Duration = Duration::from_secs(3);
/// An answer to a beat that takes longer does not come. After an outage all have beaten again before anybody is judged.
const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(3);
const TIMEOUT: Duration = Duration::from_secs(5);
/// Looking back may take its time.
const LOOK_BACK_TIMEOUT: Duration = Duration::from_secs(30);
/// How often it is looked behind claims.
const LOOK_BACK: Duration = Duration::from_secs(5);
/// How often idle partitions are closed, and how many at once.
const CLOSE_IDLE: Duration = Duration::from_secs(10);
const MAX_CLOSED: i32 = 20_000;
/// How often due jobs are released.
const DUE: Duration = Duration::from_millis(200);
/// Due jobs released at once.
const MOST_DUE: i32 = 1_000;

/// Shows that this worker lives. Nothing else waits in this loop.
pub(super) async fn beat(shared: Arc<Shared>) {
    let mut tick = tokio::time::interval(HEARTBEAT);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        shared.end_overdue();
        if let Err(error) = shared.within(HEARTBEAT_TIMEOUT, beat_once(&shared)).await {
            tracing::warn!(%error, "the worker cannot show that it lives");
        }
    }
}

async fn beat_once(shared: &Shared) -> Result<(), DbError> {
    let client = shared.control.connection().await?;
    if !store::beat(&client, shared.worker()).await? {
        shared.register_anew().await?;
    }
    *lock(&shared.beaten) = Instant::now();
    Ok(())
}

/// Takes over from workers that fell silent, and learns what has changed.
pub(super) async fn tend(shared: Arc<Shared>) {
    let mut detector = FailureDetector::new(SILENCE, GAP);
    let mut tick = tokio::time::interval(HEARTBEAT);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if let Err(error) = shared.within(TIMEOUT, tend_once(&shared, &mut detector)).await {
            tracing::warn!(%error, "the worker cannot look after others' jobs");
        }
    }
}

async fn tend_once(shared: &Shared, detector: &mut FailureDetector) -> Result<(), DbError> {
    let client = shared.control.connection().await?;
    let dead = detector.look(Instant::now(), store::beats(&client, shared.worker()).await?);
    let rescued = store::rescue(&client, &dead).await?;
    metrics::counter!("rowhouse_jobs_rescued_total").increment(u64::try_from(rescued).unwrap_or(0));
    if rescued > 0 {
        tracing::warn!(rescued, "jobs of workers that fell silent are taken over");
    }
    release_unknown(shared, &client).await?;
    let kinds: Vec<String> = shared.registry.kinds().map(|kind| kind.name.to_string()).collect();
    let is_due = lock(&shared.partitions).is_refresh_due(Instant::now());
    if is_due {
        let partitions = store::partitions(&client, &kinds, 0).await?;
        lock(&shared.partitions).learn(partitions, true);
    }
    drop(client);
    cancel(shared).await;
    Ok(())
}

/// Stops those running jobs that somebody wants stopped.
pub(super) async fn cancel(shared: &Shared) {
    let Ok(client) = shared.control.connection().await else { return };
    let Ok(unwanted) = store::cancellations(&client).await else { return };
    let running = lock(&shared.running);
    for (_, run) in running.iter().filter(|((_, id), _)| unwanted.contains(id)) {
        run.stop.send_replace(Stop::Cancelled);
    }
}

/// A claim that was committed and never answered has left a lease that nobody works on. A lease that has been asked for
/// is known before it is there; so what is there and not known here is lost.
async fn release_unknown(shared: &Shared, client: &Client) -> Result<(), DbError> {
    let worker = shared.worker();
    let leases = store::own_leases(client, worker).await?;
    let unknown = lock(&shared.batches).unknown(&leases);
    if unknown.is_empty() || worker != shared.worker() {
        return Ok(());
    }
    let given_back = store::release_leases(client, worker, &unknown).await?;
    tracing::warn!(unknown = given_back, "jobs were claimed and never arrived; they are given back");
    Ok(())
}

/// Closes partitions in which nothing is ready, so that what is looked at is no more than what there is to do.
pub(super) async fn close_idle(shared: Arc<Shared>) {
    let mut tick = tokio::time::interval(CLOSE_IDLE);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let close = async {
            let client = shared.control.connection().await?;
            store::close_idle_partitions(&client, MAX_CLOSED).await
        };
        if let Err(error) = shared.within(LOOK_BACK_TIMEOUT, close).await {
            tracing::warn!(%error, "idle partitions cannot be closed");
        }
    }
}

/// A claim that came to nothing may have left jobs where others' claims have passed by meanwhile.
pub(super) async fn look_back(shared: Arc<Shared>) {
    let mut tick = tokio::time::interval(LOOK_BACK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let passed = lock(&shared.partitions).passed();
        match shared.within(LOOK_BACK_TIMEOUT, left_behind(&shared, &passed)).await {
            Ok(left) => lock(&shared.partitions).check(&passed, &left),
            Err(error) => tracing::warn!(%error, "cannot look for jobs that were left behind"),
        }
    }
}

async fn left_behind(shared: &Shared, passed: &Passed) -> Result<BTreeMap<i32, i64>, DbError> {
    if passed.partitions.is_empty() {
        return Ok(BTreeMap::new());
    }
    store::left_behind(&*shared.control.connection().await?, passed).await
}

/// Moves jobs whose time has come to where they are claimed.
pub(super) async fn release_due(shared: Arc<Shared>) {
    let mut tick = tokio::time::interval(DUE);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        while let Ok(moved) = shared.within(TIMEOUT, promote_due(&shared)).await {
            if moved > 0 {
                shared.wake.notify_one();
            }
            if moved < MOST_DUE {
                break;
            }
        }
    }
}

async fn promote_due(shared: &Shared) -> Result<i32, DbError> {
    store::promote_due(&*shared.control.connection().await?, MOST_DUE).await
}
