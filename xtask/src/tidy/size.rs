//! No Rust file over 500 lines, no function over 60. The median should be far below; this cuts the tail.

use super::Finding;
use super::mask::{body, closing, line_of, mask, words};
use super::tree::Tree;

/// Lines that a file may have.
const FILE: usize = 500;
/// Lines that a function may have, from its `fn` to its closing brace.
const FUNCTION: usize = 60;

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    tree.ending(".rs").flat_map(|(path, text)| [file(path, text), functions(path, text)].concat()).collect()
}

fn file(path: &str, text: &str) -> Vec<Finding> {
    let lines = text.lines().count();
    let message = format!("has {lines} lines; split it before {FILE}");
    if lines > FILE { vec![Finding::new(path, FILE, message)] } else { Vec::new() }
}

/// Tests are exempt: a table of cases is long and still simple.
fn functions(path: &str, text: &str) -> Vec<Finding> {
    if path.ends_with("tests.rs") || path.contains("/tests/") {
        return Vec::new();
    }
    let masked = mask(text);
    words(&masked, "fn").filter_map(|at| function(path, &masked, at)).collect()
}

fn function(path: &str, masked: &str, at: usize) -> Option<Finding> {
    let rest = masked.get(at + 2..)?.trim_start();
    let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    if name.is_empty() {
        return None; // a function pointer's type, or a name that a macro fills in
    }
    let first = line_of(masked, at);
    let lines = line_of(masked, closing(masked, body(masked, at)?)) - first + 1;
    let message = format!("`{name}` has {lines} lines; split it before {FUNCTION}");
    (lines > FUNCTION).then(|| Finding::new(path, first, message))
}
