//! Which backups stay: the newest of each of the last days and weeks that have one, and never fewer than make a restore possible.
//!
//! Decides over values only; leaves reading and removing to `prune`.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use time::{Date, OffsetDateTime};

use crate::manifest::BackupId;

/// What is known of a finished backup.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub(crate) id: BackupId,
    /// Backups of another kind or another cluster do not replace it.
    pub(crate) group: String,
    pub(crate) started_at: OffsetDateTime,
    /// Whether its last verification, if there was one, found damage.
    pub(crate) is_damaged: bool,
    /// When it was last restored in a drill that went well.
    pub(crate) drilled_at: Option<OffsetDateTime>,
}

/// How many days and weeks are covered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) daily: u32,
    pub(crate) weekly: u32,
}

/// Why a backup stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reason {
    /// It is the newest.
    Newest,
    /// It is the last that was restored in a drill.
    LastDrilled,
    /// It is the newest of a day.
    Daily,
    /// It is the newest of a week.
    Weekly,
    /// It is damaged, and as new as others that stay: what can be read of it may be all there is of its day.
    Damaged,
}

/// The backups that stay, with the first reason. Days and weeks without a backup do not count, so that nothing is removed because
/// none was made.
pub(crate) fn keep(candidates: &[Candidate], rules: Rules) -> BTreeMap<BackupId, Reason> {
    let groups: BTreeSet<&str> = candidates.iter().map(|candidate| candidate.group.as_str()).collect();
    let mut kept = BTreeMap::new();
    for group in groups {
        let mut newest_first: Vec<&Candidate> =
            candidates.iter().filter(|candidate| candidate.group == group).collect();
        newest_first.sort_unstable_by_key(|candidate| std::cmp::Reverse(candidate.started_at));
        keep_of(&newest_first, rules, &mut kept);
    }
    kept
}

fn keep_of(newest_first: &[&Candidate], rules: Rules, kept: &mut BTreeMap<BackupId, Reason>) {
    let good: Vec<&Candidate> =
        newest_first.iter().copied().filter(|candidate| !candidate.is_damaged).collect();
    let mut note = |candidate: &Candidate, reason| {
        kept.entry(candidate.id.clone()).or_insert(reason);
    };
    if let Some(newest) = good.first() {
        note(newest, Reason::Newest);
    }
    let drilled = good.iter().filter(|candidate| candidate.drilled_at.is_some());
    if let Some(last) = drilled.max_by_key(|candidate| candidate.drilled_at) {
        note(last, Reason::LastDrilled);
    }
    let daily = newest_of_each(&good, rules.daily, OffsetDateTime::date);
    daily.iter().for_each(|candidate| note(candidate, Reason::Daily));
    newest_of_each(&good, rules.weekly, week).iter().for_each(|candidate| note(candidate, Reason::Weekly));
    // Without a good one that is newer, a damaged one stays however old it is.
    let oldest_day = daily.last().map(|candidate| candidate.started_at);
    let is_recent = |candidate: &&Candidate| oldest_day.is_none_or(|oldest| candidate.started_at >= oldest);
    let damaged = newest_first.iter().copied().filter(|candidate| candidate.is_damaged);
    damaged.filter(is_recent).for_each(|candidate| note(candidate, Reason::Damaged));
}

/// The newest of each of the last `count` spans that have one; the candidates are sorted, the newest first.
fn newest_of_each<'a, T: PartialEq>(
    newest_first: &[&'a Candidate],
    count: u32,
    span: impl Fn(OffsetDateTime) -> T,
) -> Vec<&'a Candidate> {
    let mut found: Vec<&Candidate> = Vec::new();
    for candidate in newest_first {
        let is_new = found.last().is_none_or(|last| span(last.started_at) != span(candidate.started_at));
        if is_new && found.len() < count as usize {
            found.push(candidate);
        }
    }
    found
}

/// The Monday of the week.
fn week(at: OffsetDateTime) -> Option<Date> {
    let date = at.date();
    date.checked_sub(time::Duration::days(i64::from(date.weekday().number_days_from_monday())))
}

#[cfg(test)]
mod tests;
