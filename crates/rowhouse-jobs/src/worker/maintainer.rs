//! Heartbeat, rescue, partitions and due jobs. Owns the worker's id in the database; what concerns the other parts goes to
//! their handles.

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
use super::trouble::Duty;
use crate::store::{self, Identity};

/// Period of the heartbeat, and of reading those of other workers.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// Without a heartbeat for so long a worker counts as dead. Its jobs run elsewhere within 15 seconds: one until the first
/// missing heartbeat, these, one until the next look; the rest is a margin for busy machines.
const SILENCE: Duration = Duration::from_secs(7);
/// After more than this between two looks this worker was cut off itself, and the time does not count against others.
const GAP: Duration = Duration::from_secs(3);
/// Timeout of one heartbeat: below [`SILENCE`], so that after an outage every worker has written one before it could count
/// as dead.
const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(3);
const TIMEOUT: Duration = Duration::from_secs(5);
/// Timeout of the statements that read whole partitions.
const LOOK_BACK_TIMEOUT: Duration = Duration::from_secs(30);
/// How often positions that claims have passed are searched for jobs.
const LOOK_BACK: Duration = Duration::from_secs(5);
/// How often idle partitions are closed, and how many at once.
const CLOSE_IDLE: Duration = Duration::from_secs(10);
const MAX_CLOSED: i32 = 20_000;
/// How often due jobs are released.
const DUE: Duration = Duration::from_millis(200);
/// Due jobs released at once.
const MOST_DUE: i32 = 1_000;
/// With more partitions than this, the list of all is read less often.
const MANY: usize = 5_000;
const REFRESH_MANY: Duration = Duration::from_secs(5);
/// Less than [`HEARTBEAT`], so that every round reads the list.
const REFRESH: Duration = Duration::from_millis(500);

/// Owns the worker's id and the time of its last heartbeat.
pub(super) struct Maintainer {
    context: Arc<Context>,
    worker: watch::Sender<Uuid>,
    beaten: watch::Sender<Instant>,
    host: String,
    fetcher: FetcherHandle,
    completer: Arc<Completer>,
    runner: Arc<Runner>,
}

/// State of the rescue loop.
struct Watch {
    detector: FailureDetector,
    /// When all partitions were last read.
    refreshed: Instant,
}

impl Watch {
    /// The fetcher itself reads all partitions when it begins.
    fn begin(now: Instant) -> Self {
        Self { detector: FailureDetector::new(SILENCE, GAP), refreshed: now }
    }

    /// Whether to read the list of all partitions again, because some may have been changed or closed: every second, or less
    /// often where the fetcher `knows` more than [`MANY`]. It finds new ones by itself.
    fn is_refresh_due(&self, now: Instant, knows: usize) -> bool {
        let pause = if knows > MANY { REFRESH_MANY } else { REFRESH };
        knows > 0 && now.duration_since(self.refreshed) >= pause
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

    /// When the last heartbeat was committed.
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

    /// Another worker has rescued this worker's jobs: their runs are stopped without writing an outcome, and the worker goes
    /// on with a new id.
    async fn register_anew(&self) -> Result<(), DbError> {
        // The id first, so that no claim begins under the old one.
        self.worker.send_replace(new_id(&*self.context.clock, &*self.context.rng));
        self.runner.stop_all(Stop::Lost);
        let lost = self.completer.forget();
        tracing::warn!(lost, "this worker was declared dead; it goes on with a new id");
        metrics::counter!("rowhouse_jobs_lost_total").increment(lost as u64);
        self.sign_in().await
    }

    /// Writes the heartbeat. A loop of its own, so that no slow statement delays it.
    pub(super) async fn beat(self: Arc<Self>) {
        let mut tick = every(HEARTBEAT);
        loop {
            tick.tick().await;
            self.runner.end_overdue();
            if let Err(error) = self.context.within(HEARTBEAT_TIMEOUT, self.beat_once()).await {
                tracing::warn!(%error, "the heartbeat of the worker cannot be written");
                // Another server may be the primary now: the next connection looks for it.
                self.context.control.forget_idle();
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

    /// Rescues the jobs of dead workers, releases unknown leases, and reads partitions and cancellations.
    pub(super) async fn tend(self: Arc<Self>) {
        let mut watch = Watch::begin(Instant::now());
        let mut tick = every(HEARTBEAT);
        loop {
            tick.tick().await;
            if let Err(error) = self.context.perform(Duty::Tend, TIMEOUT, self.tend_once(&mut watch)).await {
                tracing::warn!(%error, "the worker cannot look for jobs to rescue");
            }
        }
    }

    async fn tend_once(&self, watch: &mut Watch) -> Result<(), DbError> {
        let client = self.context.control.connection().await?;
        let dead = watch.detector.look(Instant::now(), store::beats(&client, self.context.worker()).await?);
        let rescued = store::rescue(&client, &dead).await?;
        metrics::counter!("rowhouse_jobs_rescued_total").increment(u64::try_from(rescued).unwrap_or(0));
        if rescued > 0 {
            tracing::warn!(rescued, "jobs of workers without heartbeat are rescued");
        }
        self.release_unknown(&client).await?;
        if watch.is_refresh_due(Instant::now(), self.fetcher.known()) {
            let partitions = store::partitions(&client, &self.context.kinds, 0).await?;
            watch.refreshed = Instant::now();
            self.fetcher.learn(partitions);
        }
        drop(client);
        self.cancel().await;
        Ok(())
    }

    /// Stops running jobs that are cancelled.
    pub(super) async fn cancel(&self) {
        let Ok(client) = self.context.control.connection().await else { return };
        let Ok(unwanted) = store::cancellations(&client).await else { return };
        self.runner.cancel(&unwanted);
    }

    /// Releases leases whose claims were committed but whose answers were lost. A lease is noted before its claim is sent, so
    /// one in the database that is not noted here is such a lease.
    async fn release_unknown(&self, client: &Client) -> Result<(), DbError> {
        let worker = self.context.worker();
        let leases = store::own_leases(client, worker).await?;
        let unknown = self.completer.unknown(&leases);
        if unknown.is_empty() || worker != self.context.worker() {
            return Ok(());
        }
        let given_back = store::release_leases(client, worker, &unknown).await?;
        tracing::warn!(unknown = given_back, "the answer to a claim was lost; its jobs are released");
        Ok(())
    }

    /// Closes partitions without ready jobs, so that claims read only those with jobs.
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

    /// Finds ready jobs below the positions at which claims begin: a claim skips jobs that another transaction has locked,
    /// and if that one rolls back, they are left behind.
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

    /// Moves due jobs from `jobs.scheduled` to `jobs.ready`.
    pub(super) async fn release_due(self: Arc<Self>) {
        let mut tick = every(DUE);
        loop {
            tick.tick().await;
            while let Ok(moved) = self.context.perform(Duty::ReleaseDue, TIMEOUT, self.promote_due()).await {
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
