//! Which module of a crate names which: `use` trees and paths, followed through `pub use`.
//! A scanner over masked text; what a macro writes it does not see.

use std::collections::BTreeMap;

use super::super::code::{is_test_path, test_regions};
use super::super::mask::{line_of, mask};
use super::super::tree::Tree;
use super::Uses;

/// Re-exports of re-exports that are followed.
const HOPS: usize = 4;

/// A path of names from the crate's root.
type Path = Vec<String>;

/// One crate's modules.
#[derive(Debug)]
pub(super) struct Crate {
    pub(super) name: String,
    modules: BTreeMap<Path, Module>,
}

#[derive(Debug, Default)]
struct Module {
    file: String,
    /// Paths named, not yet resolved, with their lines.
    named: Vec<(Path, usize)>,
    /// Names that `use` brings in, with what they stand for.
    imports: BTreeMap<String, Path>,
}

impl Crate {
    /// Every crate of the tree.
    pub(super) fn all(tree: &Tree) -> Vec<Self> {
        let mut crates: BTreeMap<String, BTreeMap<Path, Module>> = BTreeMap::new();
        for (file, text) in tree.ending(".rs").filter(|(file, _)| !is_test_path(file)) {
            let Some((folder, inside)) = file.split_once("/src/") else { continue };
            let name = folder.rsplit('/').next().unwrap_or(folder).to_owned();
            let path = module_path(inside);
            let module = Module::read(file, text, &path);
            let known = crates.entry(name).or_default().entry(path).or_default();
            known.named.extend(module.named);
            known.imports.extend(module.imports);
            known.file = module.file;
        }
        crates.into_iter().map(|(name, modules)| Self { name, modules }).collect()
    }

    /// Which sibling uses which, and where first.
    pub(super) fn uses(&self) -> Uses {
        let mut uses = Uses::new();
        for (path, module) in &self.modules {
            for (named, line) in &module.named {
                let target = self.resolve(named, HOPS);
                let shared = path.iter().zip(&target).take_while(|(a, b)| a == b).count();
                if shared < path.len() && shared < target.len() {
                    let pair = (path[..=shared].join("::"), target[..=shared].join("::"));
                    uses.entry(pair).or_insert_with(|| (module.file.clone(), *line));
                }
            }
        }
        uses
    }

    /// The module in which a named path ends.
    fn resolve(&self, named: &[String], hops: usize) -> Path {
        let known = (0..=named.len()).rev().find(|length| self.modules.contains_key(&named[..*length]));
        let (module, rest) = named.split_at(known.unwrap_or(0));
        let import = self.modules.get(module).zip(rest.first()).and_then(|(at, name)| at.imports.get(name));
        match import {
            Some(target) if hops > 0 && target != named => self.resolve(target, hops - 1),
            _ => module.to_vec(),
        }
    }
}

/// `a/b.rs` and `a/b/mod.rs` are `a::b`; `lib.rs` and `main.rs` are the root.
fn module_path(inside: &str) -> Path {
    let parts = inside.trim_end_matches(".rs").split('/').map(str::to_owned);
    let mut parts: Path = parts.collect();
    let is_root = parts.len() == 1 && ["lib", "main"].contains(&parts[0].as_str());
    if is_root || parts.last().is_some_and(|last| last == "mod") {
        parts.pop();
    }
    parts
}

impl Module {
    fn read(file: &str, text: &str, path: &[String]) -> Self {
        let masked = mask(text);
        let tests = test_regions(text, &masked);
        let mut module = Self { file: file.to_owned(), ..Self::default() };
        for (start, tree) in use_trees(&masked).into_iter().chain(bare_paths(&masked)) {
            if tests.iter().any(|region| region.contains(&start.at)) {
                continue;
            }
            for (names, alias) in expand(&tree) {
                let Some(absolute) = absolute(&names, path) else { continue };
                if start.imports {
                    module.imports.insert(alias, absolute.clone());
                }
                module.named.push((absolute, line_of(&masked, start.at)));
            }
        }
        module
    }
}

#[derive(Debug, Clone, Copy)]
struct Start {
    at: usize,
    imports: bool,
}

/// What stands between `use` and its semicolon.
fn use_trees(masked: &str) -> Vec<(Start, String)> {
    let starts = super::super::mask::words(masked, "use");
    starts
        .filter_map(|at| {
            let rest = masked.get(at + 3..)?;
            let tree: String = rest[..rest.find(';')?].split_whitespace().collect::<Vec<_>>().join(" ");
            Some((Start { at, imports: true }, tree))
        })
        .collect()
}

/// Paths written out in code: `crate::a::b`, `super::c`.
fn bare_paths(masked: &str) -> Vec<(Start, String)> {
    let mut found = Vec::new();
    for word in ["crate", "super"] {
        for at in super::super::mask::words(masked, word) {
            let is_start = !masked[..at].ends_with("::");
            let end = masked[at..].find(|c: char| !c.is_alphanumeric() && c != '_' && c != ':');
            let path = masked[at..].get(..end.unwrap_or(0)).unwrap_or_default().trim_end_matches(':');
            if is_start && path.contains("::") {
                found.push((Start { at, imports: false }, path.to_owned()));
            }
        }
    }
    found
}

/// The paths of a `use` tree, each with the name that it brings in.
fn expand(tree: &str) -> Vec<(Path, String)> {
    let tree = tree.trim();
    if let Some((head, rest)) = tree.split_once('{') {
        let inside = rest.rsplit_once('}').map_or(rest, |(inside, _)| inside);
        let prefix: Path = split(head.trim().trim_end_matches("::"));
        let branches = branches(inside).into_iter().flat_map(expand);
        return branches
            .map(|(names, alias)| {
                let names = names.into_iter().filter(|name| name != "self");
                (prefix.iter().cloned().chain(names).collect(), alias)
            })
            .collect();
    }
    let (path, alias) = tree.split_once(" as ").map_or((tree, None), |(path, alias)| (path, Some(alias)));
    let names = split(path.trim_end_matches("::*"));
    let last = names.last().cloned().unwrap_or_default();
    vec![(names, alias.map_or(last, |alias| alias.trim().to_owned()))]
}

fn split(path: &str) -> Path {
    path.split("::").map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
}

/// Parts between the commas of the outermost braces.
fn branches(inside: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut from) = (Vec::new(), 0_usize, 0);
    for (at, c) in inside.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&inside[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&inside[from..]);
    parts.into_iter().filter(|part| !part.trim().is_empty()).collect()
}

/// A path from the crate's root; none if it leads out of the crate.
fn absolute(names: &[String], module: &[String]) -> Option<Path> {
    let ups = names.iter().take_while(|name| *name == "super").count();
    let first = names.first()?.as_str();
    let (base, skipped) = match first {
        "crate" => (&module[..0], 1),
        "self" => (module, 1),
        "super" => (&module[..module.len().checked_sub(ups)?], ups),
        _ => (module, 0), // a child of this module, or another crate, which then resolves to nothing
    };
    Some(base.iter().cloned().chain(names[skipped..].iter().cloned()).collect())
}
