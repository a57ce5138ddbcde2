use std::time::{Duration, Instant};

use time::OffsetDateTime;
use uuid::Uuid;

use super::{FailureDetector, Heartbeat};

fn detector() -> (FailureDetector, Instant) {
    (FailureDetector::new(Duration::from_secs(7), Duration::from_secs(3)), Instant::now())
}

fn beat(worker: u128, second: i64) -> Heartbeat {
    (Uuid::from_u128(worker), OffsetDateTime::UNIX_EPOCH + time::Duration::seconds(second))
}

fn after(start: Instant, second: u64) -> Instant {
    start + Duration::from_secs(second)
}

#[test]
fn worker_whose_beat_stays_the_same_is_dead_and_one_that_beats_is_not() {
    let (mut detector, start) = detector();
    for second in 0..7 {
        let beats = vec![beat(1, 0), beat(2, second as i64)];
        assert_eq!(detector.look(after(start, second), beats), [], "{second}");
    }
    assert_eq!(detector.look(after(start, 7), vec![beat(1, 0), beat(2, 7)]), [beat(1, 0)]);
}

#[test]
fn outage_makes_nobody_dead() {
    let (mut detector, start) = detector();
    assert_eq!(detector.look(start, vec![beat(1, 0)]), []);
    assert_eq!(detector.look(after(start, 60), vec![beat(1, 0)]), [], "nobody could have beaten");
    for second in 61..67 {
        assert_eq!(detector.look(after(start, second), vec![beat(1, 0)]), []);
    }
    assert_eq!(detector.look(after(start, 67), vec![beat(1, 0)]), [beat(1, 0)]);
}

#[test]
fn hitch_of_the_one_who_looks_puts_off_its_judgement_and_no_more() {
    let (mut detector, start) = detector();
    for second in [0, 2, 4, 6, 11] {
        assert_eq!(detector.look(after(start, second), vec![beat(1, 0)]), []);
    }
    assert_eq!(detector.look(after(start, 12), vec![beat(1, 0)]), [beat(1, 0)]);
}

#[test]
fn clock_that_is_set_back_kills_nobody() {
    let (mut detector, start) = detector();
    for second in 0..20 {
        assert_eq!(detector.look(after(start, second), vec![beat(1, 1000 - second as i64)]), []);
    }
}
