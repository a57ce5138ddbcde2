//! Files and folders named in code spans and shell blocks exist.

use super::super::{Finding, tree::Tree};
use super::link::resolve;
use super::page::Page;

/// Endings that make a word a file name even without a folder.
const ENDINGS: &[&str] = &[".rs", ".md", ".toml", ".sql", ".mjs", ".json", ".sh", ".yml", ".conf", ".lock"];

/// Files that exist only on a running system or in somebody's project.
const ELSEWHERE: &[&str] = &["state.json", "postgresql.conf", "pg_hba.conf", "createcluster.conf"];

/// Folders that are not committed.
const UNCOMMITTED: &[&str] = &["target", "node_modules", ".rowhouse"];

/// Where a short path may start, besides the root and the page's own folder.
const BASES: &[&str] = &["", "crates/", "examples/todos/"];

pub(super) fn check(tree: &Tree, page: &Page<'_>) -> Vec<Finding> {
    let spans = page
        .spans
        .iter()
        .flat_map(|span| words(span.line, &span.text).map(|(line, word)| (line, word, true)));
    let shell =
        page.shell_lines().flat_map(|(line, text)| words(line, text).map(|(line, word)| (line, word, false)));
    let missing = spans.chain(shell).filter(|(_, word, is_span)| !stands(tree, page, word, *is_span));
    missing
        .map(|(line, word, _)| Finding::new(page.path, line, format!("names `{word}`, which does not exist")))
        .collect()
}

fn words(line: usize, text: &str) -> impl Iterator<Item = (usize, &str)> {
    let trimmed = text.split_whitespace().map(|word| word.trim_end_matches([',', ';', ':']));
    trimmed.filter(|word| is_plain(word)).map(move |word| (line, word))
}

/// Without placeholders, options, variables, other hosts and other machines' roots.
fn is_plain(word: &str) -> bool {
    word.chars().all(|c| c.is_ascii_alphanumeric() || "._/*{},-".contains(c))
        && word.chars().any(|c| c.is_ascii_alphabetic())
        && !word.starts_with(['/', '-', '*'])
        && !word.contains("YYYY")
}

/// Whether a word is not a path of the repository or names an existing one. In shell blocks only unmistakable paths
/// are checked.
fn stands(tree: &Tree, page: &Page<'_>, word: &str, is_span: bool) -> bool {
    if let Some((before, inside, after)) = braces(word) {
        return inside.split(',').all(|part| stands(tree, page, &format!("{before}{part}{after}"), is_span));
    }
    let first = word.split('/').next().unwrap_or_default();
    let is_folder = word.contains('/')
        && tree.files().any(|(path, _)| path.split_once('/').is_some_and(|(top, _)| top == first));
    if UNCOMMITTED.contains(&first) || ELSEWHERE.contains(&word) {
        return true;
    }
    if is_folder || word.starts_with("./") || word.starts_with("../") {
        return exists(tree, page, word);
    }
    let is_file = ENDINGS.iter().any(|end| word.ends_with(end) && word != *end);
    match (is_span && is_file, word.contains('/')) {
        (true, true) => exists(tree, page, word),
        (true, false) => is_named(tree, word),
        (false, _) => true,
    }
}

/// Splits `flows/{password,refresh}.rs` at its braces.
fn braces(word: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = word.split_once('{')?;
    let (inside, after) = rest.split_once('}')?;
    Some((before, inside, after))
}

fn exists(tree: &Tree, page: &Page<'_>, word: &str) -> bool {
    let bases = BASES.iter().copied().chain([page.folder()]);
    bases.filter_map(|base| resolve(base, word)).any(|path| tree.has(&path))
}

/// Whether any file of the repository has this name.
fn is_named(tree: &Tree, name: &str) -> bool {
    tree.files().any(|(path, _)| path.rsplit('/').next() == Some(name))
}
