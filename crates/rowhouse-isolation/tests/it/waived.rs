//! Findings that somebody has accepted.

use rowhouse_isolation::{Scope, Waiver};

use crate::support::{look, migrate, run, scope, superuser};

#[tokio::test]
async fn waiver_covers_its_check_in_its_relation_and_an_unused_one_is_named() {
    let client = superuser().await;
    run(&client, "begin").await;
    migrate(&client, "create table public.a (n int primary key); create table public.b (n int primary key); grant select on public.a, public.b to anon").await;
    let waiver = |name: &str, relation: &str| Waiver {
        name: name.to_owned(),
        check: "coverage.rls_disabled".to_owned(),
        relation: relation.to_owned(),
        reason: "published anyway".to_owned(),
    };
    let scope =
        Scope { waivers: vec![waiver("a", "public.a"), waiver("gone", "public.gone")], ..scope(&["public"]) };
    let report = look(&client, &scope).await;
    let left: Vec<_> =
        report.findings.iter().map(|finding| (finding.id, finding.relation.as_str())).collect();
    assert_eq!(left, [("coverage.rls_disabled", "public.b")]);
    assert!(!report.passes());
    let waived: Vec<_> = report
        .waived
        .iter()
        .map(|waived| (waived.finding.relation.as_str(), waived.reason.as_str()))
        .collect();
    assert_eq!(waived, [("public.a", "published anyway")]);
    assert_eq!(report.unused_waivers, ["gone"]);
    run(&client, "rollback").await;
}
