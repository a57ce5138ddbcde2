//! Names that need quoting, and the longest ones, survive from the catalog to the suggested SQL.

use rowhouse_isolation::Severity;

use crate::support::{look, migrate, run, scope, superuser};

const SCHEMA: &str = "Odd \"Schema\" Ünï";

#[tokio::test]
async fn names_are_quoted_in_findings_and_suggested_sql() {
    let client = superuser().await;
    let long = format!("Grüße\"{}", "x".repeat(63 - "Grüße\"".len()));
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let (schema, table) = (quoted(SCHEMA), quoted(&long));
    run(&client, "begin").await;
    migrate(
        &client,
        &format!(
            "reset role;
             create schema {schema} authorization rowhouse_project;
             set local role rowhouse_project;
             grant usage on schema {schema} to authenticated;
             create table {schema}.{table} (\"Id\" uuid primary key, body text);
             grant select on {schema}.{table} to authenticated;
             create table {schema}.\"select\" (id uuid primary key, tenant_id uuid not null);
             alter table {schema}.\"select\" enable row level security;
             alter table {schema}.\"select\" force row level security;
             create index on {schema}.\"select\" (tenant_id);
             create policy {table} on {schema}.\"select\" to authenticated using (true);
             create function {schema}.{table}(\"N\" int) returns int language sql security definer as 'select 1'"
        ),
    )
    .await;
    let scope = scope(&[SCHEMA]);
    let report = look(&client, &scope).await;
    let errors = report.findings.iter().filter(|finding| finding.severity == Severity::Error);
    let errors: Vec<_> = errors.map(|finding| (finding.id, finding.relation.clone())).collect();
    assert_eq!(
        errors,
        [
            ("bypass.definer_search_path", format!("{schema}.{table}(integer)")),
            ("coverage.rls_disabled", format!("{schema}.{table}")),
            ("predicate.constant_true", format!("{schema}.\"select\"")),
        ],
        "{:#?}",
        report.findings
    );
    let fixes: Vec<_> = report.findings.iter().filter_map(|finding| finding.fix.clone()).collect();
    for fix in fixes {
        run(&client, &fix).await;
    }
    let after = look(&client, &scope).await;
    assert!(after.passes(), "{:#?}", after.findings);
    run(&client, "rollback").await;
}

#[tokio::test]
async fn schema_that_does_not_exist_is_named() {
    let client = superuser().await;
    let error = rowhouse_isolation::audit_read_only(&client, &scope(&["Public"])).await.unwrap_err();
    assert!(
        error.to_string().contains("no schema \"Public\"") && error.to_string().contains("public"),
        "{error}"
    );
}
