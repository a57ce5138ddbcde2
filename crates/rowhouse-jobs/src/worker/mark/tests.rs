use super::Marks;
use crate::store::Horizon;

fn at(last_position: i64, xmin: i64, xmax: i64) -> Horizon {
    Horizon { last_position, xmin, xmax }
}

#[test]
fn position_is_settled_when_all_that_had_begun_a_reading_later_have_ended() {
    let mut marks = Marks::default();
    marks.read(at(100, 10, 20));
    marks.read(at(200, 10, 30));
    assert_eq!(marks.settled(), 0, "transaction 10 may still commit a job below 100");
    marks.read(at(300, 29, 40));
    assert_eq!(marks.settled(), 0, "transaction 29 had begun before the second reading");
    marks.read(at(400, 30, 50));
    assert_eq!(marks.settled(), 100);
}

#[test]
fn long_transaction_holds_the_mark_back_and_no_more() {
    let mut marks = Marks::default();
    for n in 0..1000 {
        marks.read(at(n * 10, 5, 10 + n));
    }
    assert_eq!(marks.settled(), 0);
    marks.read(at(10_000, 2000, 2000));
    assert_eq!(marks.settled(), 9_990);
}
