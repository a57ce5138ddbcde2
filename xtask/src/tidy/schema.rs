//! Schemas have floors, as crates do: SQL, in files and in strings of Rust, names objects of its own schema and of
//! lower ones. A lower schema calls a higher one through a hook: a function declared in the lower schema whose body
//! the higher crate writes. Leaves the floors of crates to `floor`; objects are read from the migrations.

use std::collections::BTreeMap;

use super::Finding;
use super::code::{is_test_path, test_regions};
use super::floor::floor;
use super::mask::{line_of, literals, mask};
use super::tree::Tree;

/// Each schema with the crate whose migrations make it, from the ground up.
const SCHEMAS: &[(&str, &str, u8)] = &[
    ("rowhouse", "rowhouse-db", 0),
    ("audit", "rowhouse-audit", 1),
    ("events", "rowhouse-event", 1),
    ("auth", "rowhouse-auth", 2),
    ("jobs", "rowhouse-jobs", 2),
    ("tenancy", "rowhouse-tenancy", 3),
    ("mail", "rowhouse-mail", 4),
    ("flags", "rowhouse-flag", 4),
    ("operators", "rowhouse-operator", 5),
    ("domains", "rowhouse-domain", 5),
    ("provisioning", "rowhouse-provision", 5),
];

/// Functions and views in a lower schema that a higher crate writes. ARCHITECTURE.md lists them for people.
pub(super) const HOOKS: &[(&str, &str)] = &[
    ("rowhouse.require_live_session", "rowhouse-tenancy"),
    ("rowhouse.find_api_key", "rowhouse-tenancy"),
    ("auth.has_permission", "rowhouse-tenancy"),
    ("auth.has_entitlement", "rowhouse-tenancy"),
    ("auth.product_role", "rowhouse-tenancy"),
    ("auth.enter_application", "rowhouse-tenancy"),
    ("auth.owned_alone_by", "rowhouse-tenancy"),
    ("auth.may", "rowhouse-tenancy"),
    ("auth.users_public", "rowhouse-tenancy"),
    ("auth.membership_of", "rowhouse-tenancy"),
    ("auth.tenant_role", "rowhouse-tenancy"),
    ("auth.org_id", "rowhouse-tenancy"),
    ("jobs.claims_of", "rowhouse-tenancy"),
    ("jobs.suspended_tenants", "rowhouse-tenancy"),
    ("jobs.is_tenant", "rowhouse-tenancy"),
    ("audit.organization_of", "rowhouse-tenancy"),
    ("audit.acts_in", "rowhouse-tenancy"),
    ("tenancy.provision", "rowhouse-provision"),
    ("tenancy.provisioning_of", "rowhouse-provision"),
];

/// Accepted uses of a higher schema: crate, object, reason. The list only gets shorter.
const EXCEPTIONS: &[(&str, &str, &str)] = &[];

/// Its settings are named like tables, and it has no SQL.
const WITHOUT_SQL: &[&str] = &["rowhouse-kernel", "rowhouse-module"];
const MAP: &str = "ARCHITECTURE.md";
const OWN: &str = "xtask/src/tidy/schema.rs";

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let objects = objects(tree);
    let mut findings: Vec<Finding> = objects.values().flatten().filter_map(Made::judge).collect();
    findings.extend(HOOKS.iter().filter_map(|(hook, _)| unlisted(tree, hook)));
    let mut named = Vec::new();
    for (path, sql) in sources(tree) {
        let krate = crate_of(path);
        for (object, line) in names(&sql, &objects) {
            findings.extend(judge(tree, path, line, krate, &object));
            named.push((krate.to_owned(), object));
        }
    }
    let unused = |(krate, object, _): &&(&str, &str, &str)| {
        !named.iter().any(|(by, of)| (by.as_str(), of.as_str()) == (*krate, *object))
    };
    let stale = EXCEPTIONS.iter().filter(|_| tree.text(OWN).is_some()).filter(unused);
    findings.extend(stale.map(|(krate, object, _)| {
        Finding::new(OWN, 1, format!("`{krate}` no longer names `{object}`; take it off the list"))
    }));
    findings
}

/// Where an object is created.
#[derive(Debug, Clone)]
struct Made {
    object: String,
    path: String,
    line: usize,
}

impl Made {
    /// Whether the crate may create it: in its own schema, or as a hook.
    fn judge(&self) -> Option<Finding> {
        let schema = self.object.split('.').next().unwrap_or_default();
        let krate = crate_of(&self.path);
        let message = match owner(schema) {
            None => format!("makes `{}` in a schema without a floor; enter it in `SCHEMAS`", self.object),
            Some(owner) if owner == krate || HOOKS.contains(&(self.object.as_str(), krate)) => return None,
            Some(owner) => {
                format!("makes `{}` in the schema of `{owner}`; enter it in `HOOKS`", self.object)
            }
        };
        Some(Finding::new(&self.path, self.line, message))
    }
}

/// What the crates' migrations create, by name.
fn objects(tree: &Tree) -> BTreeMap<String, Vec<Made>> {
    let mut objects: BTreeMap<String, Vec<Made>> = BTreeMap::new();
    for (path, text) in tree.ending(".sql").filter(|(path, _)| is_migration(path)) {
        for (at, line) in text.lines().enumerate() {
            if let Some(object) = created(line) {
                let made = Made { object: object.clone(), path: path.to_owned(), line: at + 1 };
                objects.entry(object).or_default().push(made);
            }
        }
    }
    objects
}

fn is_migration(path: &str) -> bool {
    path.starts_with("crates/") && path.split('/').nth(2) == Some("migrations")
}

/// The qualified name in `create table jobs.ready (`.
fn created(line: &str) -> Option<String> {
    let mut words = line.split_whitespace().filter(|word| !["or", "replace", "unlogged"].contains(word));
    let is_kind = |word: &&str| ["table", "view", "function", "procedure", "type", "sequence"].contains(word);
    (words.next()? == "create").then_some(())?;
    words.next().filter(is_kind)?;
    let name = words.next()?.split('(').next()?;
    name.contains('.').then(|| name.trim_end_matches(';').to_owned())
}

/// All SQL that ships: files, and strings in Rust.
fn sources(tree: &Tree) -> impl Iterator<Item = (&str, String)> {
    let ships = |path: &str| path.starts_with("crates/") && !WITHOUT_SQL.contains(&crate_of(path));
    let sql = tree.ending(".sql").filter(move |(path, _)| ships(path) && !is_test_path(path));
    let rust = tree.ending(".rs").filter(move |(path, _)| ships(path) && !is_test_path(path));
    sql.map(|(path, text)| (path, without_comments(text)))
        .chain(rust.map(|(path, text)| (path, strings(text))))
}

fn without_comments(sql: &str) -> String {
    sql.lines().map(|line| line.split("--").next().unwrap_or_default().to_owned() + "\n").collect()
}

fn strings(text: &str) -> String {
    let mut strings = literals(text);
    for region in test_regions(text, &mask(text)) {
        let blank: String = strings[region.clone()].chars().filter(|c| *c == '\n').collect();
        let width = region.len() - blank.len();
        strings.replace_range(region, &(blank + &" ".repeat(width)));
    }
    strings
}

/// Every known object that is named, with its line.
fn names(sql: &str, objects: &BTreeMap<String, Vec<Made>>) -> Vec<(String, usize)> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || "_.".contains(c);
    let mut found = Vec::new();
    for (schema, ..) in SCHEMAS {
        for (at, _) in sql.match_indices(&format!("{schema}.")) {
            let starts = !sql[..at].ends_with(|c: char| is_name(c) || "-/".contains(c));
            let end = sql[at..].find(|c| !is_name(c)).map_or(sql.len(), |end| at + end);
            let words: Vec<&str> = sql[at..end].splitn(3, '.').collect();
            let object = words.iter().take(2).copied().collect::<Vec<_>>().join(".");
            if starts && objects.contains_key(&object) {
                found.push((object, line_of(sql, at)));
            }
        }
    }
    found
}

fn judge(tree: &Tree, path: &str, line: usize, krate: &str, object: &str) -> Option<Finding> {
    let schema = object.split('.').next().unwrap_or_default();
    let (owner, is_excused) =
        (owner(schema)?, EXCEPTIONS.iter().any(|(by, of, _)| (*by, *of) == (krate, object)));
    let is_hook = HOOKS.contains(&(object, krate));
    if owner == krate || is_excused || is_hook || is_below(tree, schema, krate) {
        return None;
    }
    Some(Finding::new(path, line, format!("`{krate}` may not name `{object}`: only schemas of lower floors")))
}

/// Whether a schema lies below a crate's own schema, or below the crate if it has none.
fn is_below(tree: &Tree, schema: &str, krate: &str) -> bool {
    let level = |name: &str| SCHEMAS.iter().find(|(schema, ..)| *schema == name).map(|(.., floor)| *floor);
    match SCHEMAS.iter().find(|(_, owner, _)| *owner == krate) {
        Some((.., own)) => level(schema).is_some_and(|level| level < *own),
        None => owner(schema).and_then(|owner| floor(tree, owner)) < floor(tree, krate),
    }
}

fn owner(schema: &str) -> Option<&'static str> {
    SCHEMAS.iter().find(|(name, ..)| *name == schema).map(|(_, owner, _)| *owner)
}

fn crate_of(path: &str) -> &str {
    path.split('/').nth(1).unwrap_or_default()
}

fn unlisted(tree: &Tree, hook: &str) -> Option<Finding> {
    let row = format!("| `{hook}` |");
    let map = tree.text(MAP)?;
    (!map.contains(&row)).then(|| Finding::new(MAP, 1, format!("has no row `{row}` in its table of hooks")))
}
