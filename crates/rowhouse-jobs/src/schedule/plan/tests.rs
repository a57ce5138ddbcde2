use std::time::Duration;

use rowhouse_kernel::SeededRng;
use time::OffsetDateTime;
use time::macros::datetime;

use super::{Chance, MOST_MISSED, Plan, Turn, plan, turn_after};
use crate::cron::Cron;
use crate::settings::Missed;

const NOON: OffsetDateTime = datetime!(2026-05-04 12:00 UTC);

fn hourly() -> Cron {
    Cron::parse("0 * * * *", "UTC").unwrap()
}

fn fire(missed: Missed, slot: OffsetDateTime, now: OffsetDateTime) -> Plan {
    plan(&hourly(), missed, Duration::ZERO, Turn { slot, at: slot }, now, Chance::draw(&*SeededRng::new(1)))
}

fn hours(from: OffsetDateTime, to: OffsetDateTime) -> Vec<OffsetDateTime> {
    let step = |slot: &OffsetDateTime| Some(*slot + Duration::from_secs(3600));
    std::iter::successors(Some(from), step).take_while(|slot| *slot <= to).collect()
}

#[test]
fn due_time_fires_once_whatever_the_policy() {
    let next = NOON + Duration::from_secs(3600);
    let expected = Plan { slots: vec![NOON], next: Some(Turn { slot: next, at: next }) };
    for missed in [Missed::Skip, Missed::Once, Missed::All] {
        for late in [0, 1, 59_999] {
            assert_eq!(fire(missed, NOON, NOON + Duration::from_millis(late)), expected, "{missed:?} {late}");
        }
    }
}

#[test]
fn missed_times_are_skipped_or_fired_once_or_each() {
    let now = NOON + Duration::from_secs(5 * 3600 + 1800);
    let last = NOON + Duration::from_secs(5 * 3600);
    assert!(fire(Missed::Skip, NOON, now).slots.is_empty());
    assert_eq!(fire(Missed::Once, NOON, now).slots, [last]);
    assert_eq!(fire(Missed::All, NOON, now).slots, hours(NOON, last));
    for missed in [Missed::Skip, Missed::Once, Missed::All] {
        assert_eq!(fire(missed, NOON, now).next.unwrap().slot, last + Duration::from_secs(3600));
    }
}

#[test]
fn skip_still_fires_a_time_that_is_just_due() {
    let now = NOON + Duration::from_secs(2 * 3600 + 5);
    assert_eq!(fire(Missed::Skip, NOON, now).slots, [NOON + Duration::from_secs(2 * 3600)]);
}

#[test]
fn of_a_year_of_missed_times_the_newest_hundred_are_fired() {
    let now = NOON + Duration::from_secs(365 * 86_400);
    let slots = fire(Missed::All, NOON, now).slots;
    assert_eq!(slots.len(), MOST_MISSED);
    assert_eq!(slots.last(), Some(&now));
    assert!(slots.is_sorted());
}

#[test]
fn jitter_delays_within_its_bound_and_repeats_with_the_seed() {
    let most = Duration::from_secs(600);
    let draw = |seed| turn_after(&hourly(), most, NOON, Chance::draw(&*SeededRng::new(seed))).unwrap();
    let turns: Vec<Turn> = (0..50).map(draw).collect();
    assert!(turns.iter().all(|turn| turn.at >= turn.slot && turn.at < turn.slot + most));
    assert!(turns.iter().any(|turn| turn.at != turns[0].at));
    assert_eq!(draw(7), draw(7));
}

#[test]
fn jitter_longer_than_the_period_loses_no_time() {
    let turn = Turn { slot: NOON, at: NOON + Duration::from_secs(2 * 3600) };
    let made = plan(&hourly(), Missed::All, Duration::ZERO, turn, turn.at, Chance::draw(&*SeededRng::new(1)));
    assert_eq!(made.slots, [NOON]);
    assert_eq!(made.next.unwrap().slot, NOON + Duration::from_secs(3600));
}

#[test]
fn clock_set_back_fires_only_what_was_due() {
    let made = fire(Missed::All, NOON, NOON - Duration::from_secs(5 * 3600));
    assert_eq!(made.slots, [NOON]);
    assert_eq!(made.next.unwrap().slot, NOON + Duration::from_secs(3600));
}
