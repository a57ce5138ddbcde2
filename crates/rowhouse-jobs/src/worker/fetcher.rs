//! Claims as many jobs as there are free slots, and hands them to the runner. It owns the partitions; other parts reach it
//! through its handle. Leaves the statements to its connection, and the order of partitions to `partition`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rowhouse_db::DbError;
use tokio::sync::{Notify, mpsc, oneshot};
use uuid::Uuid;

use super::batch::Completion;
use super::completer::Completer;
use super::context::Context;
use super::fetch_connection::{Claim, FetchConnection};
use super::partition::{Partitions, Passed};
use super::runner::{Runner, Start};
use super::trouble::Duty;
use crate::store::{Claimed, PartitionRow, Room};

/// Shortest and longest pause between two polls: it grows while no job is found.
const SHORTEST: Duration = Duration::from_millis(3);
const LONGEST: Duration = Duration::from_millis(100);
/// The sum of the pauses of one circuit through all partitions, where they are too many for one claim: a job of any of them
/// starts within this and the duration of the claims.
const LONGEST_CIRCUIT: Duration = Duration::from_millis(400);
/// Pause after a claim that has emptied the partitions, so that the jobs of a moment share the next one.
const GATHER: Duration = Duration::from_millis(1);
/// Timeout of one round. Claims of a limited queue wait for each other.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Pause after the database failed.
const TROUBLE: Duration = Duration::from_millis(250);
/// Jobs claimed at once.
const MOST: usize = 500;
/// Outcomes that are not written yet, at most: if the database accepts claims but no outcomes, claiming pauses.
const MAX_UNREPORTED: usize = 10_000;
/// Bytes of payloads of claimed jobs, and of results and errors not written yet; and bytes of one claim.
const MOST_BYTES: usize = 64 << 20;
const MOST_CLAIMED_BYTES: usize = 8 << 20;
/// Waiting messages of the maintainer, which sends one of each kind at a time.
const MAX_MESSAGES: usize = 4;

/// What the maintainer reports or asks.
enum Message {
    /// All open partitions.
    Partitions(Vec<PartitionRow>),
    /// Asks for the positions that claims have passed; see [`Partitions::passed`].
    Passed(oneshot::Sender<Passed>),
    /// The result of a look at those positions; see [`Partitions::check`].
    Checked(Passed, BTreeMap<i32, i64>),
}

/// How other parts reach the fetcher.
#[derive(Clone)]
pub(super) struct FetcherHandle {
    /// There may be work.
    wake: Arc<Notify>,
    messages: mpsc::Sender<Message>,
    known: Arc<AtomicUsize>,
}

impl FetcherHandle {
    /// Makes it poll now.
    pub(super) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Passes on all open partitions. Dropped while earlier messages wait: the next reading is newer.
    pub(super) fn learn(&self, partitions: Vec<PartitionRow>) {
        let _busy = self.messages.try_send(Message::Partitions(partitions));
    }

    /// How many partitions it knows.
    pub(super) fn known(&self) -> usize {
        self.known.load(Ordering::Relaxed)
    }

    /// The positions that claims have passed; `None` once the fetcher has ended.
    pub(super) async fn passed(&self) -> Option<Passed> {
        let (sender, answer) = oneshot::channel();
        self.messages.send(Message::Passed(sender)).await.ok()?;
        answer.await.ok()
    }

    /// Passes on the first position with a job in each of the partitions, below those that claims had passed.
    pub(super) async fn check(&self, passed: Passed, left: BTreeMap<i32, i64>) {
        let _ended = self.messages.send(Message::Checked(passed, left)).await;
    }
}

/// Owns the partitions.
pub(super) struct Fetcher {
    context: Arc<Context>,
    completer: Arc<Completer>,
    runner: Arc<Runner>,
    partitions: Partitions,
    wake: Arc<Notify>,
    messages: mpsc::Receiver<Message>,
    known: Arc<AtomicUsize>,
}

impl Fetcher {
    pub(super) fn new(
        context: &Arc<Context>,
        completer: &Arc<Completer>,
        runner: &Arc<Runner>,
    ) -> (Self, FetcherHandle) {
        let (sender, messages) = mpsc::channel(MAX_MESSAGES);
        let wake = Arc::new(Notify::new());
        let known = Arc::new(AtomicUsize::new(0));
        let handle = FetcherHandle { wake: Arc::clone(&wake), messages: sender, known: Arc::clone(&known) };
        let fetcher = Self {
            context: Arc::clone(context),
            completer: Arc::clone(completer),
            runner: Arc::clone(runner),
            partitions: Partitions::default(),
            wake,
            messages,
            known,
        };
        (fetcher, handle)
    }

    /// Claims until the worker leaves.
    pub(super) async fn run(mut self) {
        let mut connection = None;
        let mut pause = SHORTEST;
        while !self.context.is_leaving() {
            let room = self.room_to_claim().await;
            let context = Arc::clone(&self.context);
            let claimed = context.perform(Duty::Fetch, TIMEOUT, self.claim(&mut connection, room)).await;
            // A lease whose claim was not answered is released by the maintainer.
            self.completer.asked_nothing();
            match claimed {
                Ok(0) => {
                    let woken = self.rest(pause).await;
                    let longest = LONGEST.min(LONGEST_CIRCUIT / self.partitions.rounds());
                    pause = if woken { SHORTEST } else { (pause * 3 / 2).min(longest) };
                }
                Ok(given) => {
                    pause = SHORTEST;
                    if given < room.jobs {
                        tokio::time::sleep(GATHER).await;
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "jobs cannot be claimed");
                    if let Some(connection) = connection.take() {
                        connection.close();
                    }
                    tokio::time::sleep(TROUBLE).await;
                }
            }
        }
    }

    /// One round; returns the number of jobs.
    async fn claim(
        &mut self,
        connection: &mut Option<FetchConnection>,
        room: Room,
    ) -> Result<usize, DbError> {
        while let Ok(message) = self.messages.try_recv() {
            self.take(message);
        }
        if room.jobs == 0 {
            return Ok(0);
        }
        let connection = match connection {
            Some(connection) if connection.is_open() => connection,
            gone => gone.insert(FetchConnection::open(&self.context, &mut self.partitions).await?),
        };
        connection.look(&self.context, &mut self.partitions).await?;
        self.known.store(self.partitions.len(), Ordering::Relaxed);
        self.claim_planned(connection, room).await
    }

    /// Claims what the plan says and starts it; returns the number of jobs.
    async fn claim_planned(
        &mut self,
        connection: &FetchConnection,
        mut room: Room,
    ) -> Result<usize, DbError> {
        let most = i32::try_from(room.jobs).unwrap_or(i32::MAX);
        let rooms = self.runner.slots().rooms(&self.context.registry);
        let plan = self.partitions.plan(most, &self.context.release, &rooms);
        let worker = self.context.worker();
        let mut given = 0;
        if !plan.free.partitions.is_empty() {
            let claim = Claim { worker, lease: self.ask(), room };
            let claimed = connection.claim_free(claim, &plan.free, &mut self.partitions).await?;
            given += claimed.len();
            room = room.without(&claimed);
            self.start(worker, claimed);
        }
        for (queue, picks) in &plan.limited {
            if room.jobs == 0 || room.bytes == 0 {
                break;
            }
            let claim = Claim { worker, lease: self.ask(), room };
            let claimed = connection.claim_limited(claim, queue, picks).await?;
            given += claimed.len();
            room = room.without(&claimed);
            self.start(worker, claimed);
        }
        Ok(given)
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Partitions(rows) => {
                self.partitions.learn(rows, true);
            }
            Message::Passed(answer) => {
                let _gave_up = answer.send(self.partitions.passed());
            }
            Message::Checked(passed, left) => self.partitions.check(&passed, &left),
        }
    }

    /// Waits until it is woken, at most for `pause`; true if it was woken.
    async fn rest(&mut self, pause: Duration) -> bool {
        let until = tokio::time::Instant::now() + pause;
        loop {
            tokio::select! {
                biased;
                () = self.wake.notified() => return true,
                () = tokio::time::sleep_until(until) => return false,
                Some(message) = self.messages.recv() => self.take(message),
            }
        }
    }

    /// Waits until there is room for a job; returns no room when the worker leaves.
    async fn room_to_claim(&mut self) -> Room {
        loop {
            let room = self.room();
            if self.context.is_leaving() {
                return Room { jobs: 0, bytes: 0 };
            }
            if room.jobs > 0 && room.bytes > 0 {
                return Room { jobs: room.jobs.min(MOST), bytes: room.bytes.min(MOST_CLAIMED_BYTES) };
            }
            tokio::select! {
                () = self.context.room.notified() => {}
                Some(message) = self.messages.recv() => self.take(message),
            }
        }
    }

    /// The room for further jobs.
    fn room(&self) -> Room {
        let load = self.completer.load();
        let bytes = MOST_BYTES.saturating_sub(load.bytes);
        let jobs = if load.unreported >= MAX_UNREPORTED { 0 } else { self.runner.slots().room() };
        Room { jobs, bytes }
    }

    /// A random number for a lease, noted before the claim is sent: so the maintainer does not release it as unknown.
    fn ask(&self) -> i64 {
        let mut bytes = [0; 8];
        self.context.rng.fill(&mut bytes);
        let lease = i64::from_le_bytes(bytes) & i64::MAX;
        self.completer.ask(lease);
        lease
    }

    /// Starts what was claimed, lease by lease; nothing if this worker has been declared dead meanwhile.
    fn start(&self, worker: Uuid, claimed: Vec<Claimed>) {
        if self.context.worker() != worker {
            return;
        }
        let mut leases: BTreeMap<i64, Vec<Claimed>> = BTreeMap::new();
        for job in claimed {
            leases.entry(job.lease).or_default().push(job);
        }
        for (lease, mut jobs) in leases {
            jobs.sort_by_key(|job| job.position);
            let plain = jobs.iter().all(|job| job.options.as_ref().is_none_or(is_plain));
            let bytes = jobs.iter().map(|job| job.bytes).sum();
            let batch = self.completer.open(lease, jobs.len(), plain, bytes);
            for claimed in jobs {
                match self.partitions.row(claimed.partition).cloned() {
                    Some(partition) => self.runner.start(Start { worker, batch, claimed, partition }),
                    None => self.completer.end(batch, claimed.id, Completion::Release),
                }
            }
        }
    }
}

fn is_plain(options: &serde_json::Value) -> bool {
    options.get("unique_key").is_none() && options.get("parent").is_none()
}
