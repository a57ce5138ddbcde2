//! The changelog's unreleased part, composed from `changes/<topic>.md`, so that parallel work edits different files.
//! Leaves the released parts and the page's head in `CHANGELOG.md` unchanged.

use std::path::Path;

use anyhow::{Context, Result, bail};

use super::fragment::{Fragment, read_folder};

pub(super) const CHANGELOG: &str = "CHANGELOG.md";
const FOLDER: &str = "changes";
const UNRELEASED: &str = "## [Unreleased]\n";
const NEXT_RELEASE: &str = "\n## [";
/// In the order of Keep a Changelog.
const KINDS: [&str; 6] = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"];

/// The current changelog.
pub(super) fn page(root: &Path) -> Result<String> {
    let page = std::fs::read_to_string(root.join(CHANGELOG)).context("cannot read CHANGELOG.md")?;
    compose(&page, &read_folder(root, FOLDER)?)
}

/// `page` with its unreleased part replaced by the fragments, kind by kind.
fn compose(page: &str, fragments: &[Fragment]) -> Result<String> {
    let (head, rest) = page.split_once(UNRELEASED).context("CHANGELOG.md has no part `## [Unreleased]`")?;
    let released = rest.find(NEXT_RELEASE).map_or("", |at| &rest[at..]);
    let mut entries = Vec::new();
    for fragment in fragments {
        entries.extend(parse(fragment)?);
    }
    let mut composed = format!("{head}{UNRELEASED}");
    for kind in KINDS {
        let of_kind: String =
            entries.iter().filter(|entry| entry.kind == kind).map(|entry| entry.bullets.as_str()).collect();
        if !of_kind.is_empty() {
            composed.push_str(&format!("\n### {kind}\n{of_kind}"));
        }
    }
    Ok(composed + released)
}

/// The bullets under one heading of a fragment.
#[derive(Debug)]
struct Entry {
    kind: &'static str,
    /// Its lines, without blank ones.
    bullets: String,
}

/// Headings `# Added` and so on, each followed by bullets whose further lines are indented.
fn parse(fragment: &Fragment) -> Result<Vec<Entry>> {
    let mut entries: Vec<Entry> = Vec::new();
    for (at, line) in fragment.text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let place = format!("{}:{}", fragment.path, at + 1);
        if let Some(title) = line.strip_prefix("# ") {
            let known = KINDS.into_iter().find(|kind| *kind == title.trim());
            let kind = known.with_context(|| format!("{place}: a heading is one of {}", KINDS.join(", ")))?;
            entries.push(Entry { kind, bullets: String::new() });
        } else if line.starts_with("- ") || line.starts_with("  ") {
            let entry = entries.last_mut().with_context(|| format!("{place}: begins without a heading"))?;
            entry.bullets.push_str(line.trim_end());
            entry.bullets.push('\n');
        } else {
            bail!("{place}: is neither a heading, a bullet nor an indented line");
        }
    }
    Ok(entries)
}

#[cfg(test)]
mod tests;
