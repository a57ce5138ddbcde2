//! Names in pages exist: links, files, commands, settings.
//! Leaves `rowhouse …` commands to a test beside the command line, which knows them.

mod chore;
mod link;
mod page;
mod path;
mod setting;

use super::Finding;
use super::tree::Tree;
use page::Page;

/// Pages about the past, which may name what no longer exists.
const HISTORY: [&str; 2] = ["CHANGELOG.md", "changes/"];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let settings = setting::Known::new(tree);
    let is_history = |path: &str| HISTORY.iter().any(|page| path.starts_with(page));
    let pages =
        tree.ending(".md").filter(|(path, _)| !is_history(path)).map(|(path, text)| Page::read(path, text));
    pages
        .flat_map(|page| {
            [link::check(tree, &page), path::check(tree, &page), chore::check(&page), settings.check(&page)]
                .concat()
        })
        .collect()
}
