//! Which partitions to claim from, in which order and how much: fair between tenants, strict between priorities. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use uuid::Uuid;

use crate::store::{Claimed, PartitionRow, Picks};

/// Every 16th claim ignores priorities, so that the last one is never starved.
const AGING: u64 = 16;
/// `opened` comes from a sequence, and rows become visible in another order: so many of the last are read again.
const OVERLAP: i64 = 100;
/// Partitions looked into at once; the others have their turn in the next round.
const MOST_PARTITIONS: usize = 2_000;

/// What is known of a partition.
#[derive(Debug)]
struct Partition {
    row: Arc<PartitionRow>,
    /// No job stands below.
    low: i64,
    /// The positions below have been searched since claims passed them; see [`Partitions::passed`].
    checked: i64,
    /// The last claim filled its quota, so there is probably more.
    backlog: bool,
    /// The last round that claimed from it.
    served: u64,
}

/// The partitions that this worker may claim from.
#[derive(Debug, Default)]
pub(crate) struct Partitions {
    partitions: BTreeMap<i32, Partition>,
    round: u64,
    cursor: i32,
    /// New since the last round: they are in the next one, however many others there are.
    fresh: Vec<i32>,
    newest: i64,
    /// Counts calls of [`Partitions::forget_lows`], after which earlier [`Passed`] are void.
    epoch: u64,
    /// The last claim took all the jobs that were wanted, so the partitions with a backlog are known: the next plan has only
    /// as many as it needs, since each costs time even if the claim does not reach it.
    full: bool,
}

/// Positions that claims have passed: of each partition the first, and the first one beyond.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Passed {
    epoch: u64,
    pub(crate) partitions: Vec<i32>,
    pub(crate) from: Vec<i64>,
    pub(crate) beyond: Vec<i64>,
}

/// One round's claims.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// From partitions without limits.
    pub(crate) free: Picks,
    /// Queue by queue from those with.
    pub(crate) limited: Vec<(String, Picks)>,
}

impl Partitions {
    /// Takes the rows of partitions; `whole` if these are all. True if some are new.
    pub(crate) fn learn(&mut self, rows: Vec<PartitionRow>, whole: bool) -> bool {
        if whole {
            let known: BTreeSet<i32> = rows.iter().map(|row| row.id).collect();
            self.partitions.retain(|id, _| known.contains(id));
        }
        self.newest = rows.iter().map(|row| row.opened).max().unwrap_or(0).max(self.newest);
        let before = self.partitions.len();
        for row in rows {
            match self.partitions.get_mut(&row.id) {
                Some(partition) => partition.row = Arc::new(row),
                None => {
                    let partition =
                        Partition { low: 0, checked: 0, backlog: true, served: 0, row: Arc::new(row) };
                    self.fresh.push(partition.row.id);
                    self.partitions.insert(partition.row.id, partition);
                }
            }
        }
        self.partitions.len() > before
    }

    /// The highest `opened` known, less [`OVERLAP`].
    pub(crate) fn newest(&self) -> i64 {
        self.newest.saturating_sub(OVERLAP).max(0)
    }

    pub(crate) fn len(&self) -> usize {
        self.partitions.len()
    }

    /// Rounds in which each partition has one turn.
    pub(crate) fn rounds(&self) -> u32 {
        u32::try_from(self.partitions.len().div_ceil(MOST_PARTITIONS)).unwrap_or(u32::MAX).max(1)
    }

    pub(crate) fn row(&self, partition: i32) -> Option<&Arc<PartitionRow>> {
        self.partitions.get(&partition).map(|partition| &partition.row)
    }

    /// The positions that claims have passed and that have not been searched since. A job there may have been locked by
    /// another worker's claim that was rolled back. No job can be added there, so one search is enough.
    pub(crate) fn passed(&self) -> Passed {
        let mut passed = Passed { epoch: self.epoch, ..Passed::default() };
        for (id, partition) in
            self.partitions.iter().filter(|(_, partition)| partition.low > partition.checked)
        {
            passed.partitions.push(*id);
            passed.from.push(partition.checked);
            passed.beyond.push(partition.low);
        }
        passed
    }

    /// Takes the result of the search: `left` is the first position with a job in each partition that has one.
    pub(crate) fn check(&mut self, passed: &Passed, left: &BTreeMap<i32, i64>) {
        if passed.epoch != self.epoch {
            return;
        }
        for (id, beyond) in passed.partitions.iter().zip(&passed.beyond) {
            let Some(partition) = self.partitions.get_mut(id) else { continue };
            let first = left.get(id).copied().unwrap_or(i64::MAX);
            partition.low = partition.low.min(first);
            partition.checked = (*beyond).min(first);
        }
    }

    /// Makes claims begin at the first position again.
    pub(crate) fn forget_lows(&mut self) {
        self.epoch += 1;
        for partition in self.partitions.values_mut() {
            (partition.low, partition.checked) = (0, 0);
        }
    }

    /// Plans a claim of `want` jobs for a worker of this `release`; from each partition not more than its kind has room for.
    pub(crate) fn plan(&mut self, want: i32, release: &str, rooms: &BTreeMap<Arc<str>, i32>) -> Plan {
        self.round += 1;
        let (aging, full) = (self.round.is_multiple_of(AGING), self.full);
        let room = |row: &PartitionRow| rooms.get(row.kind.as_str()).copied().unwrap_or(i32::MAX);
        let runs = |row: &PartitionRow| !row.paused && is_at_least(release, &row.min_release);
        let mut open: Vec<(&Partition, i32)> = self
            .turn()
            .into_iter()
            .map(|(_, partition)| (partition, room(&partition.row)))
            .filter(|(partition, room)| *room > 0 && runs(&partition.row))
            .collect();
        // Partitions with a backlog come after those without, so that few jobs do not wait for many; then by last turn.
        open.sort_by_key(|(partition, _)| {
            let priority = if aging { 0 } else { partition.row.priority };
            (priority, partition.backlog, partition.served)
        });
        let share = (want / i32::try_from(backlogged_tenants(&open)).unwrap_or(i32::MAX).max(1)).max(1);
        let little = (want / 4).max(1);
        let mut plan = Plan::default();
        let mut missing = i64::from(want) * 5 / 4;
        for (partition, room) in open {
            let quota = room.min(if partition.backlog { share } else { little });
            if partition.row.limited || missing > 0 || !full {
                plan.picks_of(&partition.row).push(partition, quota, room);
            }
            if partition.backlog && !partition.row.limited {
                missing -= i64::from(quota);
            }
        }
        plan
    }

    /// The partitions that have their turn, in the order of their numbers: all, or as many as go into one statement.
    fn turn(&mut self) -> Vec<(i32, &Partition)> {
        let fresh = std::mem::take(&mut self.fresh);
        let all = self.partitions.iter().map(|(id, partition)| (*id, partition));
        if self.partitions.len() <= MOST_PARTITIONS {
            return all.collect();
        }
        let after = self.partitions.range(self.cursor + 1..).map(|(id, partition)| (*id, partition));
        let mut turn: Vec<_> = after.chain(all).take(MOST_PARTITIONS).collect();
        self.cursor = turn.last().map_or(0, |(id, _)| *id);
        let fresh = fresh.into_iter().take(MOST_PARTITIONS);
        turn.extend(fresh.filter_map(|id| Some((id, self.partitions.get(&id)?))));
        turn.sort_unstable_by_key(|(id, _)| *id);
        turn.dedup_by_key(|(id, _)| *id);
        turn
    }

    /// Takes the jobs of a claim. `whole`: it looked into every partition. No job can be added up to `stable`.
    pub(crate) fn gave(&mut self, picks: &Picks, claimed: &[Claimed], whole: bool, stable: i64) {
        self.full = !whole;
        let mut given: BTreeMap<i32, (i32, i64)> = BTreeMap::new();
        for job in claimed {
            let (count, last) = given.entry(job.partition).or_default();
            *count += 1;
            *last = (*last).max(job.position);
        }
        for (id, quota) in picks.partitions.iter().zip(&picks.quotas) {
            let Some(partition) = self.partitions.get_mut(id) else { continue };
            match given.get(id) {
                Some((count, last)) => {
                    partition.backlog = count >= quota;
                    partition.served = self.round;
                    partition.low = partition.low.max((stable + 1).min(last + 1));
                }
                None if whole => {
                    partition.backlog = false;
                    partition.low = partition.low.max(stable + 1);
                }
                None => {}
            }
        }
    }
}

fn backlogged_tenants(open: &[(&Partition, i32)]) -> usize {
    let backlogged = open.iter().filter(|(partition, _)| partition.backlog);
    let mut tenants: Vec<Option<Uuid>> = backlogged.map(|(partition, _)| partition.row.tenant).collect();
    tenants.sort_unstable();
    tenants.dedup();
    tenants.len()
}

impl Plan {
    fn picks_of(&mut self, row: &PartitionRow) -> &mut Picks {
        if !row.limited {
            return &mut self.free;
        }
        let place = self.limited.iter().position(|(queue, _)| *queue == row.queue).unwrap_or_else(|| {
            self.limited.push((row.queue.clone(), Picks::default()));
            self.limited.len() - 1
        });
        &mut self.limited[place].1
    }
}

impl Picks {
    fn push(&mut self, partition: &Partition, quota: i32, kind_room: i32) {
        self.partitions.push(partition.row.id);
        self.lows.push(partition.low);
        self.quotas.push(quota);
        // The database counts from 1.
        let names = &mut self.kind_names;
        let place = names.iter().position(|name| *name == partition.row.kind).unwrap_or_else(|| {
            names.push(partition.row.kind.clone());
            self.kind_rooms.push(i64::from(kind_room));
            names.len() - 1
        });
        self.kinds.push(i32::try_from(place + 1).unwrap_or(i32::MAX));
    }
}

/// Compares releases part by part as numbers; what is no number counts as 0.
fn is_at_least(release: &str, least: &str) -> bool {
    // That of nearly all kinds; asked for each of thousands of partitions.
    if least == "0" {
        return true;
    }
    let parts = |text: &str| -> Vec<u64> {
        let core = text.split(['-', '+']).next().unwrap_or_default();
        let mut parts: Vec<u64> = core.split('.').map(|part| part.parse().unwrap_or(0)).collect();
        parts.resize(4, 0);
        parts
    };
    parts(release) >= parts(least)
}

#[cfg(test)]
mod tests;
