//! Which segments of write-ahead log a backup needs, and how far those in the store reach without a gap.
//!
//! Leaves reading them to `store`. A cluster that was restored goes on in a new timeline, whose history says where it left the old one.

use std::collections::BTreeSet;

use time::OffsetDateTime;

use crate::lsn::Lsn;

/// How many missing segments are named.
const MOST_NAMED: usize = 20;

/// From one segment on, this timeline counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Branch {
    pub(crate) timeline: u32,
    /// First segment number; that in which the timeline begins is a copy of the old one's beginning.
    pub(crate) from: u64,
}

/// What the store has for a backup.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Coverage {
    /// The last segment that can be reached without a gap; none if the first is missing.
    pub(crate) last: Option<(u32, u64)>,
    /// Timeline and number of segments that are missing, the first ones.
    pub(crate) missing: Vec<(u32, u64)>,
    /// When the last segment was stored.
    pub(crate) stored_at: Option<OffsetDateTime>,
}

/// The segments from `start` to `stop`, which have to be there, and on to the newest on the branches.
pub(crate) fn covered(
    (start, stop): (u64, u64),
    branches: &[Branch],
    present: &BTreeSet<(u32, u64)>,
) -> Coverage {
    let Some(last) = branches.last() else { return Coverage::default() };
    let on_last = present.range((last.timeline, last.from)..=(last.timeline, u64::MAX)).next_back();
    // A new timeline of which nothing has arrived yet ends where it begins.
    let newest = on_last.map_or(last.from.saturating_sub(1), |(_, number)| *number).max(stop);
    let mut coverage = Coverage::default();
    for number in start..=newest {
        let timeline = branches.iter().rev().find(|branch| branch.from <= number);
        let segment = (timeline.map_or(last.timeline, |branch| branch.timeline), number);
        if !present.contains(&segment) {
            coverage.missing.push(segment);
            if coverage.missing.len() == MOST_NAMED {
                break;
            }
        } else if coverage.missing.is_empty() {
            coverage.last = Some(segment);
        }
    }
    coverage
}

/// The way from the backup's timeline to the newest that descends from it after `stop`. `histories` are the timelines' history
/// files.
pub(crate) fn branches(
    timeline: u32,
    stop: Lsn,
    segment_bytes: u64,
    histories: &[(u32, String)],
) -> Vec<Branch> {
    let own = Branch { timeline, from: 0 };
    let mut newest_first: Vec<&(u32, String)> =
        histories.iter().filter(|(newer, _)| *newer > timeline).collect();
    newest_first.sort_unstable_by_key(|(newer, _)| std::cmp::Reverse(*newer));
    for (newer, text) in newest_first {
        let ancestors = parse_history(text);
        let Some(position) = ancestors.iter().position(|(ancestor, _)| *ancestor == timeline) else {
            continue;
        };
        let left = &ancestors[position..];
        if left[0].1 < stop {
            continue;
        }
        let next = left.iter().skip(1).map(|(ancestor, _)| *ancestor).chain([*newer]);
        let switches = left.iter().map(|(_, switch)| switch.segment(segment_bytes));
        let later = next.zip(switches).map(|(timeline, from)| Branch { timeline, from });
        return [own].into_iter().chain(later).collect();
    }
    vec![own]
}

/// Each ancestor with the position at which it was left, the oldest first.
fn parse_history(text: &str) -> Vec<(u32, Lsn)> {
    let line = |line: &str| {
        let mut words = line.split_whitespace();
        Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
    };
    text.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests;
