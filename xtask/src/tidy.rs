//! Rules that the compiler and clippy do not check: the list of rules and the output of findings.
//! Leaves each rule to its module; a rule reads the [`Tree`] and touches nothing else.

mod circle;
mod code;
mod dependency;
mod doc;
mod floor;
mod limit;
mod mask;
mod migration;
mod name;
mod opening;
mod schema;
mod size;
mod text;
mod tree;
mod wait;

use std::fmt;
use std::path::Path;

use tree::Tree;

/// A violation of a rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    /// Path from the repository's root.
    path: String,
    /// Line, from 1.
    line: usize,
    message: String,
}

impl Finding {
    fn new(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.message)
    }
}

type Rule = fn(&Tree) -> Vec<Finding>;

const RULES: &[Rule] = &[
    floor::check,
    size::check,
    name::check,
    doc::check,
    opening::check,
    text::check,
    code::check,
    wait::check,
    migration::check,
    circle::check,
    schema::check,
    dependency::check,
    limit::check,
];

/// Runs every rule over the repository and prints the findings; true if there are none.
pub(crate) fn run(root: &Path) -> anyhow::Result<bool> {
    let tree = Tree::read(root)?;
    let mut findings: Vec<Finding> = RULES.iter().flat_map(|rule| rule(&tree)).collect();
    findings.sort();
    for finding in &findings {
        println!("{finding}");
    }
    Ok(findings.is_empty())
}

#[cfg(test)]
mod tests;
