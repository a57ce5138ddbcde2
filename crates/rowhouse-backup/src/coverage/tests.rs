use std::collections::BTreeSet;

use super::{Branch, Coverage, branches, covered};
use crate::lsn::Lsn;

const SEGMENT: u64 = 16 << 20;
const FIRST: Branch = Branch { timeline: 1, from: 0 };

fn present(timeline: u32, numbers: impl IntoIterator<Item = u64>) -> BTreeSet<(u32, u64)> {
    numbers.into_iter().map(|number| (timeline, number)).collect()
}

#[test]
fn log_without_a_gap_reaches_to_its_newest_segment() {
    let coverage = covered((3, 4), &[FIRST], &present(1, 2..=9));
    assert_eq!(coverage, Coverage { last: Some((1, 9)), missing: vec![], stored_at: None });
}

#[test]
fn gaps_are_named_before_and_after_the_end_of_the_backup() {
    let coverage = covered((3, 5), &[FIRST], &present(1, [3, 5, 6, 8]));
    assert_eq!(coverage, Coverage { last: Some((1, 3)), missing: vec![(1, 4), (1, 7)], stored_at: None });
    let nothing = covered((3, 5), &[FIRST], &BTreeSet::new());
    assert_eq!(nothing, Coverage { last: None, missing: vec![(1, 3), (1, 4), (1, 5)], stored_at: None });
}

#[test]
fn new_timeline_goes_on_where_it_left_the_old_one() {
    let history = (2, "1\t0/6000100\tno recovery target specified\n".to_owned());
    let way = branches(1, Lsn(4 * SEGMENT), SEGMENT, &[history]);
    assert_eq!(way, [FIRST, Branch { timeline: 2, from: 6 }]);
    let mut files = present(1, 3..=6);
    files.extend(present(2, 6..=8));
    assert_eq!(
        covered((3, 4), &way, &files),
        Coverage { last: Some((2, 8)), missing: vec![], stored_at: None }
    );
    // What the old timeline wrote after the switch does not stand in for the new one's.
    let old_only = covered((3, 4), &way, &present(1, 3..=9));
    assert_eq!(old_only, Coverage { last: Some((1, 5)), missing: vec![], stored_at: None });
}

#[test]
fn timeline_that_left_before_the_backup_does_not_count() {
    let histories =
        [(2, "1\t0/2000000\tbefore\n".to_owned()), (3, "1\t0/2000000\tx\n2\t0/9000000\ty\n".to_owned())];
    assert_eq!(branches(1, Lsn(4 * SEGMENT), SEGMENT, &histories), [FIRST]);
    assert_eq!(branches(2, Lsn(4 * SEGMENT), SEGMENT, &histories).len(), 2);
}
