use std::time::Duration;

use http::HeaderMap;
use rowhouse_http::VerifyTime;

use super::Timing;

#[test]
fn stages_are_listed_in_milliseconds() {
    let mut timing = Timing::start(true, Some(&VerifyTime(Duration::from_micros(7))));
    timing.note("parse", Duration::from_micros(12));
    timing.note("transaction", Duration::from_millis(1_500));
    let mut headers = HeaderMap::new();
    timing.show(&mut headers);
    assert_eq!(headers["server-timing"], "jwt;dur=0.007, parse;dur=0.012, transaction;dur=1500.000");
}

#[test]
fn disabled_timing_adds_no_header() {
    let mut timing = Timing::start(false, Some(&VerifyTime(Duration::ZERO)));
    timing.end_stage("parse");
    let mut headers = HeaderMap::new();
    timing.show(&mut headers);
    assert!(headers.is_empty());
}
