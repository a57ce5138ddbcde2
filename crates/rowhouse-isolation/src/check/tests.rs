use std::collections::BTreeSet;
use std::path::Path;

use super::{CHECKS, Severity, all, find};

#[test]
fn ids_are_unique_and_every_text_is_a_sentence() {
    let ids: BTreeSet<&str> = all().map(|check| check.id).collect();
    assert_eq!(ids.len(), all().count());
    for check in all() {
        assert!(!check.title.ends_with('.') && check.title.len() < 90, "{}", check.id);
        assert!(check.why.ends_with('.') && check.remedy.ends_with('.'), "{}", check.id);
        assert_eq!(find(check.id).map(|found| found.title), Some(check.title));
    }
    assert!(find("coverage.nonsense").is_none());
}

#[test]
fn every_statement_belongs_to_a_check() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("sql");
    let families = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut found = 0;
    // Those of the proof are no checks.
    for family in families.filter(|path| path.is_dir() && !path.ends_with("prove")) {
        for statement in std::fs::read_dir(&family).unwrap() {
            let path = statement.unwrap().path();
            let name = |path: &Path| path.file_stem().unwrap().to_str().unwrap().to_owned();
            let id = format!("{}.{}", name(&family), name(&path));
            assert!(find(&id).is_some(), "{id}");
            found += 1;
        }
    }
    assert_eq!((found, CHECKS.len()), (all().count(), 6));
}

#[test]
fn every_error_but_one_comes_with_sql_that_corrects_it() {
    // Claims that users write have to be replaced by something that nobody can guess.
    let by_hand = ["predicate.editable_claims"];
    for check in all().filter(|check| check.severity == Severity::Error) {
        let has_fix = !check.sql.contains("null::text as fix");
        assert_eq!(has_fix, !by_hand.contains(&check.id), "{}", check.id);
    }
}
