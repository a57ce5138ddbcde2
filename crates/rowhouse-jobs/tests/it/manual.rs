//! The list of tests in the manual: each named one exists.

use std::path::Path;

/// Test files below a folder, as one text.
fn tests_below(folder: &Path, text: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            tests_below(&path, text);
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            text.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn every_test_named_in_the_manual_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut tests = String::new();
    for folder in ["crates/rowhouse-jobs", "crates/rowhouse/tests/it", "crates/rowhouse-kernel/src"] {
        tests_below(&root.join(folder), &mut tests);
    }
    let list = std::fs::read_to_string(root.join("docs/jobs-tests.md")).unwrap();
    let rows = list.lines().filter_map(|line| line.split('|').nth(2));
    let names: Vec<&str> = rows.flat_map(|row| row.split('`').skip(1).step_by(2)).collect();
    assert!(names.len() > 100, "{}", names.len());
    for name in names {
        assert!(tests.contains(&format!("fn {name}(")), "{name}");
    }
}
