//! Unused dependencies, which would be compiled, audited and updated for nothing.
//! Leaves licences, sources and advisories to `cargo xtask deny`.

use std::collections::BTreeSet;

use super::Finding;
use super::code::{is_test_path, test_regions};
use super::mask::{mask, words};
use super::tree::Tree;

/// Dependencies needed for their features only: package, dependency, reason.
const EXCEPTIONS: &[(&str, &str, &str)] = &[];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let (mut findings, mut inherited) = (Vec::new(), BTreeSet::new());
    for (path, text) in tree.ending("Cargo.toml") {
        let Ok(manifest) = text.parse::<toml::Table>() else { continue };
        if manifest.contains_key("package") {
            inherited
                .extend(declared(&manifest, SHIPPED).chain(declared(&manifest, TESTED)).map(str::to_owned));
            findings.extend(package(tree, path, text, &manifest));
        }
    }
    findings.extend(tree.text("Cargo.toml").into_iter().flat_map(|text| workspace(text, &inherited)));
    findings
}

const SHIPPED: &[&str] = &["dependencies", "build-dependencies"];
const TESTED: &[&str] = &["dev-dependencies"];

fn declared<'a>(manifest: &'a toml::Table, kinds: &'static [&str]) -> impl Iterator<Item = &'a str> {
    let tables = kinds.iter().filter_map(|kind| manifest.get(*kind)?.as_table());
    tables.flat_map(toml::Table::keys).map(String::as_str)
}

fn package(tree: &Tree, path: &str, text: &str, manifest: &toml::Table) -> Vec<Finding> {
    let folder = path.trim_end_matches("Cargo.toml");
    let name = manifest["package"].get("name").and_then(toml::Value::as_str).unwrap_or_default();
    let (mut ships, mut tests) = (String::new(), String::new());
    for (file, source) in tree.ending(".rs").filter(|(file, _)| file.starts_with(folder)) {
        let mut masked = mask(source);
        if is_test_path(file) {
            tests += &masked;
            continue;
        }
        for region in test_regions(source, &masked) {
            tests += &masked[region.clone()];
            masked.replace_range(region.clone(), &" ".repeat(region.len()));
        }
        ships += &masked;
    }
    let excused = |dependency: &&str| !EXCEPTIONS.iter().any(|(of, on, _)| (*of, *on) == (name, *dependency));
    let unused = declared(manifest, SHIPPED).filter(|on| !names(&ships, on)).map(|on| {
        let advice =
            if names(&tests, on) { "only tests name it: a dev-dependency" } else { "nothing names it" };
        (on, advice)
    });
    let untested =
        declared(manifest, TESTED).filter(|on| !names(&tests, on)).map(|on| (on, "no test names it"));
    let found = unused.chain(untested).filter(|(on, _)| excused(on));
    found.map(|(on, advice)| Finding::new(path, line(text, on), format!("`{on}`: {advice}"))).collect()
}

/// Whether code says `name::…` or `use name`.
fn names(code: &str, dependency: &str) -> bool {
    let ident = dependency.replace('-', "_");
    words(code, &ident).any(|at| {
        let after = &code[at + ident.len()..];
        let before = code[..at].trim_end();
        let is_path = after.starts_with("::") && !before.ends_with("::");
        is_path || before.ends_with(" use") || before.ends_with("\nuse") || before.ends_with("crate")
    })
}

fn workspace(text: &str, inherited: &BTreeSet<String>) -> Vec<Finding> {
    let Ok(manifest) = text.parse::<toml::Table>() else { return Vec::new() };
    let table = manifest.get("workspace").and_then(|workspace| workspace.get("dependencies"));
    let all = table.and_then(toml::Value::as_table).into_iter().flat_map(toml::Table::keys);
    let unused = all.filter(|name| !inherited.contains(*name));
    unused
        .map(|name| Finding::new("Cargo.toml", line(text, name), format!("`{name}`: no package asks for it")))
        .collect()
}

fn line(text: &str, dependency: &str) -> usize {
    let starts =
        |line: &str| line.strip_prefix(dependency).is_some_and(|rest| rest.starts_with([' ', '.', '=']));
    text.lines().position(starts).map_or(1, |at| at + 1)
}
