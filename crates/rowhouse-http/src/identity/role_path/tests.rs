use serde_json::{Value, json};

use super::RolePath;

fn claims() -> Value {
    json!({
        "role": "plain",
        "a": { "b": [{ "c": "deep" }], "d-e": "dashed" },
        "https://x.io/role": "url",
        "roles": [7, "viewer", "editor_eu", "app_admin"],
    })
}

fn found(path: &str) -> Option<Value> {
    RolePath::parse(path).unwrap().find(&claims()).cloned()
}

#[test]
fn both_syntaxes_select_the_same_value() {
    for (path, value) in [
        ("$.role", "plain"),
        (".role", "plain"),
        ("$.a.b[0].c", "deep"),
        (".a.b[0].c", "deep"),
        ("$.a['d-e']", "dashed"),
        (".a.\"d-e\"", "dashed"),
        ("$['https://x.io/role']", "url"),
        (".\"https://x.io/role\"", "url"),
        ("$.roles[-1]", "app_admin"),
        ("$.roles[?@ == 'viewer']", "viewer"),
        ("$.roles[?search(@, '^app_')]", "app_admin"),
        (".roles[?(@ == \"viewer\")]", "viewer"),
        (".roles[?(@ != \"viewer\")]", "editor_eu"),
        (".roles[?(@ ^== \"app_\")]", "app_admin"),
        (".roles[?(@ ==^ \"_eu\")]", "editor_eu"),
        (".roles[?(@*==\"dit\")]", "editor_eu"),
    ] {
        assert_eq!(found(path), Some(value.into()), "{path}");
    }
}

#[test]
fn path_without_a_match_finds_nothing() {
    for path in ["$.none", ".none", ".role.b", ".a[0]", ".roles[9]", ".roles[?(@ == \"7\")]", "$.a.b.c"] {
        assert_eq!(found(path), None, "{path}");
    }
}

#[test]
fn malformed_paths_are_refused() {
    for path in [
        "",
        "role",
        "$.",
        "$..",
        ".",
        ".a.",
        ".a[",
        ".a[x]",
        ".a[+1]",
        ".a[?(@ == \"x\")].b",
        ".a[?(@ ~ \"x\")]",
        ".a b",
    ] {
        assert!(RolePath::parse(path).is_err(), "{path}");
    }
}
