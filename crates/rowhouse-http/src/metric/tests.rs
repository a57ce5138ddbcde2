use std::time::Duration;

use http::{Method, StatusCode};

use super::Metrics;

#[test]
fn unknown_methods_share_one_series() {
    let metrics = Metrics::install().unwrap();
    for n in 0..100 {
        let invented = Method::from_bytes(format!("M{n}{}", "X".repeat(10_000)).as_bytes()).unwrap();
        metrics.record(&invented, "unmatched", StatusCode::NOT_FOUND, Duration::ZERO);
    }
    assert_eq!(metrics.requests.read().unwrap().len(), 1);
}
