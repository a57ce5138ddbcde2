use std::time::Duration;

use http::HeaderMap;

use super::Timing;

#[test]
fn stages_are_listed_in_milliseconds() {
    let mut timing = Timing::start(true);
    timing.note("parse", Duration::from_micros(12));
    timing.note("transaction", Duration::from_millis(1_500));
    let mut headers = HeaderMap::new();
    timing.show(&mut headers);
    assert_eq!(headers["server-timing"], "parse;dur=0.012, transaction;dur=1500.000");
}

#[test]
fn watch_that_is_off_shows_nothing() {
    let mut timing = Timing::start(false);
    timing.mark("parse");
    let mut headers = HeaderMap::new();
    timing.show(&mut headers);
    assert!(headers.is_empty());
}
