use std::path::Path;

use super::ALL;

/// The names in quotation marks that begin with the prefix.
fn names(text: &str) -> Vec<String> {
    let parts = text.split('"').filter(|part| part.starts_with("rowhouse_mail_"));
    parts
        .filter(|part| part.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'))
        .map(str::to_owned)
        .collect()
}

fn sources(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ext| ext == "rs") && !path.ends_with("metric.rs") {
            found.extend(names(&std::fs::read_to_string(&path).unwrap()));
        }
    }
}

#[test]
fn catalogue_names_what_is_written_and_nothing_else() {
    let mut written = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut written);
    written.retain(|name| name != "rowhouse_mail_");
    written.sort();
    written.dedup();
    let mut listed: Vec<String> = ALL.iter().map(|metric| metric.name.to_owned()).collect();
    listed.sort();
    assert_eq!(written, listed);
}

#[test]
fn alerts_and_manual_know_only_metrics_of_the_catalogue() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    for file in ["alerts/mail.rules.yml", "mail.md"] {
        let text = std::fs::read_to_string(root.join(file)).unwrap();
        for (at, _) in text.match_indices("rowhouse_mail_") {
            let is_name = |c: char| c.is_ascii_lowercase() || c == '_';
            let name: String = text[at..].chars().take_while(|c| is_name(*c)).collect();
            let name = name.trim_end_matches("_bucket").trim_end_matches("_count");
            assert!(ALL.iter().any(|metric| metric.name == name), "{file}: {name}");
        }
    }
}

/// Test files of all kinds below a folder, as one text.
fn tests_below(folder: &Path, text: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("node_modules") {
            tests_below(&path, text);
        } else if path.extension().is_some_and(|ext| ext == "rs" || ext == "mjs") {
            text.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn every_test_named_in_the_manual_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut tests = String::new();
    for folder in [
        "crates/rowhouse-mail",
        "crates/rowhouse-jobs",
        "crates/rowhouse-http",
        "crates/rowhouse/tests/it",
        "clients/mail",
        "clients/mailpit",
    ] {
        tests_below(&root.join(folder), &mut tests);
    }
    let list = std::fs::read_to_string(root.join("docs/mail-tests.md")).unwrap();
    let rows = list.lines().filter_map(|line| line.split('|').nth(2));
    let names: Vec<&str> = rows.flat_map(|row| row.split('`').skip(1).step_by(2)).collect();
    assert!(names.len() > 60, "{}", names.len());
    for name in names.iter().filter(|name| !name.starts_with("cargo ")) {
        let is_there = tests.contains(&format!("fn {name}(")) || tests.contains(&format!("test('{name}'"));
        assert!(is_there, "{name}");
    }
}
