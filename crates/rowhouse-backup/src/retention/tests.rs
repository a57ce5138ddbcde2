use time::macros::datetime;
use time::{Duration, OffsetDateTime};

use super::{Candidate, Reason, Rules, keep};
use crate::manifest::BackupId;

const RULES: Rules = Rules { daily: 7, weekly: 4 };
/// A Sunday.
const LAST: OffsetDateTime = datetime!(2026-11-29 02:00 UTC);

fn backup(days_ago: i64) -> Candidate {
    let id = BackupId::parse(&format!("d{days_ago:03}")).expect("a name");
    let started_at = LAST - Duration::days(days_ago);
    Candidate { id, group: "physical".to_owned(), started_at, is_damaged: false, drilled_at: None }
}

fn kept(candidates: &[Candidate], rules: Rules) -> Vec<(String, Reason)> {
    keep(candidates, rules).into_iter().map(|(id, reason)| (id.to_string(), reason)).collect()
}

fn ids(candidates: &[Candidate], rules: Rules) -> Vec<String> {
    kept(candidates, rules).into_iter().map(|(id, _)| id).collect()
}

#[test]
fn eighth_day_removes_the_first() {
    let week: Vec<Candidate> = (0..8).map(backup).collect();
    let rules = Rules { weekly: 0, ..RULES };
    assert_eq!(ids(&week, rules), ["d000", "d001", "d002", "d003", "d004", "d005", "d006"]);
}

#[test]
fn newest_of_each_week_stays() {
    let months: Vec<Candidate> = (0..60).map(backup).collect();
    let all = kept(&months, RULES);
    let weekly: Vec<&str> =
        all.iter().filter(|(_, reason)| *reason == Reason::Weekly).map(|(id, _)| id.as_str()).collect();
    // The Sundays before the week that the days cover.
    assert_eq!(weekly, ["d007", "d014", "d021"]);
    assert_eq!(all.len(), 10);
}

#[test]
fn nothing_is_removed_because_none_was_made() {
    let old: Vec<Candidate> = (300..303).map(backup).collect();
    assert_eq!(ids(&old, RULES), ["d300", "d301", "d302"]);
}

#[test]
fn last_drilled_stays_however_old_it_is() {
    let mut many: Vec<Candidate> = (0..90).map(backup).collect();
    many[80].drilled_at = Some(LAST - Duration::days(70));
    many[85].drilled_at = Some(LAST - Duration::days(75));
    let all = kept(&many, Rules { daily: 1, weekly: 0 });
    assert_eq!(all, [("d000".to_owned(), Reason::Newest), ("d080".to_owned(), Reason::LastDrilled)]);
}

#[test]
fn damaged_backup_takes_no_other_ones_place() {
    let mut few: Vec<Candidate> = (0..4).map(backup).collect();
    few[0].is_damaged = true;
    let all = kept(&few, Rules { daily: 1, weekly: 0 });
    assert_eq!(all, [("d000".to_owned(), Reason::Damaged), ("d001".to_owned(), Reason::Newest)]);
    few.iter_mut().for_each(|candidate| candidate.is_damaged = true);
    assert_eq!(ids(&few, Rules { daily: 1, weekly: 0 }).len(), 4, "nothing good is left");
}

#[test]
fn kinds_and_clusters_do_not_replace_each_other() {
    let mut two = vec![backup(0), backup(1)];
    two[1].group = "logical".to_owned();
    assert_eq!(ids(&two, Rules { daily: 1, weekly: 0 }), ["d000", "d001"]);
}
