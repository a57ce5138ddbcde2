//! Each rule catches a bad sample and accepts the good one next to it.

use super::mask::mask;
use super::tree::Tree;
use super::{Rule, code, doc, floor, limit, migration, name, opening, size, text};

mod layer;
mod wait;

/// Findings of one rule over a handful of files, as they are printed.
fn found(rule: Rule, files: &[(&str, &str)]) -> Vec<String> {
    rule(&Tree::of(files)).iter().map(ToString::to_string).collect()
}

/// A manifest on a floor; `tools` for development tools.
fn manifest(name: &str, floor: &str, dependencies: &str) -> String {
    format!("[package]\nname = \"{name}\"\nmetadata.rowhouse.floor = {floor}\n[dependencies]\n{dependencies}")
}

/// A small workspace with one more crate, which depends on others.
fn workspace_with(name: &str, floor: &str, dependencies: &str) -> Vec<String> {
    let others = [("low", "1"), ("middle", "6"), ("beside-middle", "6"), ("kit", "\"tools\"")];
    let others = others.map(|(name, floor)| {
        (format!("crates/rowhouse-{name}/Cargo.toml"), manifest(&format!("rowhouse-{name}"), floor, ""))
    });
    let own = (format!("crates/{name}/Cargo.toml"), manifest(name, floor, dependencies));
    let files: Vec<(&str, &str)> = others
        .iter()
        .filter(|(path, _)| *path != own.0)
        .chain([&own])
        .map(|(path, text)| (path.as_str(), text.as_str()))
        .collect();
    found(floor::check, &files)
}

#[test]
fn dependency_upwards_or_sideways_is_caught() {
    assert_eq!(workspace_with("rowhouse-middle", "6", "rowhouse-low.workspace = true"), [""; 0]);
    assert_eq!(
        workspace_with("rowhouse-low", "1", "rowhouse-middle.workspace = true"),
        [
            "crates/rowhouse-low/Cargo.toml:5: floor 1 may not depend on `rowhouse-middle` on floor 6; only downwards"
        ]
    );
    assert_eq!(workspace_with("rowhouse-beside-middle", "6", "rowhouse-middle.workspace = true").len(), 1);
    assert_eq!(workspace_with("rowhouse-middle", "6", "rowhouse-kit.workspace = true").len(), 1);
    assert_eq!(workspace_with("rowhouse-kit", "\"tools\"", "rowhouse-middle.workspace = true"), [""; 0]);
    assert_eq!(
        workspace_with("rowhouse-middle", "6", "[dev-dependencies]\nrowhouse-kit.workspace = true"),
        [""; 0]
    );
    assert_eq!(
        workspace_with("rowhouse-low", "1", "[target.'cfg(unix)'.dependencies]\nrowhouse-middle = \"1\"")
            .len(),
        1
    );
}

#[test]
fn crate_without_a_floor_is_caught() {
    let check = |path: &str, text: &str| found(floor::check, &[(path, text)]);
    assert_eq!(check("crates/rowhouse-attic/Cargo.toml", "[package]\nname = \"rowhouse-attic\"").len(), 1);
    assert_eq!(workspace_with("rowhouse-middle", "6", "rowhouse-attic = \"1\"").len(), 1);
    assert_eq!(check("crates/other/Cargo.toml", &manifest("rowhouse-db", "1", "")).len(), 1);
    assert_eq!(check("crates/rowhouse-db/Cargo.toml", "[package").len(), 1);
}

#[test]
fn long_file_is_caught() {
    let file = |lines: usize| found(size::check, &[("crates/x/src/a.rs", "// x\n".repeat(lines).as_str())]);
    assert_eq!(file(400), [""; 0]);
    assert_eq!(file(401), ["crates/x/src/a.rs:400: has 401 lines; split it before 400"]);
}

#[test]
fn long_sql_function_is_caught_and_ends_outside_of_its_body() {
    let check = |lines: usize| {
        let body = "  perform 1;\n".repeat(lines);
        let text = format!(
            "create function a.one() returns int return 1;\ncreate or replace function a.two(x int) returns void\n\
             language plpgsql as $$\nbegin\n{body}end $$;\ncreate table a.t ();\n"
        );
        found(size::check, &[("crates/x/migrations/a.sql", &text)])
    };
    assert_eq!(check(56), [""; 0]);
    assert_eq!(check(57), ["crates/x/migrations/a.sql:2: `a.two` has 61 lines; split it before 60"]);
}

#[test]
fn long_function_is_caught_but_not_in_tests() {
    let source = |lines: usize| {
        format!(
            "fn short() {{}}\n\npub async fn long(a: [u8; 4]) -> u8 {{\n{}}}\n",
            "    f('{', \"}\");\n".repeat(lines)
        )
    };
    let check = |path: &str, lines: usize| found(size::check, &[(path, &source(lines))]);
    assert_eq!(check("src/a.rs", 58), [""; 0]);
    assert_eq!(check("src/a.rs", 59), ["src/a.rs:3: `long` has 61 lines; split it before 60"]);
    assert_eq!(check("src/a/tests.rs", 59), [""; 0]);
    assert_eq!(check("crates/x/tests/it/main.rs", 59), [""; 0]);
}

#[test]
fn declared_function_and_function_pointer_have_no_length() {
    let text = format!("trait T {{ fn declared(&self); }}\ntype F = fn(u8) -> u8;\n{}", "// x\n".repeat(70));
    assert_eq!(found(size::check, &[("src/a.rs", &text)]), [""; 0]);
}

#[test]
fn catch_all_module_is_caught() {
    assert_eq!(found(name::check, &[("src/util.rs", "")]).len(), 1);
    assert_eq!(found(name::check, &[("src/common/a.rs", "")]).len(), 1);
    assert_eq!(
        found(name::check, &[("src/lib.rs", "mod a;\npub mod helpers {\n}")]),
        ["src/lib.rs:2: module `helpers`: name it after the one thing that it holds"]
    );
    assert_eq!(found(name::check, &[("src/utility_bill.rs", "mod session;\n// mod types {")]), [""; 0]);
}

#[test]
fn dead_link_and_dead_heading_are_caught() {
    let files =
        |readme: &'static str| [("README.md", readme), ("docs/a.md", "# First `step`\n"), ("src/b.rs", "")];
    let check = |readme: &'static str| found(doc::check, &files(readme));
    assert_eq!(
        check("[a](docs/a.md) [b](docs/a.md#first-step) [c](./src/b.rs) [d](https://x.y/z) [e](crate::f)"),
        [""; 0]
    );
    assert_eq!(check("\n[a](docs/gone.md)"), ["README.md:2: links to `docs/gone.md`, which does not exist"]);
    assert_eq!(check("[a](docs/a.md#second)").len(), 1);
    assert_eq!(check("[a]: docs/gone.md").len(), 1);
    assert_eq!(check("[a](#nowhere)").len(), 1);
}

#[test]
fn link_is_resolved_from_its_page() {
    let check = |text: &str| found(doc::check, &[("docs/a.md", text), ("README.md", ""), ("docs/b.md", "")]);
    assert_eq!(check("[r](../README.md) [b](b.md)"), [""; 0]);
    assert_eq!(check("[r](README.md)").len(), 1);
    assert_eq!(check("[r](../../README.md)"), [""; 0], "leads out of the repository");
}

#[test]
fn path_that_does_not_exist_is_caught() {
    let check = |readme: &str| {
        let files = [
            ("README.md", readme),
            ("crates/rowhouse-db/src/flight.rs", ""),
            ("run", ""),
            ("examples/todos/seed.sql", ""),
        ];
        found(doc::check, &files)
    };
    let good = "`crates/rowhouse-db/src` `rowhouse-db/src/flight.rs` `./run --port 1` `seed.sql` `crates/*/src/{flight,flight}.rs`";
    assert_eq!(check(good), [""; 0]);
    assert_eq!(
        check("`/rest/v1` `application/json` `a <b>.sql` `target/x.json` `state.json` `a/b` `.rs`"),
        [""; 0]
    );
    assert_eq!(
        check("see `crates/rowhouse-db/src/pool.rs`"),
        ["README.md:1: names `crates/rowhouse-db/src/pool.rs`, which does not exist"]
    );
    for bad in [
        "`./walk`",
        "`flght.rs`",
        "`rowhouse-db/src/{flight,pool}.rs`",
        "`crates/*/sql`",
        "```sh\nnode examples/todos/x.mjs\n```",
    ] {
        assert_eq!(check(bad).len(), 1, "{bad}");
    }
}

#[test]
fn chore_that_does_not_exist_is_caught() {
    let check = |text: &str| found(doc::check, &[("README.md", text)]);
    assert_eq!(
        check("`cargo xtask tidy` `cargo xtask gen --check` `cargo xtask NAME` `cargo xtask tidy|gen`"),
        [""; 0]
    );
    assert_eq!(
        check("a\n`cargo xtask sweep`"),
        ["README.md:2: names `cargo xtask sweep`, which does not exist"]
    );
    assert_eq!(check("```sh\ncargo xtask tidy|sweep\n```").len(), 1);
}

#[test]
fn setting_that_does_not_exist_is_caught() {
    let files = |text| [("README.md", text), ("migrations/1.sql", "create table auth.users ();")];
    let check = |text: &'static str| found(doc::check, &files(text));
    let good = "`server.port` `[rest] schemas` `ROWHOUSE_SERVER__PORT=1` `ROWHOUSE_DB__URL_FILE` `auth.users` `auth.uid()` `x.y`";
    assert_eq!(check(good), [""; 0]);
    assert_eq!(
        check("`server.prot`"),
        ["README.md:1: names the setting `server.prot`, which does not exist"]
    );
    for bad in [
        "`ROWHOUSE_SERVER__PROT`",
        "`[rest] shemas = 1`",
        "`ROWHOUSE_SERVER__PORT_FILE`",
        "```toml\n[server]\nprot = 1\n```",
    ] {
        assert_eq!(check(bad).len(), 1, "{bad}");
    }
    assert_eq!(check("```toml\n[package]\nname = \"x\"\n[server]\nport = 1\n```"), [""; 0]);
}

#[test]
fn history_may_name_removed_items() {
    assert_eq!(found(doc::check, &[("CHANGELOG.md", "[a](gone.md) `server.prot`")]), [""; 0]);
}

#[test]
fn file_or_crate_without_an_opening_is_caught() {
    assert_eq!(
        found(opening::check, &[("src/a.rs", "//! What for.\n"), ("src/a/tests.rs", "use x;")]),
        [""; 0]
    );
    assert_eq!(found(opening::check, &[("src/a.rs", "use x;")]).len(), 1);
    let krate =
        |readme| found(opening::check, &[("crates/a/Cargo.toml", ""), ("crates/a/README.md", readme)]);
    assert_eq!(krate("# a\n\nWhat it is."), [""; 0]);
    assert_eq!(krate("# a\n"), ["crates/a/README.md:1: says nothing about the crate"]);
    assert_eq!(found(opening::check, &[("crates/a/Cargo.toml", "")]).len(), 1);
}

#[test]
fn registry_host_and_machine_path_are_caught() {
    let check = |text: &str| found(text::check, &[("a.json", text)]);
    let host = concat!("https://registry.", "npmjs.org/x");
    assert_eq!(
        check(host),
        [format!("a.json:1: names the package registry `{}`", concat!("registry.", "npmjs.org"))]
    );
    assert_eq!(found(text::check, &[("Cargo.lock", host)]), [""; 0]);
    for place in [concat!("\"/wo", "rk/main\""), concat!("cd /ro", "ot/x"), concat!("=/ho", "me/ann")] {
        assert_eq!(check(place).len(), 1, "{place}");
    }
    assert_eq!(check(concat!("https://example.org/wo", "rk/x and a/ho", "me/b")), [""; 0]);
}

#[test]
fn unfinished_or_silenced_code_is_caught() {
    let check = |text: &str| found(code::check, &[("src/a.rs", text)]);
    for bad in [
        "#[allow(dead_code)]",
        "fn f() { todo!() }",
        "fn f() { unimplemented!(\"x\") }",
        "#[ignore]",
        "#[ignore = \"slow\"]",
        "#![allow(x)]",
    ] {
        assert_eq!(check(bad).len(), 1, "{bad}");
    }
    assert_eq!(check("// todo!()\nlet s = \"#[allow(x)]\"; let r = r#\"todo!(\"\"#;"), [""; 0]);
}

#[test]
fn unwrap_is_caught_where_it_ships() {
    let check = |path: &str, text: &str| found(code::check, &[(path, text)]);
    assert_eq!(check("src/a.rs", "fn f() {\n    x.unwrap();\n}").len(), 1);
    assert_eq!(check("src/a/tests.rs", "x.unwrap()"), [""; 0]);
    assert_eq!(check("crates/rowhouse-testkit/src/lib.rs", "x.unwrap()"), [""; 0]);
    let inline = "#[cfg(test)]\nmod tests {\n    fn t() { x.unwrap(); }\n}\nfn f() { x.unwrap(); }";
    assert_eq!(check("src/a.rs", inline), ["src/a.rs:5: `.unwrap()`: a panic reaches a user; say `?`"]);
    assert_eq!(
        check("src/a.rs", "#[cfg(feature = \"test-util\")]\nimpl A { fn f() { x.unwrap(); } }"),
        [""; 0]
    );
}

#[test]
fn sleeping_test_is_caught() {
    let check = |path: &str, text: &str| found(code::check, &[(path, text)]).len();
    assert_eq!(check("src/a/tests.rs", "tokio::time::sleep(d).await"), 1);
    assert_eq!(check("src/a.rs", "tokio::time::sleep(d).await"), 0);
    assert_eq!(check("clients/x/a.test.mjs", "await sleep(5)"), 1);
    let paused = "#[tokio::test(start_paused = true)] async fn a() { sleep(d).await }";
    assert_eq!(check("src/a/tests.rs", paused), 0);
    assert_eq!(check("src/a/tests.rs", &format!("{paused} #[tokio::test] async fn b() {{}}")), 1);
}

#[test]
fn misnamed_or_clashing_migration_is_caught() {
    let check = |paths: &[&str]| {
        let files: Vec<(&str, &str)> = paths.iter().map(|path| (*path, "")).collect();
        found(migration::check, &files).len()
    };
    let first = "crates/a/migrations/20261120093000_todos.sql";
    assert_eq!(check(&[first, "crates/b/migrations/20261120093001_lists.sql"]), 0);
    assert_eq!(check(&[first, "crates/b/migrations/20261120093000_lists.sql"]), 1);
    assert_eq!(check(&[first, "examples/x/migrations/20261120093000_todos.sql"]), 0);
    assert_eq!(check(&[first, "crates/a/migrations/20261120093000_todos.down.sql"]), 0);
    for bad in [
        "1_a.sql",
        "20261320093000_a.sql",
        "20261120093000.sql",
        "20261120093000_A.sql",
        "20261120093000_a.txt",
    ] {
        assert_eq!(check(&[&format!("crates/a/migrations/{bad}")]), 1, "{bad}");
    }
    assert_eq!(check(&["crates/a/migrations/20261120093000_a.down.sql"]), 1);
}

#[test]
fn mask_keeps_code_and_blanks_the_rest() {
    let check = |source: &str, masked: &str| assert_eq!(mask(source), masked, "{source}");
    check("a // b\nc", "a     \nc");
    check("a /* b /* c */ d */ e", "a                   e");
    check(r#"f("{\"") x"#, "f(     ) x");
    check(r##"r#"{"# x"##, "       x");
    check("for r in x {}", "for r in x {}");
    check("let r#type = 'a';", "let r#type =    ;");
    let spaces = " ".repeat(r"'{' '\'' '\u{1F600}' '…'".len());
    check(r"<'a>'{' '\'' '\u{1F600}' '…'x", &format!("<'a>{spaces}x"));
}

#[test]
fn limit_that_shares_its_name_with_another_is_caught() {
    let made = |path, names: &str| (path, format!("const A: LimitName = {names};"));
    let found_in = |files: &[(&str, String)]| {
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
        found(limit::check, &files)
    };
    let one = made("crates/a/src/one.rs", "LimitName::new(\"signin\")");
    assert_eq!(found_in(&[one.clone(), made("crates/b/src/lib.rs", "LimitName::new(\"mail\")")]), [""; 0]);
    assert_eq!(found_in(&[one.clone(), made("crates/b/tests/it.rs", "LimitName::new(\"signin\")")]), [""; 0]);
    assert_eq!(
        found_in(&[one, made("crates/b/src/lib.rs", "LimitName::new(\"signin\")")]),
        [
            "crates/b/src/lib.rs:1: the limit `signin` is in crates/a/src/one.rs, too; each has a name of its own"
        ]
    );
    for bad in ["LimitName::new(\"sign:in\")", "LimitName::new(\"\")", "LimitName::new(name)"] {
        assert_eq!(found_in(&[made("crates/a/src/lib.rs", bad)]).len(), 1, "{bad}");
    }
}
