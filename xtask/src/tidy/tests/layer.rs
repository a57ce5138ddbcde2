//! Rules about who may name whom: modules, schemas, dependencies.

use super::super::tree::Tree;
use super::super::{circle, dependency, schema};
use super::found;

#[test]
fn circle_of_siblings_is_caught_also_through_a_re_export() {
    let check = |root: &str, a: &str, b: &str| {
        let files = [
            ("crates/x/src/lib.rs", root),
            ("crates/x/src/a.rs", a),
            ("crates/x/src/b.rs", b),
            ("crates/x/src/a/c.rs", ""),
        ];
        found(circle::check, &files)
    };
    assert_eq!(check("mod a; mod b;", "use crate::b::B;", "struct B;"), [""; 0]);
    assert_eq!(check("mod a; mod b;", "mod c; use c::C;", "use super::a::c::{C, D as E};"), [""; 0]);
    let caught = [
        "crates/x/src/a.rs:1: `a` uses `b`, which uses it in turn; modules form no circles",
        "crates/x/src/b.rs:2: `b` uses `a`, which uses it in turn; modules form no circles",
    ];
    assert_eq!(check("mod a; mod b;", "use crate::{b::B};", "\nfn f() { crate::a::f() }"), caught);
    assert_eq!(check("mod a; mod b; pub use a::A;", "use super::b;", "\nuse crate::A;"), caught);
    assert_eq!(check("", "use crate::b::B;", "#[cfg(test)] mod t { use super::super::a; }"), [""; 0]);
}

#[test]
fn circle_with_a_reason_passes_and_a_reason_without_a_circle_is_caught() {
    let files = [("crates/x/src/a.rs", "use crate::b::B;"), ("crates/x/src/b.rs", "use crate::a::A;")];
    let with = |exceptions: &[circle::Exception], files: &[(&str, &str)]| {
        circle::check_with(&Tree::of(files), exceptions).len()
    };
    assert_eq!(with(&[("x", "a", "b", "why")], &files), 0);
    assert_eq!(with(&[("y", "a", "b", "why")], &files), 2);
    assert_eq!(with(&[("x", "a", "b", "why")], &files[..1]), 1);
}

#[test]
fn sql_that_names_a_higher_schema_is_caught() {
    let files = |path: &'static str, text: &'static str| {
        vec![
            ("crates/rowhouse-jobs/migrations/1_a.sql", "create table jobs.ready (\n);\n"),
            ("crates/rowhouse-mail/migrations/2_b.sql", "create table mail.messages ();\n"),
            ("crates/rowhouse-db/Cargo.toml", "[package]\nmetadata.rowhouse.floor = 1"),
            ("crates/rowhouse-jobs/Cargo.toml", "[package]\nmetadata.rowhouse.floor = 4"),
            ("crates/rowhouse-rest/Cargo.toml", "[package]\nmetadata.rowhouse.floor = 7"),
            (path, text),
        ]
    };
    let check = |path, text| found(schema::check, &files(path, text));
    assert_eq!(check("crates/rowhouse-mail/src/a.rs", r#"f("select 1 from jobs.ready")"#), [""; 0]);
    assert_eq!(
        check("crates/rowhouse-jobs/src/a.rs", "\n// mail.messages\nf(\"delete from mail.messages\")"),
        [
            "crates/rowhouse-jobs/src/a.rs:3: `rowhouse-jobs` may not name `mail.messages`: only schemas of lower floors"
        ]
    );
    assert_eq!(check("crates/rowhouse-jobs/sql/a.sql", "-- mail.messages\nselect 'mail.other'"), [""; 0]);
    assert_eq!(check("crates/rowhouse-jobs/sql/a.sql", "select from mail.messages").len(), 1);
    assert_eq!(check("crates/rowhouse-rest/src/a.rs", r#"f("jobs.ready")"#), [""; 0]);
    assert_eq!(check("crates/rowhouse-db/src/a.rs", r#"f("jobs.ready")"#).len(), 1);
}

#[test]
fn object_in_a_foreign_schema_is_a_hook_that_the_map_lists() {
    let check =
        |path: &str, sql: &str, map: &str| found(schema::check, &[(path, sql), ("ARCHITECTURE.md", map)]);
    let hooks: String = schema::HOOKS.iter().map(|(hook, _)| format!("| `{hook}` |\n")).collect();
    let tenancy = "crates/rowhouse-tenancy/migrations/1_a.sql";
    assert_eq!(check(tenancy, "create or replace function jobs.claims_of(t uuid)", &hooks), [""; 0]);
    assert_eq!(check(tenancy, "create function jobs.other()", &hooks).len(), 1);
    assert_eq!(check(tenancy, "create table attic.things ()", &hooks).len(), 1);
    assert_eq!(check(tenancy, "", "").len(), schema::HOOKS.len());
}

#[test]
fn unused_dependency_is_caught() {
    let check = |manifest: &str, ships: &str, tests: &str| {
        let manifest = format!("[package]\nname = \"x\"\n{manifest}");
        let files = [
            ("crates/x/Cargo.toml", manifest.as_str()),
            ("crates/x/src/lib.rs", ships),
            ("crates/x/tests/it/main.rs", tests),
        ];
        found(dependency::check, &files)
    };
    let ships = "[dependencies]\nhttp-body = \"1\"";
    assert_eq!(check(ships, "use http_body::Body;", ""), [""; 0]);
    assert_eq!(check(ships, "fn f(a: http_body::Body) {}", ""), [""; 0]);
    assert_eq!(
        check(ships, "let http_body = 1; // http_body::Body", ""),
        ["crates/x/Cargo.toml:4: `http-body`: nothing names it"]
    );
    assert_eq!(
        check(ships, "", "use http_body::Body;"),
        ["crates/x/Cargo.toml:4: `http-body`: only tests name it: a dev-dependency"]
    );
    assert_eq!(check("[dev-dependencies]\nhttp-body = \"1\"", "use http_body::Body;", "").len(), 1);
    let workspace = [("Cargo.toml", "[workspace.dependencies]\nlru = \"1\"")];
    assert_eq!(found(dependency::check, &workspace), ["Cargo.toml:2: `lru`: no package asks for it"]);
}
