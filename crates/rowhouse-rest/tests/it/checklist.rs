//! Whether every line of `checklist.txt` has a case, or a test elsewhere, and every case a line.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::case::parse;
use crate::golden::files;

/// The list's lines: name, and the file that covers it, where that is not a case.
fn lines() -> BTreeMap<&'static str, Option<&'static str>> {
    let lines =
        include_str!("checklist.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, text) = line.split_once(' ').expect("a name and what it means");
            (name, text.split_once(" -> ").map(|(_, file)| file))
        })
        .collect()
}

fn covered() -> BTreeSet<String> {
    files().iter().flat_map(|(_, text)| parse(text)).flat_map(|case| case.covers).collect()
}

/// Differences between the list and the cases.
fn complaints(lines: &BTreeMap<&str, Option<&str>>, covered: &BTreeSet<String>) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let uncovered = lines.iter().filter_map(|(name, elsewhere)| match elsewhere {
        None => (!covered.contains(*name)).then(|| format!("{name} has no case")),
        Some(file) => (!root.join(file).is_file()).then(|| format!("{name} is said to be covered by {file}")),
    });
    let unknown = covered.iter().filter(|name| !lines.contains_key(name.as_str()));
    uncovered.chain(unknown.map(|name| format!("{name} is no line of the list"))).collect()
}

#[test]
fn every_line_of_the_checklist_has_a_case_and_every_case_a_line() {
    let found = complaints(&lines(), &covered());
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn line_without_a_case_and_case_without_a_line_are_found() {
    let lines = BTreeMap::from([("A1.1", None), ("A1.2", None), ("A1.3", Some("no/such/file.rs"))]);
    let covered = BTreeSet::from(["A1.1".to_owned(), "A9.9".to_owned()]);
    assert_eq!(
        complaints(&lines, &covered),
        ["A1.2 has no case", "A1.3 is said to be covered by no/such/file.rs", "A9.9 is no line of the list"]
    );
}
