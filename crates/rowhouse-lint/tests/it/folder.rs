//! The folder of each rule: what it refuses, what it says of it, and what it lets pass.

use std::path::Path;

use rowhouse_lint::{Finding, RULES, Rule};

use crate::support::last;

fn told(findings: &[Finding]) -> String {
    let line =
        |f: &Finding| format!("{}:{} {} {}: {}\n", f.line, f.column, f.severity.as_str(), f.rule, f.message);
    findings.iter().map(line).collect()
}

#[test]
fn each_rule_says_of_its_bad_file_what_its_folder_expects() {
    for rule in RULES {
        let found = last(&[rule.bad]).findings;
        let is_found = found.iter().any(|f| f.rule == rule.id && f.severity == rule.severity);
        assert!(is_found, "{}: {found:#?}", rule.id);
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules").join(rule.id).join("expected.txt");
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            std::fs::write(&path, told(&found)).unwrap();
        }
        assert_eq!(told(&found), std::fs::read_to_string(&path).unwrap(), "{}", path.display());
        assert!(found.iter().all(|f| !f.remedy.is_empty() && f.page.contains(".md#")), "{found:#?}");
    }
}

#[test]
fn nothing_is_found_in_the_good_file_of_a_rule() {
    let found = |rule: &Rule| (rule.id, told(&last(&[rule.good]).findings));
    let found: Vec<_> = RULES.iter().map(found).filter(|(_, told)| !told.is_empty()).collect();
    assert_eq!(found, []);
}

#[test]
fn each_folder_belongs_to_a_rule_and_its_page_is_headed_by_the_name() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules");
    let mut names: Vec<String> =
        folder.read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let mut ids: Vec<&str> = RULES.iter().map(|rule| rule.id).collect();
    names.sort();
    ids.sort_unstable();
    assert_eq!(names, ids);
    assert!(RULES.iter().all(|rule| rule.page.starts_with(&format!("# {}\n", rule.id))));
}
