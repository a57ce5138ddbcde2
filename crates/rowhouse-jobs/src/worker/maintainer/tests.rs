use super::*;

#[test]
fn many_partitions_are_read_less_often() {
    let now = Instant::now();
    for (count, after, is_due) in [(0, 0, false), (MANY, 1, true), (MANY + 1, 1, false), (MANY + 1, 5, true)]
    {
        let watch = Watch { refreshed: (now, count), ..Watch::begin(now) };
        assert_eq!(watch.is_refresh_due(now + Duration::from_secs(after)), is_due, "{count}");
    }
}
