use std::collections::BTreeMap;
use std::sync::Arc;

use uuid::Uuid;

use super::{Lanes, is_at_least};
use crate::store::{Claimed, LaneRow};

fn row(id: i32, tenant: u128, priority: i16) -> LaneRow {
    LaneRow {
        id,
        queue: "default".to_owned(),
        kind: "test.work".to_owned(),
        tenant: Some(Uuid::from_u128(tenant)),
        priority,
        limited: false,
        paused: false,
        min_release: "0".to_owned(),
    }
}

fn claimed(lane: i32, position: i64) -> Claimed {
    Claimed {
        lease: 1,
        lane,
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

fn lanes(rows: Vec<LaneRow>) -> Lanes {
    let mut lanes = Lanes::default();
    lanes.learn(rows, true);
    lanes
}

fn roomy() -> BTreeMap<Arc<str>, i32> {
    BTreeMap::new()
}

#[test]
fn urgent_lanes_come_first() {
    let mut lanes = lanes(vec![row(1, 1, 9), row(2, 1, 0), row(3, 1, 5)]);
    assert_eq!(lanes.plan(10, "1.0", &roomy()).free.lanes, [2, 3, 1]);
}

#[test]
fn tenants_with_backlogs_share_and_small_ones_come_before_them() {
    let mut lanes = lanes(vec![row(1, 1, 5), row(2, 2, 5), row(3, 3, 5)]);
    let plan = lanes.plan(30, "1.0", &roomy()).free;
    assert_eq!(plan.quotas, [10, 10, 10]);
    let mut given: Vec<_> = (0..10).map(|n| claimed(1, n)).collect();
    given.push(claimed(2, 100));
    lanes.gave(&plan, &given, true, 0);
    let next = lanes.plan(30, "1.0", &roomy()).free;
    assert_eq!(next.lanes, [3, 2, 1], "least served first, the one with a backlog last");
    assert_eq!(next.quotas, [7, 7, 30]);
}

fn passed(lanes: &Lanes) -> Vec<(i32, i64, i64)> {
    let passed = lanes.passed();
    let ranges = passed.lanes.iter().zip(&passed.from).zip(&passed.beyond);
    ranges.map(|((lane, from), beyond)| (*lane, *from, *beyond)).collect()
}

#[test]
fn low_mark_follows_what_was_given_but_not_beyond_what_is_settled() {
    let mut lanes = lanes(vec![row(1, 1, 5), row(2, 2, 5)]);
    let plan = lanes.plan(4, "1.0", &roomy()).free;
    lanes.gave(&plan, &[claimed(1, 50), claimed(1, 51)], true, 40);
    assert_eq!(passed(&lanes), [(1, 0, 41), (2, 0, 41)]);
    let plan = lanes.plan(4, "1.0", &roomy()).free;
    lanes.gave(&plan, &[claimed(1, 60)], false, 100);
    assert_eq!(passed(&lanes), [(1, 0, 61), (2, 0, 41)], "lane 2 may not have been looked into");
}

#[test]
fn what_was_passed_is_looked_at_once_and_a_job_left_there_is_claimed() {
    let mut lanes = lanes(vec![row(1, 1, 5)]);
    let plan = lanes.plan(4, "1.0", &roomy()).free;
    lanes.gave(&plan, &[claimed(1, 50)], true, 50);
    lanes.check(&lanes.passed(), &BTreeMap::new());
    assert_eq!(passed(&lanes), []);
    lanes.gave(&plan, &[claimed(1, 90)], true, 90);
    assert_eq!(passed(&lanes), [(1, 51, 91)]);
    let looked = lanes.passed();
    lanes.gave(&plan, &[claimed(1, 95)], true, 95);
    lanes.check(&looked, &BTreeMap::from([(1, 60)]));
    assert_eq!(lanes.plan(4, "1.0", &roomy()).free.lows, [60]);
    lanes.gave(&plan, &[claimed(1, 60), claimed(1, 97)], true, 99);
    assert_eq!(passed(&lanes), [(1, 60, 98)], "what stood above the one left behind is looked at too");
}

#[test]
fn look_behind_that_ends_after_everything_was_forgotten_proves_nothing() {
    let mut lanes = lanes(vec![row(1, 1, 5)]);
    let plan = lanes.plan(4, "1.0", &roomy()).free;
    lanes.gave(&plan, &[claimed(1, 50)], true, 50);
    let looked = lanes.passed();
    lanes.forget_lows();
    lanes.gave(&plan, &[claimed(1, 50)], true, 50);
    lanes.check(&looked, &BTreeMap::new());
    assert_eq!(passed(&lanes), [(1, 0, 51)]);
}

#[test]
fn paused_lanes_and_those_of_later_releases_are_left_alone() {
    let paused = LaneRow { paused: true, ..row(1, 1, 5) };
    let later = LaneRow { min_release: "1.3".to_owned(), ..row(2, 1, 5) };
    let mut lanes = lanes(vec![paused, later, row(3, 1, 5)]);
    assert_eq!(lanes.plan(10, "1.2.9", &roomy()).free.lanes, [3]);
    assert_eq!(lanes.plan(10, "1.3.0", &roomy()).free.lanes.len(), 2);
}

#[test]
fn no_more_is_claimed_than_a_kind_has_room_for() {
    let other = LaneRow { kind: "test.other".to_owned(), ..row(1, 1, 5) };
    let mut lanes = lanes(vec![other, row(2, 1, 5)]);
    let mut quotas = |room| {
        let plan = lanes.plan(10, "1.0", &BTreeMap::from([("test.other".into(), room)])).free;
        plan.lanes.into_iter().zip(plan.quotas).collect::<BTreeMap<_, _>>()
    };
    assert_eq!(quotas(0), BTreeMap::from([(2, 10)]));
    assert_eq!(quotas(3), BTreeMap::from([(1, 3), (2, 10)]));
}

#[test]
fn limited_lanes_are_claimed_queue_by_queue() {
    let limited = |id, queue: &str| LaneRow { limited: true, queue: queue.to_owned(), ..row(id, 1, 5) };
    let mut lanes = lanes(vec![limited(1, "a"), limited(2, "b"), limited(3, "a"), row(4, 1, 5)]);
    let plan = lanes.plan(10, "1.0", &roomy());
    assert_eq!(plan.free.lanes, [4]);
    assert_eq!(plan.limited[0].1.lanes, [1, 3]);
    assert_eq!(plan.limited[1].1.lanes, [2]);
}

#[test]
fn priority_does_not_starve_the_last_for_ever() {
    let mut lanes = lanes(vec![row(1, 1, 0), row(2, 2, 9)]);
    let mut first_of_last = 0;
    for _ in 0..64 {
        let plan = lanes.plan(10, "1.0", &roomy()).free;
        first_of_last += usize::from(plan.lanes[0] == 2);
        let given: Vec<_> = (0..10).map(|n| claimed(1, n)).collect();
        lanes.gave(&plan, &given, false, 0);
    }
    assert_eq!(first_of_last, 4);
}

#[test]
fn of_many_lanes_each_has_its_turn() {
    let mut lanes = lanes((1..=5_000).map(|id| row(id, 1, 5)).collect());
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..3 {
        seen.extend(lanes.plan(10, "1.0", &roomy()).free.lanes);
    }
    assert_eq!(seen.len(), 5_000);
}

#[test]
fn releases_compare_as_numbers() {
    assert!(is_at_least("0.10.0", "0.9"));
    assert!(is_at_least("1.0.0-rc.1", "1.0"));
    assert!(!is_at_least("0.9.9", "0.10"));
}
