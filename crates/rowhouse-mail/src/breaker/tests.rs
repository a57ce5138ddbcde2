use std::time::{Duration, Instant};

use super::{CircuitBreaker, LONGEST, State};

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[tokio::test]
async fn after_a_failure_a_single_probe_is_admitted() {
    let breaker = CircuitBreaker::new(4);
    let (first, second) = (breaker.acquire().await.unwrap(), breaker.acquire().await.unwrap());
    first.failed();
    second.failed();
    assert!(breaker.acquire().await.is_none());
    let now = Instant::now();
    assert_eq!(
        (breaker.room(now), breaker.room(now + seconds(1))),
        (0, 1),
        "two that began together count once"
    );
    assert_eq!(breaker.admit(now + seconds(1)), Some(true));
    assert_eq!((breaker.admit(now + seconds(1)), breaker.room(now + seconds(9))), (None, 0));
}

#[tokio::test]
async fn success_of_the_probe_closes_the_breaker() {
    let breaker = CircuitBreaker::new(1);
    let permit = breaker.acquire().await.unwrap();
    *breaker.state() = State::HalfOpen { failures: 3 };
    permit.succeeded();
    assert!(breaker.acquire().await.is_some());
}

#[test]
fn pauses_between_probes_double_up_to_a_limit() {
    let (breaker, now) = (CircuitBreaker::new(1), Instant::now());
    let mut pauses = Vec::new();
    breaker.open(now, false);
    for _ in 0..12 {
        let State::Open { until, failures } = *breaker.state() else { panic!() };
        pauses.push(until - now);
        *breaker.state() = State::HalfOpen { failures };
        breaker.open(now, true);
    }
    assert_eq!(pauses[..6], [1, 2, 4, 8, 16, 30].map(seconds));
    assert!(pauses[6..].iter().all(|pause| *pause == LONGEST));
}

#[tokio::test]
async fn probe_without_a_result_leaves_probing_to_the_next_mail() {
    let breaker = CircuitBreaker::new(1);
    *breaker.state() = State::Open { until: Instant::now(), failures: 2 };
    drop(breaker.acquire().await.unwrap());
    assert!(breaker.acquire().await.unwrap().is_probe);
}

#[tokio::test]
async fn sessions_and_waiters_are_bounded_by_the_connections() {
    let breaker = CircuitBreaker::new(2);
    let now = Instant::now();
    assert_eq!(breaker.room(now), 6);
    let (_first, _second) = (breaker.acquire().await.unwrap(), breaker.acquire().await.unwrap());
    assert_eq!(breaker.room(now), 4);
    let mut third = Box::pin(breaker.acquire());
    assert!(futures_util::poll!(&mut third).is_pending());
    assert_eq!(breaker.room(now), 3);
    drop(third);
    assert_eq!(breaker.room(now), 4);
}
