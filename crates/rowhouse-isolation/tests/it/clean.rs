//! What comes with the program is clean, and the audit changes nothing.

use std::path::Path;

use rowhouse_db::migrate::read_project;
use rowhouse_isolation::{PLATFORM, Scope, audit_read_only};
use rowhouse_testkit::TestDatabase;

use crate::support::{migrate, run, scope};

/// All schemas, of which `public` is served.
fn everything() -> Scope {
    Scope { schemas: Vec::new(), ..scope(&["public"]) }
}

#[tokio::test]
async fn platform_has_no_findings_but_those_that_are_accepted_with_a_reason() {
    let db = TestDatabase::create().await;
    let client = rowhouse_db::connect(&db.urls.control).await.unwrap();
    let report = audit_read_only(&client, &everything()).await.unwrap();
    assert_eq!(report.findings, [], "{:#?}", report.findings);
    assert!(report.relations > 50 && report.policies > 50, "{} {}", report.relations, report.policies);
    for (check, relation, reason) in PLATFORM {
        let is_needed = report
            .of_platform
            .iter()
            .any(|waived| waived.finding.id == *check && waived.finding.relation == *relation);
        assert!(is_needed && reason.len() > 20, "{check} {relation}");
    }
}

#[tokio::test]
async fn example_project_has_no_findings() {
    let db = TestDatabase::create().await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/todos/migrations");
    let client = db.superuser().await;
    run(&client, "begin").await;
    for migration in read_project(&folder).unwrap() {
        migrate(&client, &migration.sql).await;
    }
    run(&client, "commit").await;
    let client = rowhouse_db::connect(&db.urls.control).await.unwrap();
    let report = audit_read_only(&client, &everything()).await.unwrap();
    assert_eq!(report.findings, [], "{:#?}", report.findings);
    assert!(report.schemas.contains(&"public".to_owned()));
}

#[tokio::test]
async fn audit_finds_the_same_twice_and_leaves_the_session_as_it_was() {
    let db = TestDatabase::create().await;
    db.migrate("create table public.b (n int); create table public.a (n int); grant select on public.a, public.b to anon").await;
    let client = rowhouse_db::connect(&db.urls.control).await.unwrap();
    let settings = "select string_agg(name || '=' || setting, ',' order by name) from pg_settings where name in ('search_path', 'statement_timeout', 'transaction_read_only')";
    let before: String = client.query_one(settings, &[]).await.unwrap().get(0);
    let first = audit_read_only(&client, &everything()).await.unwrap().findings;
    let second = audit_read_only(&client, &everything()).await.unwrap().findings;
    assert_eq!(first, second);
    assert!(first.len() >= 4 && first.is_sorted(), "{first:#?}");
    let after: String = client.query_one(settings, &[]).await.unwrap().get(0);
    assert_eq!(before, after);
}
