//! A file for each check, in `cases/FAMILY/NAME.sql`: what it finds in the part `-- bad`, which the suggested SQL corrects, and
//! nothing in the part `-- good`.

use std::collections::BTreeSet;
use std::path::Path;

use rowhouse_isolation::{CHECKS, Check, Severity};
use tokio_postgres::Client;

use crate::support::{found, look, migrate, of, run, scope, superuser};

const SCENE: &str = include_str!("cases/scene.sql");

/// One check's file.
struct Case {
    id: &'static str,
    /// Relations that the bad part has findings in.
    finds: BTreeSet<String>,
    bad: String,
    good: String,
}

impl Case {
    fn read(check: &Check) -> Self {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/cases").join(check.id.replace('.', "/"));
        let text = std::fs::read_to_string(path.with_extension("sql"))
            .unwrap_or_else(|error| panic!("{}: {error}", check.id));
        let (head, good) = text.split_once("-- good\n").unwrap();
        let (head, bad) = head.split_once("-- bad\n").unwrap();
        let finds = head.trim().strip_prefix("-- finds ").unwrap().split("; ").map(str::to_owned).collect();
        Self { id: check.id, finds, bad: bad.to_owned(), good: good.to_owned() }
    }

    async fn try_on(&self, client: &Client) {
        let scope = scope(&["public"]);
        run(client, "begin").await;
        migrate(client, &format!("{SCENE}{}", self.bad)).await;
        let report = look(client, &scope).await;
        assert_eq!(found(&report, self.id), self.finds, "{}: {:#?}", self.id, report.findings);
        self.correct(client, &report).await;
        run(client, "rollback; begin").await;
        migrate(client, &format!("{SCENE}{}", self.good)).await;
        let report = look(client, &scope).await;
        assert_eq!(found(&report, self.id), BTreeSet::new(), "{}: {:#?}", self.id, report.findings);
        assert_eq!(report.count(Severity::Error), 0, "{}: {:#?}", self.id, report.findings);
        run(client, "rollback").await;
    }

    /// Runs the suggested SQL; what had some is gone.
    async fn correct(&self, client: &Client, report: &rowhouse_isolation::Report) {
        let fixed: Vec<_> = of(report, self.id).filter(|finding| finding.fix.is_some()).collect();
        for finding in &fixed {
            run(client, finding.fix.as_deref().unwrap()).await;
        }
        let after = look(client, &scope(&["public"])).await;
        for finding in fixed {
            assert!(!after.findings.contains(finding), "{}: {finding:#?}", self.id);
        }
    }
}

/// The checks of a family, one after the other on one database.
async fn try_family(family: &str) {
    let client = superuser().await;
    let checks = CHECKS.iter().copied().flatten().filter(|check| check.id.starts_with(family));
    let mut tried = 0;
    for check in checks {
        Case::read(check).try_on(&client).await;
        tried += 1;
    }
    assert!(tried > 0, "{family}");
}

#[tokio::test]
async fn uncovered_tables_are_found_and_corrected() {
    try_family("coverage.").await;
}

#[tokio::test]
async fn open_predicates_are_found_and_corrected() {
    try_family("predicate.").await;
}

#[tokio::test]
async fn ways_around_are_found_and_corrected() {
    try_family("bypass.").await;
}

#[tokio::test]
async fn oracles_are_found_and_corrected() {
    try_family("oracle.").await;
}

#[tokio::test]
async fn slow_policies_are_found_and_corrected() {
    try_family("performance.").await;
}

#[tokio::test]
async fn slips_are_found_and_corrected() {
    try_family("hygiene.").await;
}
