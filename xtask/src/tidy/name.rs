//! Modules have specific names: one that fits anything collects everything.

use super::Finding;
use super::mask::{line_of, mask, words};
use super::tree::Tree;

const REFUSED: &[&str] = &["util", "utils", "common", "types", "helper", "helpers", "misc"];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    tree.ending(".rs").flat_map(|(path, text)| [by_path(path), by_declaration(path, text)].concat()).collect()
}

fn by_path(path: &str) -> Vec<Finding> {
    let parts = path.trim_end_matches(".rs").split('/');
    parts.filter(|part| REFUSED.contains(part)).map(|part| Finding::new(path, 1, refusal(part))).collect()
}

/// A module written inline has no path of its own.
fn by_declaration(path: &str, text: &str) -> Vec<Finding> {
    let masked = mask(text);
    let declared = |at: usize| {
        let (name, rest) =
            masked.get(at + 3..)?.trim_start().split_once(|c: char| !c.is_alphanumeric() && c != '_')?;
        (REFUSED.contains(&name) && rest.trim_start().starts_with('{')).then(|| name.to_owned())
    };
    let found = words(&masked, "mod").filter_map(|at| Some((at, declared(at)?)));
    found.map(|(at, name)| Finding::new(path, line_of(&masked, at), refusal(&name))).collect()
}

fn refusal(name: &str) -> String {
    format!("module `{name}`: name it after the one thing that it holds")
}
