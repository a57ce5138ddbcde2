use std::sync::Arc;

use super::Slots;
use crate::{Handler, HandlerFuture, Job};
use crate::{JobKind, Registry};

struct Idle;

impl Handler for Idle {
    fn run<'a>(&'a self, _: &'a Job) -> HandlerFuture<'a> {
        Box::pin(std::future::ready(Ok(None)))
    }
}

fn slots() -> (Slots, Registry) {
    let mut registry = Registry::new();
    for name in ["shop.slow", "shop.other"] {
        registry.add(JobKind::new(name), Idle);
    }
    registry.add(JobKind { concurrency: Some(3), ..JobKind::new("shop.few") }, Idle);
    registry.add(JobKind { is_urgent: true, ..JobKind::new("shop.urgent") }, Idle);
    (Slots::new(20, &registry), registry)
}

/// Takes all there is for a kind whose runs are long.
fn fill(slots: &Slots, registry: &Registry, kind: &str) -> Vec<super::Held> {
    let mut held = Vec::new();
    while slots.rooms(registry)[kind] > 0 {
        let one = slots.hold(kind);
        (0..200).for_each(|_| one.took(std::time::Duration::from_secs(60)));
        held.push(one);
    }
    held
}

#[test]
fn no_kind_takes_the_slots_of_others() {
    let (slots, registry) = slots();
    let slow = fill(&slots, &registry, "shop.slow");
    assert_eq!(slow.len(), 15);
    assert_eq!(fill(&slots, &registry, "shop.other").len(), 3);
    assert_eq!(slots.rooms(&registry)["shop.slow"], 0);
}

#[test]
fn kind_takes_no_more_slots_than_it_is_given() {
    let (slots, registry) = slots();
    assert_eq!(fill(&slots, &registry, "shop.few").len(), 3);
    assert_eq!(fill(&slots, &registry, "shop.slow").len(), 15);
}

#[test]
fn reserved_slots_are_there_whatever_the_others_do() {
    let (slots, registry) = slots();
    let _slow = (fill(&slots, &registry, "shop.slow"), fill(&slots, &registry, "shop.other"));
    assert_eq!(fill(&slots, &registry, "shop.urgent").len(), 2);
}

#[test]
fn place_is_free_again_when_the_job_has_ended() {
    let (slots, registry) = slots();
    let before = slots.rooms(&registry);
    let held = slots.hold("shop.slow");
    assert_eq!(slots.rooms(&registry)["shop.slow"], before[&Arc::from("shop.slow")] - 1);
    drop(held);
    assert_eq!(slots.rooms(&registry), before);
}

#[tokio::test]
async fn quick_jobs_are_claimed_ahead_of_their_turn() {
    let (slots, registry) = slots();
    let one = slots.hold("shop.slow");
    (0..200).for_each(|_| one.took(std::time::Duration::from_micros(1)));
    assert!(slots.rooms(&registry)["shop.slow"] > 1_000);
    assert!(one.slot().await.is_some());
}
