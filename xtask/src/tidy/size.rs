//! No Rust or SQL file over 400 lines, no function over 60. The median should be far below.

use super::Finding;
use super::mask::{body, closing, line_of, mask, words};
use super::tree::Tree;

/// Lines that a file may have.
const FILE: usize = 400;
/// Lines that a function may have, from its `fn` to its closing brace.
const FUNCTION: usize = 60;

/// Files and functions that were longer when the limit was introduced, with their lines. They may not grow, and the
/// list only gets shorter.
const EXCEPTIONS: &[(&str, &str, usize)] = &[
    ("crates/rowhouse-jobs/migrations/20261121000610_jobs_enqueue.sql", "jobs.enqueue", 75),
    ("crates/rowhouse/tests/it/bad_input/rest_case.rs", "", 428),
];

/// Something with a length.
#[derive(Debug)]
struct Piece {
    path: String,
    line: usize,
    /// Of the function; empty for the file itself.
    name: String,
    lines: usize,
}

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let rust = tree
        .ending(".rs")
        .flat_map(|(path, text)| rust_functions(path, text).into_iter().chain([file(path, text)]));
    let sql = tree
        .ending(".sql")
        .flat_map(|(path, text)| sql_functions(path, text).into_iter().chain([file(path, text)]));
    let pieces: Vec<Piece> = rust.chain(sql).collect();
    let long = pieces.iter().filter_map(Piece::judge);
    long.chain(stale(tree, &pieces)).collect()
}

impl Piece {
    fn most(&self) -> usize {
        if self.name.is_empty() { FILE } else { FUNCTION }
    }

    fn allowed(&self) -> usize {
        let known = EXCEPTIONS
            .iter()
            .find(|(path, name, _)| (*path, *name) == (self.path.as_str(), self.name.as_str()));
        known.map_or(self.most(), |(_, _, lines)| *lines)
    }

    fn judge(&self) -> Option<Finding> {
        if self.lines <= self.allowed() {
            return None;
        }
        let subject = if self.name.is_empty() { String::new() } else { format!("`{}` ", self.name) };
        let message = format!("{subject}has {} lines; split it before {}", self.lines, self.most());
        Some(Finding::new(&self.path, self.line, message))
    }
}

/// Exceptions that are no longer needed.
fn stale(tree: &Tree, pieces: &[Piece]) -> Vec<Finding> {
    let Some(own) = tree.ending("xtask/src/tidy/size.rs").next().map(|(path, _)| path) else {
        return Vec::new();
    };
    let needed = |path: &str, name: &str| {
        pieces.iter().any(|piece| {
            (piece.path.as_str(), piece.name.as_str()) == (path, name) && piece.lines > piece.most()
        })
    };
    let stale = EXCEPTIONS.iter().filter(|(path, name, _)| !needed(path, name));
    stale
        .map(|(path, name, _)| {
            Finding::new(own, 1, format!("`{path}` {name} needs no exception; take it off the list"))
        })
        .collect()
}

fn file(path: &str, text: &str) -> Piece {
    Piece { path: path.to_owned(), line: FILE, name: String::new(), lines: text.lines().count() }
}

/// Tests are exempt: a table of cases is long and still simple.
fn rust_functions(path: &str, text: &str) -> Vec<Piece> {
    if path.ends_with("tests.rs") || path.contains("/tests/") {
        return Vec::new();
    }
    let masked = mask(text);
    words(&masked, "fn").filter_map(|at| rust_function(path, &masked, at)).collect()
}

fn rust_function(path: &str, masked: &str, at: usize) -> Option<Piece> {
    let rest = masked.get(at + 2..)?.trim_start();
    let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    if name.is_empty() {
        return None; // a function pointer's type, or a name that a macro fills in
    }
    let line = line_of(masked, at);
    let lines = line_of(masked, closing(masked, body(masked, at)?)) - line + 1;
    Some(Piece { path: path.to_owned(), line, name, lines })
}

/// From `create function` to the semicolon that ends it, which is none inside of its body.
fn sql_functions(path: &str, text: &str) -> Vec<Piece> {
    let (mut pieces, mut open) = (Vec::new(), None::<(usize, String)>);
    let mut quotes = 0;
    for (at, line) in text.lines().enumerate() {
        if let Some(name) = created(line) {
            (open, quotes) = (Some((at + 1, name.to_owned())), 0);
        }
        quotes += line.matches("$$").count();
        let ends = quotes % 2 == 0 && line.trim_end().ends_with(';');
        if ends && let Some((line, name)) = open.take() {
            pieces.push(Piece { path: path.to_owned(), line, name, lines: at + 2 - line });
        }
    }
    pieces
}

/// The name in `create [or replace] function name(…`.
fn created(line: &str) -> Option<&str> {
    let rest = line.trim_start().strip_prefix("create ")?;
    let rest = rest.strip_prefix("or replace ").unwrap_or(rest);
    let rest = rest.strip_prefix("function ").or_else(|| rest.strip_prefix("procedure "))?;
    rest.split(['(', ' ']).next()
}
