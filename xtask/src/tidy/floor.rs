//! A crate may depend only on crates of a lower floor. Test-only dependencies are free: they do not ship.

use super::Finding;
use super::tree::Tree;

/// The house, from the ground up. A new crate is entered here in the commit that creates it.
const FLOORS: &[(&str, u8)] = &[
    ("rowhouse-kernel", 0),
    ("rowhouse-crypto", 1),
    ("rowhouse-db", 1),
    ("rowhouse-http", 2),
    ("rowhouse-audit", 2),
    ("rowhouse-event", 2),
    ("rowhouse-module", 3),
    ("rowhouse-jobs", 4),
    ("rowhouse-mail", 5),
    ("rowhouse-tenancy", 6),
    ("rowhouse-auth", 7),
    ("rowhouse-rest", 7),
    ("rowhouse-realtime", 7),
    ("rowhouse-storage", 7),
    ("rowhouse-billing", 7),
    ("rowhouse-gateway", 7),
    ("rowhouse-ops", 8),
    ("rowhouse-launch", 9),
    ("rowhouse-console", 10),
    ("rowhouse", 11),
    ("rowhouse-testkit", TOOLS),
];

/// Development tools stand beside the house: they may use every floor, and nothing that ships may use them.
const TOOLS: u8 = u8::MAX;

pub(super) fn floor(krate: &str) -> Option<u8> {
    FLOORS.iter().find(|(name, _)| *name == krate).map(|(_, floor)| *floor)
}

/// The page that shows the table to people.
const MAP: &str = "ARCHITECTURE.md";

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let manifests = tree.ending("/Cargo.toml").filter(|(path, _)| path.starts_with("crates/"));
    let map = tree.text(MAP);
    manifests.flat_map(|(path, text)| [check_manifest(path, text), check_map(path, map)].concat()).collect()
}

/// The map shows every crate on its floor.
fn check_map(path: &str, map: Option<&str>) -> Vec<Finding> {
    let name = path.trim_start_matches("crates/").trim_end_matches("/Cargo.toml");
    let (Some(map), Some(floor)) = (map, floor(name)) else { return Vec::new() };
    let floor = if floor == TOOLS { "beside".to_owned() } else { floor.to_string() };
    let row = format!("| {floor} | `{name}` |");
    if map.lines().any(|line| line.starts_with(&row)) {
        return Vec::new();
    }
    vec![Finding::new(MAP, 1, format!("has no row `{row}` in its floors table"))]
}

fn check_manifest(path: &str, text: &str) -> Vec<Finding> {
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
    let Some(own) = floor(name) else {
        return vec![Finding::new(
            path,
            1,
            format!("crate `{name}` has no floor; enter it in the floors table"),
        )];
    };
    dependencies(&manifest).into_iter().filter_map(|dependency| judge(path, text, own, &dependency)).collect()
}

fn judge(path: &str, text: &str, own: u8, dependency: &str) -> Option<Finding> {
    let line = text.lines().position(|line| line.starts_with(dependency)).map_or(1, |at| at + 1);
    let message = match floor(dependency) {
        None => format!("dependency `{dependency}` has no floor; enter it in the floors table"),
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
