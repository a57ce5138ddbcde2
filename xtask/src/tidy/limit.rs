//! Names of rate limits. All limits of the product count in one store where Redis is set up, so two with the same name would
//! use up each other's budgets.

use std::collections::BTreeMap;

use super::Finding;
use super::code::{is_test_path, test_regions};
use super::mask::{line_of, mask};
use super::tree::Tree;

const MADE: &str = "LimitName::new(";

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut first: BTreeMap<&str, &str> = BTreeMap::new();
    let mut findings = Vec::new();
    for (path, text) in tree.ending(".rs").filter(|(path, _)| path.starts_with("crates/")) {
        for (line, name) in made(path, text) {
            let Some(name) = name.filter(|name| is_name(name)) else {
                let message = "a limit's name is written here: lower-case letters, digits, `-` and `_`";
                findings.push(Finding::new(path, line, message));
                continue;
            };
            match first.get(name) {
                Some(other) => {
                    let message =
                        format!("the limit `{name}` is in {other}, too; each has a name of its own");
                    findings.push(Finding::new(path, line, message));
                }
                None => drop(first.insert(name, path)),
            }
        }
    }
    findings
}

/// Line and name of every limit that ships; no name where it is no literal.
fn made<'a>(path: &str, text: &'a str) -> Vec<(usize, Option<&'a str>)> {
    if is_test_path(path) {
        return Vec::new();
    }
    let masked = mask(text);
    let regions = test_regions(text, &masked);
    let shipped = masked.match_indices(MADE).map(|(at, _)| at);
    let shipped = shipped.filter(|at| !regions.iter().any(|region| region.contains(at)));
    shipped.map(|at| (line_of(text, at), literal(&text[at + MADE.len()..]))).collect()
}

fn literal(argument: &str) -> Option<&str> {
    argument.trim_start().strip_prefix('"')?.split('"').next()
}

fn is_name(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    !name.is_empty() && name.bytes().all(is_allowed)
}
