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

/// A partition with a backlog gives up to this part of a claim, however many others have one: a look at a partition costs
/// more than a second job of it.
const LEAST_SHARE: i32 = 100;

/// What is known of a partition. What each plan asks of thousands is copied from the row, which lies elsewhere in memory.
#[derive(Debug)]
struct Partition {
    row: Arc<PartitionRow>,
    tenant: Option<Uuid>,
    priority: i16,
    /// The index into [`Partitions::kinds`].
    kind: u16,
    limited: bool,
    paused: bool,
    /// Any release may claim from it, which is so of nearly all.
    for_any_release: bool,
    /// No job stands below.
    low: i64,
    /// The positions below have been searched since claims passed them; see [`Partitions::passed`].
    checked: i64,
    /// The last claim filled its fair share, so there is probably more.
    backlog: bool,
    /// The last round that claimed from it.
    served: u64,
}

/// The partitions that this worker may claim from.
#[derive(Debug, Default)]
pub(crate) struct Partitions {
    partitions: BTreeMap<i32, Partition>,
    /// The kinds of all partitions seen.
    kinds: Vec<String>,
    round: u64,
    /// Where the last turn began and ended: the numbers of the partitions before its first, and of its last.
    turn: (i32, i32),
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
            let kind = self.kind(&row.kind);
            match self.partitions.get_mut(&row.id) {
                Some(partition) => partition.describe(row, kind),
                None => {
                    self.fresh.push(row.id);
                    self.partitions.insert(row.id, Partition::new(row, kind));
                }
            }
        }
        self.partitions.len() > before
    }

    /// Its index. A worker has few kinds, and they stay.
    fn kind(&mut self, name: &str) -> u16 {
        let known = self.kinds.iter().position(|kind| kind == name);
        let place = known.unwrap_or_else(|| {
            self.kinds.push(name.to_owned());
            self.kinds.len() - 1
        });
        u16::try_from(place).unwrap_or(u16::MAX)
    }

    /// The highest `opened` known, less [`OVERLAP`] if rows that became visible late are wanted too.
    pub(crate) fn newest(&self, late: bool) -> i64 {
        self.newest.saturating_sub(if late { OVERLAP } else { 0 }).max(0)
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
        let enough = i64::from(want) * 5 / 4;
        let rooms: Vec<i32> =
            self.kinds.iter().map(|kind| rooms.get(kind.as_str()).copied().unwrap_or(i32::MAX)).collect();
        let room = |partition: &Partition| rooms.get(usize::from(partition.kind)).copied().unwrap_or(0);
        let mut open: Vec<(i32, &Partition, i32)> = self
            .turn(usize::try_from(enough).unwrap_or(MOST_PARTITIONS))
            .into_iter()
            .map(|(id, partition)| (id, partition, room(partition)))
            .filter(|(_, partition, room)| *room > 0 && partition.runs(release))
            .collect();
        // Partitions with a backlog come after those without, so that few jobs do not wait for many; then by last turn.
        open.sort_by_key(|(_, partition, _)| {
            let priority = if aging { 0 } else { partition.priority };
            (priority, partition.backlog, partition.served)
        });
        let share = (want / i32::try_from(backlogged_tenants(&open)).unwrap_or(i32::MAX).max(1)).max(1);
        let (most, little) = (share.max(want / LEAST_SHARE), (want / 4).max(1));
        let mut plan = Plan::default();
        let mut missing = enough;
        for (id, partition, room) in open {
            let quota = room.min(if partition.backlog { most } else { little });
            if partition.limited || missing > 0 || !full {
                plan.picks_of(partition).push(id, partition, quota, share, room);
            }
            // It may have no more than its share.
            if partition.backlog && !partition.limited {
                missing -= i64::from(quota.min(share));
            }
        }
        plan
    }

    /// The partitions that have their turn, in the order of their numbers: all, or as many as go into one statement; while
    /// most have a backlog, only until `enough` of these are among them, since the others would be read for nothing.
    fn turn(&mut self, enough: usize) -> Vec<(i32, &Partition)> {
        let fresh = std::mem::take(&mut self.fresh);
        let all = self.partitions.iter().map(|(id, partition)| (*id, partition));
        if self.partitions.len() <= MOST_PARTITIONS {
            return all.collect();
        }
        let after = self.partitions.range(self.turn.1 + 1..).map(|(id, partition)| (*id, partition));
        let mut left = if self.full { enough } else { MOST_PARTITIONS };
        let wanted = |(_, partition): &(i32, &Partition)| {
            let is_wanted = left > 0;
            left -= usize::from(is_wanted && partition.backlog && !partition.limited && !partition.paused);
            is_wanted
        };
        let mut turn: Vec<_> = after.chain(all).take(MOST_PARTITIONS).take_while(wanted).collect();
        self.turn = (self.turn.1, turn.last().map_or(0, |(id, _)| *id));
        let fresh = fresh.into_iter().take(MOST_PARTITIONS);
        turn.extend(fresh.filter_map(|id| Some((id, self.partitions.get(&id)?))));
        turn.sort_unstable_by_key(|(id, _)| *id);
        turn.dedup_by_key(|(id, _)| *id);
        turn
    }

    /// Takes the jobs of a claim. `whole`: it looked into every partition. No job can be added up to `stable`.
    pub(crate) fn gave(&mut self, picks: &Picks, claimed: &[Claimed], whole: bool, stable: i64) {
        self.full = !whole;
        if self.full {
            self.end_turn_with(claimed);
        }
        let mut given: BTreeMap<i32, (i32, i64)> = BTreeMap::new();
        for job in claimed {
            let (count, last) = given.entry(job.partition).or_default();
            *count += 1;
            *last = (*last).max(job.position);
        }
        for (id, expected) in picks.partitions.iter().zip(&picks.expected) {
            let Some(partition) = self.partitions.get_mut(id) else { continue };
            match given.get(id) {
                Some((count, last)) => {
                    partition.backlog = count >= expected;
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

    /// The claim did not reach the end of the turn: the next one begins behind the last partition that gave a job. Those of
    /// many that were left out would wait for all others, and be looked for in all of them.
    fn end_turn_with(&mut self, claimed: &[Claimed]) {
        let (begin, end) = self.turn;
        // Turns go round: numbers up to the beginning come after the highest.
        let place = |id: i32| (id <= begin, id);
        let reached = claimed.iter().map(|job| job.partition).filter(|id| place(*id) <= place(end));
        if let Some(last) = reached.max_by_key(|id| place(*id)) {
            self.turn.1 = last;
        }
    }
}

fn backlogged_tenants(open: &[(i32, &Partition, i32)]) -> usize {
    let backlogged = open.iter().filter(|(_, partition, _)| partition.backlog);
    let mut tenants: Vec<Option<Uuid>> = backlogged.map(|(_, partition, _)| partition.tenant).collect();
    tenants.sort_unstable();
    tenants.dedup();
    tenants.len()
}

impl Partition {
    fn new(row: PartitionRow, kind: u16) -> Self {
        Self {
            tenant: row.tenant,
            priority: row.priority,
            kind,
            limited: row.limited,
            paused: row.paused,
            for_any_release: &*row.min_release == "0",
            row: Arc::new(row),
            low: 0,
            checked: 0,
            backlog: true,
            served: 0,
        }
    }

    /// Takes a newer row, and keeps what claims have shown.
    fn describe(&mut self, row: PartitionRow, kind: u16) {
        let Self { low, checked, backlog, served, .. } = *self;
        *self = Self { low, checked, backlog, served, ..Self::new(row, kind) };
    }

    fn runs(&self, release: &str) -> bool {
        !self.paused && (self.for_any_release || is_at_least(release, &self.row.min_release))
    }
}

impl Plan {
    /// Reads the row of a limited partition only.
    fn picks_of(&mut self, partition: &Partition) -> &mut Picks {
        if !partition.limited {
            return &mut self.free;
        }
        let queue = &partition.row.queue;
        let place = self.limited.iter().position(|(known, _)| **known == **queue).unwrap_or_else(|| {
            self.limited.push((queue.to_string(), Picks::default()));
            self.limited.len() - 1
        });
        &mut self.limited[place].1
    }
}

impl Picks {
    fn push(&mut self, id: i32, partition: &Partition, quota: i32, share: i32, kind_room: i32) {
        self.partitions.push(id);
        self.lows.push(partition.low);
        self.quotas.push(quota);
        self.expected.push(if partition.backlog { quota.min(share) } else { quota });
        // The database counts from 1.
        let known = &mut self.known_kinds;
        let place = known.iter().position(|kind| *kind == partition.kind).unwrap_or_else(|| {
            known.push(partition.kind);
            self.kind_rooms.push(i64::from(kind_room));
            known.len() - 1
        });
        self.kinds.push(i32::try_from(place + 1).unwrap_or(i32::MAX));
    }
}

/// Compares releases part by part as numbers; what is no number counts as 0.
fn is_at_least(release: &str, least: &str) -> bool {
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
