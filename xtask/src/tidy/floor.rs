//! A crate may depend only on crates of a lower floor. Test-only dependencies are free: they do not ship.
//!
//! Each manifest says on which floor its crate lives (`[package.metadata.rowhouse] floor`); the table in ARCHITECTURE.md is
//! composed from them.

use super::Finding;
use super::tree::Tree;

/// The floor of development tools: they may use every floor, and nothing that ships may use them.
const TOOLS: u8 = u8::MAX;

/// The floor that the crate's manifest names.
pub(super) fn floor(tree: &Tree, krate: &str) -> Option<u8> {
    let manifest: toml::Table = tree.text(&format!("crates/{krate}/Cargo.toml"))?.parse().ok()?;
    match manifest.get("package")?.get("metadata")?.get("rowhouse")?.get("floor")? {
        toml::Value::Integer(floor) => u8::try_from(*floor).ok().filter(|floor| *floor != TOOLS),
        toml::Value::String(text) if text == "tools" => Some(TOOLS),
        _ => None,
    }
}

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let manifests = tree.ending("/Cargo.toml").filter(|(path, _)| path.starts_with("crates/"));
    manifests.flat_map(|(path, text)| check_manifest(tree, path, text)).collect()
}

fn check_manifest(tree: &Tree, path: &str, text: &str) -> Vec<Finding> {
    let Ok(manifest) = text.parse::<toml::Table>() else {
        return vec![Finding::new(path, 1, "is not readable as TOML")];
    };
    let package = manifest.get("package").and_then(|package| package.get("name"));
    let name = package.and_then(toml::Value::as_str).unwrap_or_default();
    if path != format!("crates/{name}/Cargo.toml") {
        return vec![Finding::new(
            path,
            1,
            format!("holds the package `{name}`; folder and package share one name"),
        )];
    }
    let Some(own) = floor(tree, name) else {
        return vec![Finding::new(
            path,
            1,
            format!("crate `{name}` has no floor; say `floor = …` in [package.metadata.rowhouse]"),
        )];
    };
    dependencies(&manifest)
        .into_iter()
        .filter_map(|dependency| judge(tree, path, text, own, &dependency))
        .collect()
}

fn judge(tree: &Tree, path: &str, text: &str, own: u8, dependency: &str) -> Option<Finding> {
    let line = text.lines().position(|line| line.starts_with(dependency)).map_or(1, |at| at + 1);
    let message = match floor(tree, dependency) {
        None => format!("dependency `{dependency}` has no floor"),
        Some(TOOLS) if own != TOOLS => {
            format!("`{dependency}` is a development tool; depend on it for tests only")
        }
        Some(other) if other >= own => {
            format!("floor {own} may not depend on `{dependency}` on floor {other}; only downwards")
        }
        Some(_) => return None,
    };
    Some(Finding::new(path, line, message))
}

/// Our own crates among the dependencies that ship, for every target.
fn dependencies(manifest: &toml::Table) -> Vec<String> {
    let targets = manifest.get("target").and_then(toml::Value::as_table);
    let places = targets.into_iter().flat_map(toml::Table::values).filter_map(toml::Value::as_table);
    let tables = std::iter::once(manifest).chain(places).flat_map(|place| {
        ["dependencies", "build-dependencies"].into_iter().filter_map(|kind| place.get(kind)?.as_table())
    });
    tables.flat_map(toml::Table::keys).filter(|name| is_ours(name)).cloned().collect()
}

fn is_ours(name: &str) -> bool {
    name == "rowhouse" || name.starts_with("rowhouse-") || name == "xtask"
}
