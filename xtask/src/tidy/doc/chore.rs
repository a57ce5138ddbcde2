//! `cargo xtask …` commands are those that the tool has.

use clap::CommandFactory as _;

use super::super::Finding;
use super::page::Page;

const CALL: &str = "cargo xtask ";

pub(super) fn check(page: &Page<'_>) -> Vec<Finding> {
    let known: Vec<String> =
        crate::Cli::command().get_subcommands().map(|chore| chore.get_name().to_owned()).collect();
    let mut findings = Vec::new();
    for (line, text) in page.commands() {
        for name in text.match_indices(CALL).flat_map(|(at, _)| names(&text[at + CALL.len()..])) {
            if !known.iter().any(|known| known == name) {
                findings.push(Finding::new(
                    page.path,
                    line,
                    format!("names `{CALL}{name}`, which does not exist"),
                ));
            }
        }
    }
    findings
}

/// The chores meant by `gen --check` or by `tidy|gen`; a capital letter marks a placeholder.
fn names(rest: &str) -> impl Iterator<Item = &str> {
    let word = rest.split_whitespace().next().unwrap_or_default();
    word.split('|').filter(|name| name.starts_with(|c: char| c.is_ascii_lowercase()))
}
