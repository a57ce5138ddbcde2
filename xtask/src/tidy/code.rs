//! Patterns that clippy does not check: unfinished work, silenced lints, skipped tests, tests that sleep.

use std::ops::Range;

use super::Finding;
use super::mask::{body, closing, line_of, mask};
use super::tree::Tree;

/// Refused everywhere.
const ANYWHERE: &[(&str, &str)] = &[
    ("#[allow(", "say `#[expect(lint, reason = \"…\")]`, which disappears with its cause"),
    ("#![allow(", "say `#![expect(lint, reason = \"…\")]`, which disappears with its cause"),
    ("todo!(", "unfinished work does not land"),
    ("unimplemented!(", "unfinished work does not land"),
    ("#[ignore", "a test that never runs proves nothing; move it to `cargo xtask check --long` or delete it"),
];

/// Refused where a panic would reach a user.
const SHIPPED: &[(&str, &str)] = &[(".unwrap()", "a panic reaches a user; say `?`")];

/// Refused where a test would be slow when it passes and flaky when it fails.
const TESTED: &[(&str, &str)] = &[("sleep(", "wait on a signal, not on time")];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let rust = tree.ending(".rs").flat_map(|(path, text)| check_rust(path, text));
    let suites = tree.ending(".test.mjs").flat_map(|(path, text)| find(path, text, TESTED, |_| true));
    rust.chain(suites).collect()
}

fn check_rust(path: &str, text: &str) -> Vec<Finding> {
    let masked = mask(text);
    let regions = test_regions(text, &masked);
    let is_test = |at: usize| is_test_path(path) || regions.iter().any(|region| region.contains(&at));
    // The test kit is made of arrangements for tests; a panic there is a failed test.
    let is_kit = path.starts_with("crates/rowhouse-testkit/");
    let mut findings = find(path, &masked, ANYWHERE, |_| true);
    findings.extend(find(path, &masked, SHIPPED, |at| !is_test(at) && !is_kit));
    let is_waiting = |at: usize| is_test(at) && !is_paused(&masked);
    findings.extend(find(path, &masked, TESTED, is_waiting));
    findings
}

/// Whether tokio's clock stands still in every test of a file: a sleep then takes no time and is as long as it says.
fn is_paused(masked: &str) -> bool {
    let tests = masked.matches("#[tokio::test").count();
    tests > 0 && tests == masked.matches("start_paused = true").count()
}

fn find(path: &str, text: &str, refused: &[(&str, &str)], applies: impl Fn(usize) -> bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (pattern, reason) in refused {
        for (at, _) in text.match_indices(pattern).filter(|(at, _)| applies(*at)) {
            findings.push(Finding::new(path, line_of(text, at), format!("`{pattern}`: {reason}")));
        }
    }
    findings
}

/// Files that hold nothing but tests.
pub(super) fn is_test_path(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/") || path.contains("/benches/")
}

/// Items behind `#[cfg(test)]` or a test feature inside a file that ships.
pub(super) fn test_regions(text: &str, masked: &str) -> Vec<Range<usize>> {
    let attributes = masked.match_indices("#[cfg(").filter_map(|(at, _)| {
        let end = at + masked.get(at..)?.find(']')? + 1;
        text.get(at..end)?.contains("test").then_some((at, end))
    });
    attributes.filter_map(|(at, end)| Some(at..closing(masked, body(masked, end)?))).collect()
}
