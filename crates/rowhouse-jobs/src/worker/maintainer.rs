//! Keeps the worker alive in the eyes of others, and others' jobs from being forgotten. It alone says what the worker is
//! called in the database; what it finds out for the others goes to their handles.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rowhouse_db::DbError;
use rowhouse_kernel::new_id;
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior};
use tokio_postgres::Client;
use uuid::Uuid;

use super::completer::Completer;
use super::context::Context;
use super::failure_detector::FailureDetector;
use super::fetcher::FetcherHandle;
use super::run::Stop;
use super::runner::Runner;
use crate::store::{self, Identity};

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
/// Beyond so many partitions all are read less often.
const MANY: usize = 5_000;
const REFRESH_MANY: Duration = Duration::from_secs(5);
/// Less than the time between two looks, so that each of them reads.
const REFRESH: Duration = Duration::from_millis(500);

/// Owns the worker's name and the knowledge of when the database last heard from it.
pub(super) struct Maintainer {
    context: Arc<Context>,
    worker: watch::Sender<Uuid>,
    beaten: watch::Sender<Instant>,
    host: String,
    fetcher: FetcherHandle,
    completer: Arc<Completer>,
    runner: Arc<Runner>,
}

/// What looking after others needs from one look to the next.
struct Watch {
    detector: FailureDetector,
    /// When all partitions were last read, and how many there were.
    refreshed: (Instant, usize),
}

impl Watch {
    /// The fetcher itself reads all partitions when it begins.
    fn begin(now: Instant) -> Self {
        Self { detector: FailureDetector::new(SILENCE, GAP), refreshed: (now, 0) }
    }

    /// Whether it is time to read all partitions again, for what has changed or was closed: every second, or where there are
    /// very many so often that reading them is a small part of the work.
    fn is_refresh_due(&self, now: Instant) -> bool {
        let (last, count) = self.refreshed;
        let pause = if count > MANY { REFRESH_MANY } else { REFRESH };
        now.duration_since(last) >= pause
    }
}

impl Maintainer {
    pub(super) fn new(
        context: &Arc<Context>,
        worker: watch::Sender<Uuid>,
        fetcher: FetcherHandle,
        completer: &Arc<Completer>,
        runner: &Arc<Runner>,
    ) -> Self {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        Self {
            context: Arc::clone(context),
            worker,
            beaten: watch::channel(Instant::now()).0,
            host: host.trim().to_owned(),
            fetcher,
            completer: Arc::clone(completer),
            runner: Arc::clone(runner),
        }
    }

    /// When the database last heard from this worker.
    pub(super) fn beaten(&self) -> watch::Receiver<Instant> {
        self.beaten.subscribe()
    }

    pub(super) async fn sign_in(&self) -> Result<(), DbError> {
        let (release, host) = (self.context.release.clone(), self.host.clone());
        let who = Identity { worker: self.context.worker(), release, host };
        store::sign_in(&*self.context.control.connection().await?, &who).await
    }

    pub(super) async fn sign_out(&self) {
        if let Ok(client) = self.context.control.connection().await {
            let gone = store::sign_out(&client, self.context.worker()).await;
            tracing::debug!(?gone, "worker signed out");
        }
    }

    /// Another worker has taken our jobs: what still runs is stopped, and nothing of it is told.
    async fn register_anew(&self) -> Result<(), DbError> {
        // First the name, so that no claim under the old one begins any more.
        self.worker.send_replace(new_id(&*self.context.clock, &*self.context.rng));
        self.runner.stop_all(Stop::Lost);
        let lost = self.completer.forget();
        tracing::warn!(lost, "this worker was declared dead; it begins anew");
        metrics::counter!("rowhouse_jobs_lost_total").increment(lost as u64);
        self.sign_in().await
    }

    /// Shows that this worker lives. Nothing else waits in this loop.
    pub(super) async fn beat(self: Arc<Self>) {
        let mut tick = every(HEARTBEAT);
        loop {
            tick.tick().await;
            self.runner.end_overdue();
            if let Err(error) = self.context.within(HEARTBEAT_TIMEOUT, self.beat_once()).await {
                tracing::warn!(%error, "the worker cannot show that it lives");
            }
        }
    }

    async fn beat_once(&self) -> Result<(), DbError> {
        let client = self.context.control.connection().await?;
        if !store::beat(&client, self.context.worker()).await? {
            self.register_anew().await?;
        }
        self.beaten.send_replace(Instant::now());
        Ok(())
    }

    /// Takes over from workers that fell silent, and learns what has changed.
    pub(super) async fn tend(self: Arc<Self>) {
        let mut watch = Watch::begin(Instant::now());
        let mut tick = every(HEARTBEAT);
        loop {
            tick.tick().await;
            if let Err(error) = self.context.within(TIMEOUT, self.tend_once(&mut watch)).await {
                tracing::warn!(%error, "the worker cannot look after others' jobs");
            }
        }
    }

    async fn tend_once(&self, watch: &mut Watch) -> Result<(), DbError> {
        let client = self.context.control.connection().await?;
        let dead = watch.detector.look(Instant::now(), store::beats(&client, self.context.worker()).await?);
        let rescued = store::rescue(&client, &dead).await?;
        metrics::counter!("rowhouse_jobs_rescued_total").increment(u64::try_from(rescued).unwrap_or(0));
        if rescued > 0 {
            tracing::warn!(rescued, "jobs of workers that fell silent are taken over");
        }
        self.release_unknown(&client).await?;
        if watch.is_refresh_due(Instant::now()) {
            let partitions = store::partitions(&client, &self.context.kinds, 0).await?;
            watch.refreshed = (Instant::now(), partitions.len());
            self.fetcher.learn(partitions);
        }
        drop(client);
        self.cancel().await;
        Ok(())
    }

    /// Stops those running jobs that somebody wants stopped.
    pub(super) async fn cancel(&self) {
        let Ok(client) = self.context.control.connection().await else { return };
        let Ok(unwanted) = store::cancellations(&client).await else { return };
        self.runner.cancel(&unwanted);
    }

    /// A claim that was committed and never answered has left a lease that nobody works on. A lease that has been asked for
    /// is known before it is there; so what is there and not known here is lost.
    async fn release_unknown(&self, client: &Client) -> Result<(), DbError> {
        let worker = self.context.worker();
        let leases = store::own_leases(client, worker).await?;
        let unknown = self.completer.unknown(&leases);
        if unknown.is_empty() || worker != self.context.worker() {
            return Ok(());
        }
        let given_back = store::release_leases(client, worker, &unknown).await?;
        tracing::warn!(unknown = given_back, "jobs were claimed and never arrived; they are given back");
        Ok(())
    }

    /// Closes partitions in which nothing is ready, so that what is looked at is no more than what there is to do.
    pub(super) async fn close_idle(self: Arc<Self>) {
        let mut tick = every(CLOSE_IDLE);
        loop {
            tick.tick().await;
            let close = async {
                let client = self.context.control.connection().await?;
                store::close_idle_partitions(&client, MAX_CLOSED).await
            };
            if let Err(error) = self.context.within(LOOK_BACK_TIMEOUT, close).await {
                tracing::warn!(%error, "idle partitions cannot be closed");
            }
        }
    }

    /// A claim that came to nothing may have left jobs where others' claims have passed by meanwhile.
    pub(super) async fn look_back(self: Arc<Self>) {
        let mut tick = every(LOOK_BACK);
        loop {
            tick.tick().await;
            let Some(passed) = self.fetcher.passed().await else { continue };
            if passed.partitions.is_empty() {
                continue;
            }
            let look = async {
                let client = self.context.control.connection().await?;
                store::left_behind(&client, &passed).await
            };
            let left = self.context.within(LOOK_BACK_TIMEOUT, look).await;
            match left {
                Ok(left) => self.fetcher.check(passed, left).await,
                Err(error) => tracing::warn!(%error, "cannot look for jobs that were left behind"),
            }
        }
    }

    /// Moves jobs whose time has come to where they are claimed.
    pub(super) async fn release_due(self: Arc<Self>) {
        let mut tick = every(DUE);
        loop {
            tick.tick().await;
            while let Ok(moved) = self.context.within(TIMEOUT, self.promote_due()).await {
                if moved > 0 {
                    self.fetcher.wake();
                }
                if moved < MOST_DUE {
                    break;
                }
            }
        }
    }

    async fn promote_due(&self) -> Result<i32, DbError> {
        store::promote_due(&*self.context.control.connection().await?, MOST_DUE).await
    }
}

/// Ticks of a loop; after a pause the missed ones are not made up for.
fn every(period: Duration) -> Interval {
    let mut tick = tokio::time::interval(period);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tick
}

#[cfg(test)]
mod tests;
