//! Removing what retention does not keep: backups, the log before the oldest of them, what was never finished.
//!
//! Leaves the decision which backups stay to `retention`.

use std::collections::BTreeMap;

use serde::Serialize;
use time::Duration;

use crate::error::StoreError;
use crate::lsn::{Lsn, parse_segment_name};
use crate::manifest::{BackupId, Manifest};
use crate::retention::{Candidate, Reason, Rules, keep};
use crate::settings::BackupSettings;
use crate::store::{Condition, Listed, Store};

/// How long a backup without a manifest may still be under way.
const UNDER_WAY: Duration = Duration::days(1);
/// The end of the names of pieces of a segment that is being written.
const PARTIAL: &str = ".partial";

/// What was removed, or would be.
#[derive(Debug, Default, Serialize)]
pub struct Pruned {
    /// Backups that stay, each with the reason.
    kept: BTreeMap<BackupId, Reason>,
    /// Backups that do not.
    pub removed: Vec<BackupId>,
    /// Backups that were never finished.
    pub incomplete: Vec<BackupId>,
    /// Backups that cannot be read, by damage or for want of the key: they stay, and with them all log.
    pub unreadable: Vec<BackupId>,
    /// Files of write-ahead log before the oldest backup that stays.
    pub wal_files: u64,
    /// Names of positions before it.
    pub points: Vec<String>,
    /// Bytes in the store of all that.
    pub bytes: u64,
}

impl Store {
    /// Removes what the settings do not keep; with `dry_run` only says what that would be.
    ///
    /// # Errors
    /// If the store does not answer. What was removed until then is gone, and the rest is whole.
    pub async fn prune(&self, settings: &BackupSettings, dry_run: bool) -> Result<Pruned, StoreError> {
        let listed = self.list().await?;
        let mut pruned = self.decide(&listed, settings);
        let is_removed = |id: &BackupId| pruned.removed.contains(id) || pruned.incomplete.contains(id);
        pruned.bytes =
            listed.iter().filter(|listed| is_removed(&listed.id)).map(|listed| listed.stored_bytes).sum();
        if !dry_run {
            for id in pruned.removed.iter().chain(&pruned.incomplete) {
                self.delete(id).await?;
            }
            self.remove_leftovers(self.now() - UNDER_WAY).await?;
        }
        let needs_all = !pruned.unreadable.is_empty();
        if !needs_all {
            let stay =
                listed.iter().filter_map(Listed::manifest).filter(|one| pruned.kept.contains_key(&one.id));
            for (system_id, (oldest, segment_bytes)) in oldest_needed(stay) {
                self.prune_log(&system_id, oldest, segment_bytes, dry_run, &mut pruned).await?;
            }
        }
        Ok(pruned)
    }

    fn decide(&self, listed: &[Listed], settings: &BackupSettings) -> Pruned {
        let mut pruned = Pruned::default();
        let mut candidates = Vec::new();
        for one in listed {
            match &one.condition {
                Condition::Good(manifest) => candidates.push(candidate(one, manifest)),
                Condition::Unreadable(_) => pruned.unreadable.push(one.id.clone()),
                Condition::Incomplete if one.modified < self.now() - UNDER_WAY => {
                    pruned.incomplete.push(one.id.clone());
                }
                Condition::Incomplete => {}
            }
        }
        let rules = Rules { daily: settings.keep_daily, weekly: settings.keep_weekly };
        pruned.kept = keep(&candidates, rules);
        let ids = candidates.into_iter().map(|candidate| candidate.id);
        pruned.removed = ids.filter(|id| !pruned.kept.contains_key(id)).collect();
        pruned
    }

    async fn prune_log(
        &self,
        system_id: &str,
        oldest: Lsn,
        segment_bytes: u64,
        dry_run: bool,
        pruned: &mut Pruned,
    ) -> Result<(), StoreError> {
        let first = oldest.segment(segment_bytes);
        for (_, timeline) in
            self.list_timelines().await?.into_iter().filter(|(system, _)| system == system_id)
        {
            let wal = self.open_wal(system_id, timeline).await?;
            for file in wal.list().await? {
                if number(&file.name, segment_bytes).is_none_or(|number| number >= first) {
                    continue;
                }
                pruned.wal_files += 1;
                pruned.bytes += file.stored_bytes;
                if !dry_run {
                    wal.delete(&file.name).await?;
                }
            }
        }
        for name in self.list_points().await? {
            let Ok(point) = self.get_point(&name).await else { continue };
            if point.system_id == system_id && point.lsn < oldest {
                if !dry_run {
                    self.delete_point(&name).await?;
                }
                pruned.points.push(name);
            }
        }
        Ok(())
    }
}

/// The number of the segment to which a file belongs, a whole one or a piece; none for histories.
fn number(name: &str, segment_bytes: u64) -> Option<u64> {
    let segment = match name.strip_suffix(PARTIAL) {
        Some(piece) => piece.split('.').next().unwrap_or(piece),
        None => name,
    };
    parse_segment_name(segment, segment_bytes).map(|(_, number)| number)
}

fn candidate(listed: &Listed, manifest: &Manifest) -> Candidate {
    let drilled = &listed.state.drilled;
    // Dumps of two databases of a cluster do not replace one another.
    let database = manifest.dumped().unwrap_or_default();
    Candidate {
        id: listed.id.clone(),
        group: format!("{} {} {database}", manifest.kind.as_str(), manifest.system_id),
        started_at: manifest.started_at,
        is_damaged: listed.is_damaged(),
        drilled_at: drilled.as_ref().filter(|record| record.good).map(|record| record.at),
    }
}

/// For each cluster the first position that a backup needs, and the size of its segments.
fn oldest_needed<'a>(stay: impl Iterator<Item = &'a Manifest>) -> BTreeMap<String, (Lsn, u64)> {
    let mut oldest: BTreeMap<String, (Lsn, u64)> = BTreeMap::new();
    for manifest in stay {
        let Some(start) = manifest.start_lsn else { continue };
        let entry = oldest.entry(manifest.system_id.clone()).or_insert((start, manifest.wal_segment_bytes));
        entry.0 = entry.0.min(start);
    }
    oldest
}
