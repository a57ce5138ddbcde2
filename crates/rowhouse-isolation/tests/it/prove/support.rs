//! Arranging: a project's schema, and a proof of it as the login `rowhouse`.

use rowhouse_isolation::RlsSettings;
use rowhouse_isolation::prove::{Plan, Proof, prove};
use rowhouse_testkit::TestDatabase;

use crate::support::scope;

pub(super) const SCHEMA: &str = include_str!("schema.sql");

pub(super) fn plan() -> Plan {
    Plan {
        scope: scope(&["public"]),
        settings: RlsSettings::default(),
        search_path: "public, extensions".to_owned(),
    }
}

pub(super) async fn proof_of(db: &TestDatabase, plan: &Plan) -> Proof {
    let client = rowhouse_db::connect(&db.urls.control).await.unwrap();
    prove(&client, plan, &|_, _, _| {}).await.unwrap_or_else(|error| panic!("{error:?}"))
}

/// A database with the schema and more.
pub(super) async fn with(sql: &str) -> TestDatabase {
    let db = TestDatabase::create().await;
    db.migrate(SCHEMA).await;
    if !sql.is_empty() {
        db.migrate(sql).await;
    }
    db
}
