//! Every defect that is put into a schema is found, and nothing is found without one.

use std::collections::BTreeSet;

use rowhouse_isolation::mutate::{Fate, KINDS, mutate};

use super::support::{plan, with};

#[tokio::test]
async fn every_kind_of_defect_is_found() {
    let db = with("").await;
    // Some need a superuser: defects in roles.
    let client = db.superuser().await;
    let mutation = mutate(&client, &plan(), false, &|_, _, _| {}).await.unwrap();
    let of = |fate| mutation.mutants.iter().filter(move |mutant| mutant.fate == fate).collect::<Vec<_>>();
    assert_eq!(mutation.false_alarms, Vec::<String>::new());
    assert_eq!(of(Fate::Survived), Vec::<&_>::new(), "{:#?}", of(Fate::Survived));
    assert_eq!(of(Fate::Skipped), Vec::<&_>::new(), "{:#?}", of(Fate::Skipped));
    let tried: BTreeSet<&str> = mutation.mutants.iter().map(|mutant| mutant.kind).collect();
    let expected = KINDS.iter().map(|kind| kind.name).filter(|name| *name != "user_helper_trusts_metadata");
    assert_eq!(tried, expected.collect());
    assert!(tried.len() >= 60 && mutation.kill_rate() == Some(1.0), "{}", tried.len());
    let by_proof = mutation.mutants.iter().filter(|mutant| mutant.killed_by.contains(&"prove"));
    assert!(by_proof.count() >= 50);
}
