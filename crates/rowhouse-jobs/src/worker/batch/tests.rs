use std::time::{Duration, Instant};

use super::{Batches, CompletedRun, Completion, CompletionReport};

const DONE: Completion = Completion::Done(None);

fn ended(job: i64, end: Completion) -> CompletedRun {
    CompletedRun { lease: 7, job, end }
}

#[test]
fn batch_that_went_well_is_completed_by_its_lease() {
    let (mut batches, now) = (Batches::default(), Instant::now());
    let batch = batches.open(7, 2, true, 0);
    assert!(!batches.end(batch, 1, DONE, now));
    assert!(batches.report(now, false).is_empty());
    assert!(batches.end(batch, 2, DONE, now));
    assert_eq!(batches.report(now, false).plain, [(7, vec![1, 2])]);
    assert_eq!(batches.inflight(), 0);
    assert!(batches.report(now, true).is_empty());
}

#[test]
fn failure_result_or_unique_key_is_reported_job_by_job() {
    let now = Instant::now();
    for (plain, end) in [
        (true, Completion::Retry(1.0, "x".to_owned())),
        (true, Completion::Done(Some(serde_json::json!(1).into()))),
        (false, DONE),
    ] {
        let mut batches = Batches::default();
        let batch = batches.open(7, 1, plain, 0);
        batches.end(batch, 1, end.clone(), now);
        let report = batches.report(now, false);
        assert_eq!((report.plain, report.completions, report.closed), (vec![], vec![ended(1, end)], vec![7]));
    }
}

#[test]
fn outcomes_do_not_wait_long_for_a_slow_neighbour() {
    let (mut batches, now) = (Batches::default(), Instant::now());
    let batch = batches.open(7, 2, true, 0);
    batches.end(batch, 1, DONE, now);
    let later = now + Duration::from_millis(60);
    assert_eq!(batches.report(later, false).completions, [ended(1, DONE)]);
    assert!(batches.report(later, true).is_empty());
    batches.end(batch, 2, DONE, later);
    let report = batches.report(later, false);
    assert!(report.plain.is_empty(), "a part has been reported already");
    assert_eq!(report.completions, [ended(2, DONE)]);
}

#[test]
fn what_a_handler_has_completed_is_not_reported_again() {
    let (mut batches, now) = (Batches::default(), Instant::now());
    let batch = batches.open(7, 2, true, 0);
    batches.end(batch, 1, Completion::ByHandler, now);
    batches.end(batch, 2, DONE, now);
    let report = batches.report(now, false);
    assert_eq!(CompletionReport::outcomes(&report.completions).len(), 1);
}

#[test]
fn lease_is_known_from_its_claim_until_its_last_report() {
    let (mut batches, now) = (Batches::default(), Instant::now());
    batches.ask([7, 8]);
    assert_eq!(batches.unknown(&[7, 8, 9]), [9]);
    let batch = batches.open(7, 1, true, 0);
    batches.ask([]);
    assert_eq!(batches.unknown(&[7, 8]), [8], "8 was never answered");
    batches.end(batch, 1, DONE, now);
    let report = batches.take_report(now, false);
    assert!(batches.unknown(&[7]).is_empty(), "being reported");
    batches.reported(&report);
    assert_eq!(batches.unknown(&[7]), [7]);
}

#[test]
fn what_is_held_counts_until_it_is_reported() {
    let (mut batches, now) = (Batches::default(), Instant::now());
    let batch = batches.open(7, 2, true, 101);
    batches.end(batch, 1, Completion::Done(Some(serde_json::json!("x").into())), now);
    assert_eq!((batches.inflight(), batches.unreported(), batches.bytes()), (1, 1, 51 + 3));
    let part = batches.take_report(now, true);
    batches.end(batch, 2, Completion::Dead("four".to_owned()), now);
    assert_eq!((batches.inflight(), batches.unreported(), batches.bytes()), (0, 2, 3 + 4));
    let rest = batches.take_report(now, true);
    batches.reported(&part);
    assert_eq!((batches.unreported(), batches.bytes()), (1, 4));
    batches.reported(&rest);
    assert_eq!((batches.unreported(), batches.bytes()), (0, 0));
}

#[test]
fn what_is_lost_is_not_held() {
    let (mut batches, now) = (Batches::default(), Instant::now());
    let batch = batches.open(7, 2, true, 100);
    batches.end(batch, 1, Completion::Dead("four".to_owned()), now);
    assert_eq!(batches.forget(), 1);
    assert_eq!((batches.inflight(), batches.unreported(), batches.bytes()), (0, 0, 0));
}
