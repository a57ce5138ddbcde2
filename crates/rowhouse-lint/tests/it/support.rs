//! One file, or several, judged as if all before them had been applied long ago.

use rowhouse_db::migrate::Migration;
use rowhouse_lint::{Context, Finding, Judged, Report, lint};

pub(crate) fn context() -> Context {
    Context { exposed: vec!["public".to_owned()], readers: Vec::new() }
}

/// The last of the files is judged.
pub(crate) fn last(files: &[&str]) -> Report {
    let migrations = migrations(files);
    let judged = [migrations.last().unwrap().name.clone()];
    lint(&migrations, Judged::Alone(&judged), &context())
}

pub(crate) fn migrations(files: &[&str]) -> Vec<Migration> {
    let number = |(at, sql): (usize, &&str)| Migration::new(format!("2026010100000{at}_a.sql"), sql);
    files.iter().enumerate().map(number).collect()
}

/// Line, severity and rule of each finding.
pub(crate) fn lines(findings: &[Finding]) -> Vec<String> {
    let line = |f: &Finding| format!("{}:{} {} {}", f.line, f.column, f.severity.as_str(), f.rule);
    findings.iter().map(line).collect()
}

pub(crate) fn found(sql: &str) -> Vec<String> {
    last(&[sql]).findings.into_iter().map(|finding| finding.rule).collect()
}
