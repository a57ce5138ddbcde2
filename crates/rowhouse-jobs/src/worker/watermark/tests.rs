use super::Watermark;
use crate::store::Horizon;

fn at(last_position: i64, xmin: i64, xmax: i64) -> Horizon {
    Horizon { last_position, xmin, xmax }
}

#[test]
fn position_is_stable_when_all_that_had_begun_a_reading_later_have_ended() {
    let mut watermark = Watermark::default();
    watermark.read(at(100, 10, 20));
    watermark.read(at(200, 10, 30));
    assert_eq!(watermark.stable(), 0, "transaction 10 may still commit a job below 100");
    watermark.read(at(300, 29, 40));
    assert_eq!(watermark.stable(), 0, "transaction 29 had begun before the second reading");
    watermark.read(at(400, 30, 50));
    assert_eq!(watermark.stable(), 100);
}

#[test]
fn long_transaction_holds_the_mark_back_and_no_more() {
    let mut watermark = Watermark::default();
    for n in 0..1000 {
        watermark.read(at(n * 10, 5, 10 + n));
    }
    assert_eq!(watermark.stable(), 0);
    watermark.read(at(10_000, 2000, 2000));
    assert_eq!(watermark.stable(), 9_990);
}

#[test]
fn mark_moves_although_some_transaction_always_runs() {
    let mut watermark = Watermark::default();
    // Ids and positions grow by one a reading, and each transaction takes a hundred readings.
    for n in 100..10_000 {
        watermark.read(at(n, n - 100, n));
        assert!(watermark.stable() <= n - 100, "positions above are open still");
    }
    assert!(watermark.stable() > 9_000, "{}", watermark.stable());
    assert!(watermark.waiting.len() <= super::MOST);
}

#[test]
fn readings_that_are_left_out_settle_nothing_too_early() {
    let mut watermark = Watermark::default();
    for n in 0..200 {
        watermark.read(at(n * 10, 5, 10 + n));
    }
    // Whatever had an id when the positions were at 1000 has ended, and nothing that began later.
    watermark.read(at(2_000, 111, 300));
    assert!(watermark.stable() <= 1_000 && watermark.stable() > 0, "{}", watermark.stable());
}
