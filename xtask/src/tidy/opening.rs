//! Every crate and every file begins with its purpose.

use super::Finding;
use super::code::is_test_path;
use super::tree::Tree;

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let files = tree.ending(".rs").filter(|(path, text)| !is_test_path(path) && !opens(text));
    let mut findings: Vec<Finding> = files
        .map(|(path, _)| Finding::new(path, 1, "does not open with `//!` saying what it is for"))
        .collect();
    findings.extend(tree.ending("/Cargo.toml").filter_map(|(path, _)| readme(tree, path)));
    findings
}

fn opens(text: &str) -> bool {
    text.starts_with("//!") || text.starts_with("#![doc = include_str!(")
}

fn readme(tree: &Tree, manifest: &str) -> Option<Finding> {
    let path = manifest.replace("Cargo.toml", "README.md");
    let Some(text) = tree.text(&path) else {
        return Some(Finding::new(manifest, 1, "this crate has no README.md"));
    };
    let says = text.lines().any(|line| !line.trim().is_empty() && !line.starts_with('#'));
    (!says).then(|| Finding::new(&path, 1, "says nothing about the crate"))
}
