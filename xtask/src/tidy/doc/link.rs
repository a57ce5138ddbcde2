//! Relative links lead to files and headings of this repository.

use super::super::{Finding, tree::Tree};
use super::page::Page;

pub(super) fn check(tree: &Tree, page: &Page<'_>) -> Vec<Finding> {
    let local = page.links.iter().filter(|link| !is_foreign(&link.text));
    let broken = local.filter_map(|link| Some((link, problem(tree, page, &link.text)?)));
    broken.map(|(link, problem)| Finding::new(page.path, link.line, problem)).collect()
}

/// Other sites, and items that rustdoc resolves in a README that doubles as a crate's documentation.
fn is_foreign(target: &str) -> bool {
    target.contains("://") || target.starts_with("mailto:") || target.contains("::")
}

fn problem(tree: &Tree, page: &Page<'_>, target: &str) -> Option<String> {
    let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
    let path = if file.is_empty() { page.path.to_owned() } else { resolve(page.folder(), file)? };
    if !tree.has(&path) {
        return Some(format!("links to `{target}`, which does not exist"));
    }
    let headings = tree.text(&path).filter(|_| path.ends_with(".md") && !anchor.is_empty())?;
    let found = headings.lines().filter(|line| line.starts_with('#')).any(|line| slug(line) == anchor);
    (!found).then(|| format!("links to `{target}`, but that page has no such heading"))
}

/// `file` seen from `folder`, with `.` and `..` worked out; a path that leaves the repository names nothing in it.
pub(super) fn resolve(folder: &str, file: &str) -> Option<String> {
    let joined =
        if let Some(rooted) = file.strip_prefix('/') { rooted.to_owned() } else { format!("{folder}{file}") };
    let mut parts: Vec<&str> = Vec::new();
    for part in joined.split('/') {
        match part {
            "" | "." => {}
            ".." => parts.pop().map(|_| ())?,
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// A heading's anchor as Git hosts derive it.
fn slug(heading: &str) -> String {
    let title = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = title.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}
