use super::*;

#[test]
fn many_partitions_are_read_less_often_and_none_not_at_all() {
    let now = Instant::now();
    let cases = [(0, 9, false), (1, 0, false), (MANY, 1, true), (MANY + 1, 1, false), (MANY + 1, 5, true)];
    for (knows, after, is_due) in cases {
        let due = Watch::begin(now).is_refresh_due(now + Duration::from_secs(after), knows);
        assert_eq!(due, is_due, "{knows}");
    }
}
