//! Which lanes to claim from, in which order and how much: fair between tenants, strict between priorities. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use uuid::Uuid;

use crate::store::{Claimed, LaneRow, Picks};

/// Every so many claims go without regard to priority, so that the last priority is never starved.
const AGING: u64 = 16;
/// Lanes looked into at once; the others have their turn in the next round.
const MOST_LANES: usize = 2_000;

/// What is known of a lane.
#[derive(Debug)]
struct Lane {
    row: LaneRow,
    /// No job stands below.
    low: i64,
    /// Up to here that has been looked at since; see [`Lanes::passed`].
    checked: i64,
    /// It gave all that was asked last time, so there is probably more.
    backlog: bool,
    /// When its tenant's turn was, in rounds.
    served: u64,
}

/// The lanes that this worker may claim from.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    lanes: BTreeMap<i32, Lane>,
    round: u64,
    cursor: i32,
    /// How often everything was forgotten.
    epoch: u64,
}

/// Positions that claims have passed by, lane by lane: from, and the first beyond.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Passed {
    epoch: u64,
    pub(crate) lanes: Vec<i32>,
    pub(crate) from: Vec<i64>,
    pub(crate) beyond: Vec<i64>,
}

/// One round's claims.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// From lanes without limits.
    pub(crate) free: Picks,
    /// Queue by queue from those with.
    pub(crate) limited: Vec<(String, Picks)>,
}

impl Lanes {
    /// Takes in what stands in the database; `whole` if that is all of it. True if there are lanes it did not know.
    pub(crate) fn learn(&mut self, rows: Vec<LaneRow>, whole: bool) -> bool {
        if whole {
            let known: BTreeSet<i32> = rows.iter().map(|row| row.id).collect();
            self.lanes.retain(|id, _| known.contains(id));
        }
        let before = self.lanes.len();
        for row in rows {
            match self.lanes.get_mut(&row.id) {
                Some(lane) => lane.row = row,
                None => {
                    let lane = Lane { low: 0, checked: 0, backlog: true, served: 0, row };
                    self.lanes.insert(lane.row.id, lane);
                }
            }
        }
        self.lanes.len() > before
    }

    /// The highest id known.
    pub(crate) fn newest(&self) -> i32 {
        self.lanes.last_key_value().map_or(0, |(id, _)| *id)
    }

    pub(crate) fn row(&self, lane: i32) -> Option<&LaneRow> {
        self.lanes.get(&lane).map(|lane| &lane.row)
    }

    /// What claims have passed by since it was last looked behind them. Somebody else's claim may have held a job there and
    /// have come to nothing. Nobody can add one, so looking once is enough.
    pub(crate) fn passed(&self) -> Passed {
        let mut passed = Passed { epoch: self.epoch, ..Passed::default() };
        for (id, lane) in self.lanes.iter().filter(|(_, lane)| lane.low > lane.checked) {
            passed.lanes.push(*id);
            passed.from.push(lane.checked);
            passed.beyond.push(lane.low);
        }
        passed
    }

    /// It has been looked there, and `left` is the first position in each lane where a job stands after all.
    pub(crate) fn check(&mut self, passed: &Passed, left: &BTreeMap<i32, i64>) {
        if passed.epoch != self.epoch {
            return;
        }
        for (id, beyond) in passed.lanes.iter().zip(&passed.beyond) {
            let Some(lane) = self.lanes.get_mut(id) else { continue };
            let first = left.get(id).copied().unwrap_or(i64::MAX);
            lane.low = lane.low.min(first);
            lane.checked = (*beyond).min(first);
        }
    }

    /// Nothing is known any more of what stands where.
    pub(crate) fn forget_lows(&mut self) {
        self.epoch += 1;
        for lane in self.lanes.values_mut() {
            (lane.low, lane.checked) = (0, 0);
        }
    }

    /// Plans a claim of `want` jobs for a worker of this `release`; from each lane not more than its kind has room for.
    pub(crate) fn plan(&mut self, want: i32, release: &str, rooms: &BTreeMap<Arc<str>, i32>) -> Plan {
        let room = |lane: &Lane| rooms.get(lane.row.kind.as_str()).copied().unwrap_or(i32::MAX);
        self.round += 1;
        let aging = self.round.is_multiple_of(AGING);
        let mut open: Vec<&Lane> = self
            .turn()
            .into_iter()
            .filter_map(|id| self.lanes.get(&id))
            .filter(|lane| !lane.row.paused && is_at_least(release, &lane.row.min_release))
            .filter(|lane| room(lane) > 0)
            .collect();
        // Who has waited longest comes first; a lane with a backlog comes after those that want little.
        open.sort_by_key(|lane| {
            let priority = if aging { 0 } else { lane.row.priority };
            (priority, lane.backlog, lane.served)
        });
        let backlogged: BTreeSet<Option<Uuid>> =
            open.iter().filter(|lane| lane.backlog).map(|lane| lane.row.tenant).collect();
        let share = (want / i32::try_from(backlogged.len()).unwrap_or(i32::MAX).max(1)).max(1);
        let little = (want / 4).max(1);
        let mut plan = Plan::default();
        for lane in open {
            let quota = if lane.backlog { share } else { little };
            let quota = quota.min(room(lane));
            plan.picks_of(&lane.row).push(lane.row.id, lane.low, quota);
        }
        plan
    }

    /// The lanes that have their turn: all, or as many as go into one statement.
    fn turn(&mut self) -> Vec<i32> {
        if self.lanes.len() <= MOST_LANES {
            return self.lanes.keys().copied().collect();
        }
        let after = self.lanes.range(self.cursor + 1..).map(|(id, _)| *id);
        let turn: Vec<i32> = after.chain(self.lanes.keys().copied()).take(MOST_LANES).collect();
        self.cursor = turn.last().copied().unwrap_or(0);
        turn
    }

    /// Takes in what a claim gave. `whole`: every lane was looked into. Below `settled` nothing can appear any more.
    pub(crate) fn gave(&mut self, picks: &Picks, claimed: &[Claimed], whole: bool, settled: i64) {
        let mut given: BTreeMap<i32, (i32, i64)> = BTreeMap::new();
        for job in claimed {
            let (count, last) = given.entry(job.lane).or_default();
            *count += 1;
            *last = (*last).max(job.position);
        }
        for (id, quota) in picks.lanes.iter().zip(&picks.quotas) {
            let Some(lane) = self.lanes.get_mut(id) else { continue };
            match given.get(id) {
                Some((count, last)) => {
                    lane.backlog = count >= quota;
                    lane.served = self.round;
                    lane.low = lane.low.max((settled + 1).min(last + 1));
                }
                None if whole => {
                    lane.backlog = false;
                    lane.low = lane.low.max(settled + 1);
                }
                None => {}
            }
        }
    }
}

impl Plan {
    fn picks_of(&mut self, row: &LaneRow) -> &mut Picks {
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
    fn push(&mut self, lane: i32, low: i64, quota: i32) {
        self.lanes.push(lane);
        self.lows.push(low);
        self.quotas.push(quota);
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
