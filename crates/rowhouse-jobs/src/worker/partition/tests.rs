use std::collections::BTreeMap;
use std::sync::Arc;

use uuid::Uuid;

use super::{Partitions, is_at_least};
use crate::store::{Claimed, PartitionRow};

fn row(id: i32, tenant: u128, priority: i16) -> PartitionRow {
    PartitionRow {
        id,
        queue: "default".into(),
        kind: "test.work".into(),
        tenant: Some(Uuid::from_u128(tenant)),
        priority,
        limited: false,
        paused: false,
        min_release: "0".into(),
        opened: i64::from(id),
    }
}

fn claimed(partition: i32, position: i64) -> Claimed {
    Claimed {
        lease: 1,
        partition,
        position,
        id: position,
        enqueued_at: time::OffsetDateTime::UNIX_EPOCH,
        attempt: 0,
        payload: None,
        options: None,
        bytes: 0,
        unreadable: None,
    }
}

fn partitions(rows: Vec<PartitionRow>) -> Partitions {
    let mut partitions = Partitions::default();
    partitions.learn(rows, true);
    partitions
}

fn roomy() -> BTreeMap<Arc<str>, i32> {
    BTreeMap::new()
}

#[test]
fn urgent_partitions_come_first() {
    let mut partitions = partitions(vec![row(1, 1, 9), row(2, 1, 0), row(3, 1, 5)]);
    assert_eq!(partitions.plan(10, "1.0", &roomy()).free.partitions, [2, 3, 1]);
}

#[test]
fn tenants_with_backlogs_share_and_small_ones_come_before_them() {
    let mut partitions = partitions(vec![row(1, 1, 5), row(2, 2, 5), row(3, 3, 5)]);
    let plan = partitions.plan(30, "1.0", &roomy()).free;
    assert_eq!(plan.quotas, [10, 10, 10]);
    let mut given: Vec<_> = (0..10).map(|n| claimed(1, n)).collect();
    given.push(claimed(2, 100));
    partitions.gave(&plan, &given, true, 0);
    let next = partitions.plan(30, "1.0", &roomy()).free;
    assert_eq!(next.partitions, [3, 2, 1], "least served first, the one with a backlog last");
    assert_eq!(next.quotas, [7, 7, 30]);
}

fn passed(partitions: &Partitions) -> Vec<(i32, i64, i64)> {
    let passed = partitions.passed();
    let ranges = passed.partitions.iter().zip(&passed.from).zip(&passed.beyond);
    ranges.map(|((partition, from), beyond)| (*partition, *from, *beyond)).collect()
}

#[test]
fn low_mark_follows_what_was_given_but_not_beyond_what_is_settled() {
    let mut partitions = partitions(vec![row(1, 1, 5), row(2, 2, 5)]);
    let plan = partitions.plan(4, "1.0", &roomy()).free;
    partitions.gave(&plan, &[claimed(1, 50), claimed(1, 51)], true, 40);
    assert_eq!(passed(&partitions), [(1, 0, 41), (2, 0, 41)]);
    let plan = partitions.plan(4, "1.0", &roomy()).free;
    partitions.gave(&plan, &[claimed(1, 60)], false, 100);
    assert_eq!(passed(&partitions), [(1, 0, 61), (2, 0, 41)], "partition 2 may not have been looked into");
}

#[test]
fn what_was_passed_is_looked_at_once_and_a_job_left_there_is_claimed() {
    let mut partitions = partitions(vec![row(1, 1, 5)]);
    let plan = partitions.plan(4, "1.0", &roomy()).free;
    partitions.gave(&plan, &[claimed(1, 50)], true, 50);
    partitions.check(&partitions.passed(), &BTreeMap::new());
    assert_eq!(passed(&partitions), []);
    partitions.gave(&plan, &[claimed(1, 90)], true, 90);
    assert_eq!(passed(&partitions), [(1, 51, 91)]);
    let looked = partitions.passed();
    partitions.gave(&plan, &[claimed(1, 95)], true, 95);
    partitions.check(&looked, &BTreeMap::from([(1, 60)]));
    assert_eq!(partitions.plan(4, "1.0", &roomy()).free.lows, [60]);
    partitions.gave(&plan, &[claimed(1, 60), claimed(1, 97)], true, 99);
    assert_eq!(passed(&partitions), [(1, 60, 98)], "what stood above the one left behind is looked at too");
}

#[test]
fn look_behind_that_ends_after_everything_was_forgotten_proves_nothing() {
    let mut partitions = partitions(vec![row(1, 1, 5)]);
    let plan = partitions.plan(4, "1.0", &roomy()).free;
    partitions.gave(&plan, &[claimed(1, 50)], true, 50);
    let looked = partitions.passed();
    partitions.forget_lows();
    partitions.gave(&plan, &[claimed(1, 50)], true, 50);
    partitions.check(&looked, &BTreeMap::new());
    assert_eq!(passed(&partitions), [(1, 0, 51)]);
}

#[test]
fn paused_partitions_and_those_of_later_releases_are_left_alone() {
    let paused = PartitionRow { paused: true, ..row(1, 1, 5) };
    let later = PartitionRow { min_release: "1.3".into(), ..row(2, 1, 5) };
    let mut partitions = partitions(vec![paused, later, row(3, 1, 5)]);
    assert_eq!(partitions.plan(10, "1.2.9", &roomy()).free.partitions, [3]);
    assert_eq!(partitions.plan(10, "1.3.0", &roomy()).free.partitions.len(), 2);
}

#[test]
fn no_more_is_claimed_than_a_kind_has_room_for() {
    let other = PartitionRow { kind: "test.other".into(), ..row(1, 1, 5) };
    let mut partitions = partitions(vec![other, row(2, 1, 5)]);
    let mut quotas = |room| {
        let plan = partitions.plan(10, "1.0", &BTreeMap::from([("test.other".into(), room)])).free;
        plan.partitions.into_iter().zip(plan.quotas).collect::<BTreeMap<_, _>>()
    };
    assert_eq!(quotas(0), BTreeMap::from([(2, 10)]));
    assert_eq!(quotas(3), BTreeMap::from([(1, 3), (2, 10)]));
}

#[test]
fn limited_partitions_are_claimed_queue_by_queue() {
    let limited = |id, queue: &str| PartitionRow { limited: true, queue: queue.into(), ..row(id, 1, 5) };
    let mut partitions = partitions(vec![limited(1, "a"), limited(2, "b"), limited(3, "a"), row(4, 1, 5)]);
    let plan = partitions.plan(10, "1.0", &roomy());
    assert_eq!(plan.free.partitions, [4]);
    assert_eq!(plan.limited[0].1.partitions, [1, 3]);
    assert_eq!(plan.limited[1].1.partitions, [2]);
}

#[test]
fn priority_does_not_starve_the_last_for_ever() {
    let mut partitions = partitions(vec![row(1, 1, 0), row(2, 2, 9)]);
    let mut first_of_last = 0;
    for _ in 0..64 {
        let plan = partitions.plan(10, "1.0", &roomy()).free;
        first_of_last += usize::from(plan.partitions[0] == 2);
        let given: Vec<_> = (0..10).map(|n| claimed(1, n)).collect();
        partitions.gave(&plan, &given, false, 0);
    }
    assert_eq!(first_of_last, 4);
}

#[test]
fn of_many_partitions_each_has_its_turn() {
    let mut partitions = partitions((1..=5_000).map(|id| row(id, 1, 5)).collect());
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..3 {
        seen.extend(partitions.plan(10, "1.0", &roomy()).free.partitions);
    }
    assert_eq!((seen.len(), partitions.rounds()), (5_000, 3));
}

#[test]
fn jobs_of_many_partitions_are_drained_in_one_circuit() {
    let mut partitions = partitions((1..=5_000).map(|id| row(id, id as u128, 5)).collect());
    let mut left: std::collections::BTreeSet<i32> = (1..=5_000).collect();
    let (mut claims, mut looks) = (0, 0);
    while !left.is_empty() && claims < 100 {
        let plan = partitions.plan(100, "1.0", &roomy()).free;
        let given: Vec<_> =
            plan.partitions.iter().filter(|id| left.contains(id)).take(100).copied().collect();
        given.iter().for_each(|id| _ = left.remove(id));
        let given: Vec<_> = given.into_iter().map(|id| claimed(id, 1)).collect();
        partitions.gave(&plan, &given, given.len() < 100, 0);
        (claims, looks) = (claims + 1, looks + plan.partitions.len());
    }
    assert_eq!((left.len(), claims), (0, 50));
    assert!(looks < 10_000, "{looks} partitions were planned for 5,000");
}

#[test]
fn a_turn_that_was_cut_behind_the_highest_number_goes_on_there() {
    let mut partitions = partitions((1..=2_100).map(|id| row(id, id as u128, 5)).collect());
    let plan = partitions.plan(2_000, "1.0", &roomy()).free;
    partitions.gave(&plan, &[], true, 0);
    // From 2,001 to 2,100, then from 1.
    let plan = partitions.plan(100, "1.0", &roomy()).free;
    partitions.gave(&plan, &[claimed(2_050, 1), claimed(7, 1)], false, 0);
    assert_eq!(partitions.turn.1, 7);
}

#[test]
fn no_more_partitions_are_offered_than_a_full_claim_needs() {
    let mut partitions = partitions((1..=100).map(|id| row(id, id as u128, 5)).collect());
    let first = partitions.plan(8, "1.0", &roomy()).free;
    assert_eq!(first.partitions.len(), 100, "it is not known yet where jobs are");
    let given: Vec<_> = (1..=8).map(|id| claimed(id, 1)).collect();
    partitions.gave(&first, &given, false, 0);
    let next = partitions.plan(8, "1.0", &roomy()).free;
    assert_eq!(
        next.partitions,
        (9..=18).collect::<Vec<_>>(),
        "those that waited longest, and a quarter more"
    );
    partitions.gave(&next, &[claimed(9, 1)], true, 0);
    assert_eq!(
        partitions.plan(8, "1.0", &roomy()).free.partitions.len(),
        100,
        "there was less than expected"
    );
}

#[test]
fn further_jobs_of_a_partition_come_with_its_first_and_are_no_sign_of_more() {
    let mut partitions = partitions((1..=1_000).map(|id| row(id, id as u128, 5)).collect());
    let first = partitions.plan(500, "1.0", &roomy()).free;
    assert_eq!((first.quotas[0], first.expected[0]), (5, 1));
    let given: Vec<_> = (1..=500).map(|id| claimed(id, 1)).collect();
    partitions.gave(&first, &given, false, 0);
    let next = partitions.plan(500, "1.0", &roomy()).free;
    assert_eq!(next.partitions.len(), 625, "each may have one job only");
    assert_eq!(next.partitions[0], 501, "those that gave their share still come later");
}

#[test]
fn newer_row_changes_what_is_asked_and_keeps_what_was_seen() {
    let mut partitions = partitions(vec![row(1, 1, 5), row(2, 2, 5)]);
    let plan = partitions.plan(4, "1.0", &roomy()).free;
    partitions.gave(&plan, &[claimed(1, 7)], false, 10);
    partitions.learn(vec![PartitionRow { priority: 9, ..row(1, 1, 5) }], false);
    let next = partitions.plan(4, "1.0", &roomy()).free;
    assert_eq!((next.partitions, next.lows), (vec![2, 1], vec![0, 8]));
    partitions.learn(vec![PartitionRow { paused: true, ..row(2, 2, 5) }], false);
    assert_eq!(partitions.plan(4, "1.0", &roomy()).free.partitions, [1]);
}

#[test]
fn partitions_that_want_little_are_offered_beside_any_backlog() {
    let mut partitions = partitions((1..=40).map(|id| row(id, id as u128, 5)).collect());
    let all = partitions.plan(4, "1.0", &roomy()).free;
    let given: Vec<_> = (1..=20).map(|id| claimed(id, 1)).collect();
    partitions.gave(&all, &given, true, 0);
    let backlogged = partitions.plan(4, "1.0", &roomy()).free;
    partitions.gave(&backlogged, &[claimed(1, 2), claimed(2, 2), claimed(3, 2), claimed(4, 2)], false, 0);
    let next = partitions.plan(4, "1.0", &roomy()).free.partitions;
    assert_eq!(next, (21..=40).chain(5..=9).collect::<Vec<_>>());
}

#[test]
fn releases_compare_as_numbers() {
    assert!(is_at_least("0.10.0", "0.9"));
    assert!(is_at_least("1.0.0-rc.1", "1.0"));
    assert!(!is_at_least("0.9.9", "0.10"));
}
