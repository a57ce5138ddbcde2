//! Arranging: a connection in a transaction that is never committed, so that roles and databases stay as they are.

use std::collections::BTreeSet;

use rowhouse_isolation::{Finding, Report, Scope, audit};
use rowhouse_testkit::TestDatabase;
use tokio_postgres::Client;

/// A project's schemas as a test sees them.
pub(crate) fn scope(schemas: &[&str]) -> Scope {
    Scope {
        schemas: schemas.iter().map(|&name| name.to_owned()).collect(),
        served: schemas.iter().map(|&name| name.to_owned()).collect(),
        tenant_columns: vec!["tenant_id".to_owned()],
        anon_role: "anon".to_owned(),
        login: "authenticator".to_owned(),
        waivers: Vec::new(),
    }
}

/// A superuser's connection to a database of its own.
pub(crate) async fn superuser() -> Client {
    TestDatabase::create().await.superuser().await
}

/// Statements as the project's owner, as a migration runs them; `reset role` in them makes them the superuser's.
pub(crate) async fn migrate(client: &Client, sql: &str) {
    run(client, &format!("set local role rowhouse_project; {sql}\n; reset role")).await;
}

pub(crate) async fn run(client: &Client, sql: &str) {
    client.batch_execute(sql).await.unwrap_or_else(|error| panic!("{error:?}\nin {sql}"));
}

pub(crate) async fn look(client: &Client, scope: &Scope) -> Report {
    audit(client, scope).await.unwrap_or_else(|error| panic!("{error}"))
}

/// Relations with findings of a check.
pub(crate) fn found(report: &Report, id: &str) -> BTreeSet<String> {
    of(report, id).map(|finding| finding.relation.clone()).collect()
}

pub(crate) fn of<'a>(report: &'a Report, id: &'a str) -> impl Iterator<Item = &'a Finding> {
    report.findings.iter().filter(move |finding| finding.id == id)
}
