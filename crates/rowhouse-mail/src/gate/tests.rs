use std::time::{Duration, Instant};

use super::{Gate, LONGEST, State};

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[tokio::test]
async fn after_a_failure_one_tries_again_and_nobody_else() {
    let gate = Gate::new(4);
    let (first, second) = (gate.enter().await.unwrap(), gate.enter().await.unwrap());
    first.failed();
    second.failed();
    assert!(gate.enter().await.is_none());
    let now = Instant::now();
    assert_eq!((gate.room(now), gate.room(now + seconds(1))), (0, 1), "two that began together count once");
    assert_eq!(gate.admit(now + seconds(1)), Some(true));
    assert_eq!((gate.admit(now + seconds(1)), gate.room(now + seconds(9))), (None, 0));
}

#[tokio::test]
async fn success_opens_it_for_all() {
    let gate = Gate::new(1);
    let pass = gate.enter().await.unwrap();
    *gate.state() = State::Trying { failures: 3 };
    pass.succeeded();
    assert!(gate.enter().await.is_some());
}

#[test]
fn pauses_grow_and_have_a_limit() {
    let (gate, now) = (Gate::new(1), Instant::now());
    let mut pauses = Vec::new();
    gate.shut(now, false);
    for _ in 0..12 {
        let State::Shut { until, failures } = *gate.state() else { panic!() };
        pauses.push(until - now);
        *gate.state() = State::Trying { failures };
        gate.shut(now, true);
    }
    assert_eq!(pauses[..6], [1, 2, 4, 8, 16, 30].map(seconds));
    assert!(pauses[6..].iter().all(|pause| *pause == LONGEST));
}

#[tokio::test]
async fn try_without_a_verdict_leaves_it_to_the_next() {
    let gate = Gate::new(1);
    *gate.state() = State::Shut { until: Instant::now(), failures: 2 };
    drop(gate.enter().await.unwrap());
    assert!(gate.enter().await.unwrap().is_try);
}

#[tokio::test]
async fn not_more_talk_than_there_are_connections_and_few_wait() {
    let gate = Gate::new(2);
    let now = Instant::now();
    assert_eq!(gate.room(now), 6);
    let (_first, _second) = (gate.enter().await.unwrap(), gate.enter().await.unwrap());
    assert_eq!(gate.room(now), 4);
    let mut third = Box::pin(gate.enter());
    assert!(futures_util::poll!(&mut third).is_pending());
    assert_eq!(gate.room(now), 3);
    drop(third);
    assert_eq!(gate.room(now), 4);
}
