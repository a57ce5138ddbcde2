//! Pages that are generated from code, evidence or fragments and committed; a test checks that they are current.
//! Leaves what is on each page to the page's module.

mod change;
mod check;
mod floor;
mod fragment;
pub(crate) mod performance;
mod rule;
mod setting;
mod status;

use std::path::Path;

use anyhow::Context as _;

const PERFORMANCE: &str = "docs/performance.md";

/// Writes every generated page.
pub(crate) fn write(root: &Path) -> anyhow::Result<bool> {
    for (path, text) in pages(root)? {
        let place = root.join(&path);
        let folder = place.parent().unwrap_or(root);
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        std::fs::write(place, text).with_context(|| format!("cannot write {path}"))?;
        println!("wrote {path}");
    }
    for path in setting::leftover(root) {
        std::fs::remove_file(root.join(&path)).with_context(|| format!("cannot remove {path}"))?;
        println!("removed {path}");
    }
    Ok(true)
}

/// Whether every generated page is current.
pub(crate) fn check(root: &Path) -> anyhow::Result<bool> {
    let mut all_fresh = true;
    for (path, text) in pages(root)? {
        if !is_fresh(root, &path, &text) {
            println!("{path}:1: is stale; run `cargo xtask gen`");
            all_fresh = false;
        }
    }
    for path in setting::leftover(root) {
        println!("{path}:1: belongs to a removed section; run `cargo xtask gen`");
        all_fresh = false;
    }
    Ok(all_fresh)
}

fn is_fresh(root: &Path, path: &str, text: &str) -> bool {
    std::fs::read_to_string(root.join(path)).is_ok_and(|found| found == text)
}

fn pages(root: &Path) -> anyhow::Result<Vec<(String, String)>> {
    let others = [
        (PERFORMANCE, performance::page(root)?),
        (change::CHANGELOG, change::page(root)?),
        (status::README, status::page(root)?),
        (floor::MAP, floor::page(root)?),
        (check::PAGE, check::page()),
        (rule::PAGE, rule::page()),
    ];
    let others = others.into_iter().map(|(path, text)| (path.to_owned(), text));
    Ok(setting::pages().into_iter().chain(others).collect())
}

#[cfg(test)]
mod tests;
