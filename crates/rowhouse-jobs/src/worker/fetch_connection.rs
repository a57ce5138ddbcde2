//! The fetcher's connection, and the watermark, which is valid only as long as the connection: where claims begin. Leaves it to the fetcher how much to claim and when.

use std::time::{Duration, Instant};

use rowhouse_db::DbError;
use uuid::Uuid;

use super::context::Context;
use super::partition::Partitions;
use super::watermark::Watermark;
use crate::store::{self, Claimed, Picks, Room};

/// How often new partitions and the watermark are read. A claim scans the dead rows above the watermark, as many as were
/// claimed since it was read.
const LOOK: Duration = Duration::from_millis(20);
/// Every fifth look also reads the last partitions again: rows become visible in another order than their numbers.
const LATE: u32 = 5;

/// The arguments of a claim.
#[derive(Debug, Clone, Copy)]
pub(super) struct Claim {
    pub(super) worker: Uuid,
    pub(super) lease: i64,
    pub(super) room: Room,
}

/// Claims commit asynchronously, so a crash of the database can bring claimed jobs back. It also ends the connection, and
/// the watermark with it.
pub(super) struct FetchConnection {
    client: deadpool_postgres::Object,
    watermark: Watermark,
    looked: Option<Instant>,
    looks: u32,
}

impl FetchConnection {
    pub(super) async fn open(context: &Context, partitions: &mut Partitions) -> Result<Self, DbError> {
        let client = context.control.connection().await?;
        partitions.forget_lows();
        Ok(Self { client, watermark: Watermark::default(), looked: None, looks: 0 })
    }

    pub(super) fn is_open(&self) -> bool {
        !self.client.is_closed()
    }

    /// Closes the connection instead of returning it to the pool: an answer may still arrive on it.
    pub(super) fn close(self) {
        drop(deadpool_postgres::Object::take(self.client));
    }

    /// Reads new partitions and the watermark, if the last reading is older than [`LOOK`]. The first time the watermark is
    /// read three times: a position is stable no earlier than at the third reading.
    pub(super) async fn look(
        &mut self,
        context: &Context,
        partitions: &mut Partitions,
    ) -> Result<(), DbError> {
        if self.looked.is_some_and(|looked| looked.elapsed() < LOOK) {
            return Ok(());
        }
        for _ in 0..if self.looked.is_some() { 1 } else { 3 } {
            if self.watermark.read(store::horizon(&self.client).await?) {
                partitions.forget_lows();
            }
        }
        let after = partitions.newest(self.looks.is_multiple_of(LATE));
        self.looks = self.looks.wrapping_add(1);
        let new = store::partitions(&self.client, &context.kinds, after).await?;
        partitions.learn(new, false);
        self.looked = Some(Instant::now());
        Ok(())
    }

    /// Claims from partitions without limits, with `synchronous_commit` off: after a crash of the database that loses the
    /// claim, its jobs are ready as before, and the outcomes that this worker writes find no lease.
    pub(super) async fn claim_free(
        &self,
        claim: Claim,
        picks: &Picks,
        partitions: &mut Partitions,
    ) -> Result<Vec<Claimed>, DbError> {
        let Claim { worker, lease, room } = claim;
        let (claimed, cut) = store::claim(&self.client, worker, picks, room, lease).await?;
        // A claim that was cut has not looked into its last partitions.
        let whole = !cut && claimed.len() < room.jobs;
        partitions.gave(picks, &claimed, whole, self.watermark.stable());
        Ok(claimed)
    }

    /// Claims from those of a queue with limits.
    pub(super) async fn claim_limited(
        &self,
        claim: Claim,
        queue: &str,
        picks: &Picks,
    ) -> Result<Vec<Claimed>, DbError> {
        let Claim { worker, lease, room } = claim;
        store::claim_limited(&self.client, worker, queue, picks, room, lease).await
    }
}
