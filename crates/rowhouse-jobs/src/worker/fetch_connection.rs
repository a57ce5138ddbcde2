//! The fetcher's connection, and what is known while it lasts: how far the positions have come, and, with it, where claims
//! begin. Leaves it to the fetcher how much to claim and when.

use std::time::{Duration, Instant};

use rowhouse_db::DbError;
use uuid::Uuid;

use super::context::Context;
use super::partition::Partitions;
use super::watermark::Watermark;
use crate::store::{self, Claimed, Picks, Room};

/// How often to look for new partitions and how far the positions have come. Claims look past what is dead and cannot be vacuumed yet, and that
/// is as much as was done since.
const LOOK: Duration = Duration::from_millis(20);

/// A claim that is to be sent: as which worker, for which lease, and how much.
#[derive(Debug, Clone, Copy)]
pub(super) struct Claim {
    pub(super) worker: Uuid,
    pub(super) lease: i64,
    pub(super) room: Room,
}

/// Claims' commits are not waited for, so a crash of the database may bring claimed jobs back. It ends the connection too,
/// and with it all knowledge of which positions are behind us.
pub(super) struct FetchConnection {
    client: deadpool_postgres::Object,
    watermark: Watermark,
    looked: Option<Instant>,
}

impl FetchConnection {
    pub(super) async fn open(context: &Context, partitions: &mut Partitions) -> Result<Self, DbError> {
        let client = context.control.connection().await?;
        partitions.forget_lows();
        Ok(Self { client, watermark: Watermark::default(), looked: None })
    }

    pub(super) fn is_open(&self) -> bool {
        !self.client.is_closed()
    }

    /// Nobody else gets the connection: an answer may be under way.
    pub(super) fn close(self) {
        drop(deadpool_postgres::Object::take(self.client));
    }

    /// Finds out about new partitions and how far the positions have come, every now and then; at first three times, which is
    /// how many readings it takes to make one stable.
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
        let new = store::partitions(&self.client, &context.kinds, partitions.newest()).await?;
        partitions.learn(new, false);
        self.looked = Some(Instant::now());
        Ok(())
    }

    /// From partitions without limits. The commit is not waited for: a claim that a crash of the database undoes has left its
    /// jobs where they were, and whatever this worker makes of them finds no lease.
    pub(super) async fn claim_free(
        &self,
        claim: Claim,
        picks: &Picks,
        partitions: &mut Partitions,
    ) -> Result<Vec<Claimed>, DbError> {
        let Claim { worker, lease, room } = claim;
        let (claimed, cut) = store::claim(&self.client, worker, picks, room, lease).await?;
        // Partitions beyond a cut have not been looked into.
        let whole = !cut && claimed.len() < room.jobs;
        partitions.gave(picks, &claimed, whole, self.watermark.stable());
        Ok(claimed)
    }

    /// From those of a queue with limits.
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
