//! What STYLE.md says about SQL, held against the catalog of a live database.

use crate::support::TestApp;

const FINDINGS: &str = include_str!("convention.sql");

#[tokio::test]
async fn constraints_are_named_by_the_rule_and_tables_and_columns_are_explained() {
    let app = TestApp::start().await;
    let client = app.db.superuser().await;
    let rows = client.query(FINDINGS, &[]).await.unwrap();
    let findings: Vec<String> = rows.iter().map(|row| row.get("finding")).collect();
    assert_eq!(findings, [""; 0], "{}", findings.join("\n"));
}
