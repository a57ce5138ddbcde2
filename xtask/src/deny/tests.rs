use serde_json::{Value, json};

use super::advisory::affects;
use super::{Policy, REGISTRY};

fn judged(package: &Value) -> Vec<String> {
    let policy = Policy::parse(
        r#"[licenses]
        allow = ["MIT", "Apache-2.0"]
        [bans]
        deny = [{ crate = "openssl-sys", reason = "one crypto library" }]"#,
    );
    policy.unwrap().judge(package)
}

fn package(name: &str, license: Option<&str>, source: Option<&str>) -> Value {
    json!({ "name": name, "version": "1.0.0", "license": license, "source": source })
}

#[test]
fn licence_that_is_not_allowed_is_caught() {
    let check = |license| judged(&package("a", license, Some(REGISTRY)));
    assert_eq!(check(Some("MIT OR GPL-3.0")), [""; 0]);
    assert_eq!(check(Some("MIT/Apache-2.0")), [""; 0]);
    assert_eq!(check(Some("MIT AND GPL-3.0")), ["a 1.0.0: the licence `MIT AND GPL-3.0` is not allowed"]);
    assert_eq!(check(Some("my own")), ["a 1.0.0: `my own` is no SPDX expression"]);
    assert_eq!(check(None), ["a 1.0.0: names no licence"]);
}

#[test]
fn other_source_and_banned_crate_are_caught() {
    assert_eq!(judged(&package("rowhouse", Some("Apache-2.0"), None)), [""; 0]);
    let elsewhere = package("a", Some("MIT"), Some("git+https://example.com/a"));
    assert_eq!(judged(&elsewhere), ["a 1.0.0: comes from `git+https://example.com/a`"]);
    let banned = package("openssl-sys", Some("MIT"), Some(REGISTRY));
    assert_eq!(judged(&banned), ["openssl-sys 1.0.0: is banned: one crypto library"]);
}

#[test]
fn advisory_affects_versions_neither_patched_nor_unaffected() {
    let text = "```toml\n[advisory]\nid = \"RUSTSEC-1\"\n[versions]\npatched = [\">= 1.2.3\"]\n\
                unaffected = [\"< 1.0.0\"]\n```\n\n# Overflow\n";
    assert_eq!(affects(text, "1.2.2").unwrap(), Some("Overflow".to_owned()));
    assert_eq!(affects(text, "1.2.3").unwrap(), None);
    assert_eq!(affects(text, "0.9.0").unwrap(), None);
    assert_eq!(affects(&text.replace("id =", "withdrawn = \"x\"\nid ="), "1.2.2").unwrap(), None);
}
