//! The fetcher's connection, and what is known while it lasts: how far the positions have come, and, with it, where claims
//! begin. Leaves it to the fetcher how much to claim and when.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rowhouse_db::DbError;
use uuid::Uuid;

use super::fetcher::start;
use super::partition::Plan;
use super::watermark::Watermark;
use super::{Shared, lock};
use crate::store::{self, Claimed, Room};

/// How often to look for new partitions and how far the positions have come. Claims look past what is dead and cannot be vacuumed yet, and that
/// is as much as was done since.
const LOOK: Duration = Duration::from_millis(20);

/// Claims' commits are not waited for, so a crash of the database may bring claimed jobs back. It ends the connection too,
/// and with it all knowledge of which positions are behind us.
pub(super) struct FetchConnection {
    client: deadpool_postgres::Object,
    watermark: Watermark,
    looked: Option<Instant>,
}

impl FetchConnection {
    pub(super) async fn open(shared: &Shared) -> Result<Self, DbError> {
        let client = shared.control.connection().await?;
        lock(&shared.partitions).forget_lows();
        Ok(Self { client, watermark: Watermark::default(), looked: None })
    }

    pub(super) fn is_open(&self) -> bool {
        !self.client.is_closed()
    }

    /// Nobody else gets the connection: an answer may be under way.
    pub(super) fn close(self) {
        drop(deadpool_postgres::Object::take(self.client));
    }

    /// Takes as many jobs as there is room for and starts them; how many it were.
    pub(super) async fn claim(&mut self, shared: &Arc<Shared>, mut room: Room) -> Result<usize, DbError> {
        self.look(shared).await?;
        let most = i32::try_from(room.jobs).unwrap_or(i32::MAX);
        let plan =
            lock(&shared.partitions).plan(most, &shared.release, &shared.slots.rooms(&shared.registry));
        let worker = shared.worker();
        let claimed = self.claim_free(shared, worker, &plan, room).await?;
        let mut given = claimed.len();
        room = room.without(&claimed);
        start(shared, worker, claimed);
        for (queue, picks) in &plan.limited {
            if room.jobs == 0 || room.bytes == 0 {
                break;
            }
            let lease = shared.ask();
            let claimed = store::claim_limited(&self.client, worker, queue, picks, room, lease).await?;
            given += claimed.len();
            room = room.without(&claimed);
            start(shared, worker, claimed);
        }
        Ok(given)
    }

    /// Finds out about new partitions and how far the positions have come, every now and then; at first three times, which is
    /// how many readings it takes to make one stable.
    async fn look(&mut self, shared: &Shared) -> Result<(), DbError> {
        if self.looked.is_some_and(|looked| looked.elapsed() < LOOK) {
            return Ok(());
        }
        for _ in 0..if self.looked.is_some() { 1 } else { 3 } {
            if self.watermark.read(store::horizon(&self.client).await?) {
                lock(&shared.partitions).forget_lows();
            }
        }
        let newest = lock(&shared.partitions).newest();
        let kinds: Vec<String> = shared.registry.kinds().map(|kind| kind.name.to_string()).collect();
        let new = store::partitions(&self.client, &kinds, newest).await?;
        lock(&shared.partitions).learn(new, false);
        self.looked = Some(Instant::now());
        Ok(())
    }

    /// From partitions without limits. The commit is not waited for: a claim that a crash of the database undoes has left its
    /// jobs where they were, and whatever this worker makes of them finds no lease.
    async fn claim_free(
        &self,
        shared: &Shared,
        worker: Uuid,
        plan: &Plan,
        room: Room,
    ) -> Result<Vec<Claimed>, DbError> {
        if plan.free.partitions.is_empty() {
            return Ok(Vec::new());
        }
        let lease = shared.ask();
        let (claimed, cut) = store::claim(&self.client, worker, &plan.free, room, lease).await?;
        // Partitions beyond a cut have not been looked into.
        let whole = !cut && claimed.len() < room.jobs;
        lock(&shared.partitions).gave(&plan.free, &claimed, whole, self.watermark.stable());
        Ok(claimed)
    }
}
